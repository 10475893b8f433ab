# SPDX-License-Identifier: GPL-2.0-or-later
"""Every job of the workflows, its steps in order, with a `reviewbot` that does what each command leaves behind."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.github_runner import JobResult, RunnerHost
from tests.test_workflows import DATA

PACKAGE = f"git+https://example.org/reviewbot@{'c' * 40}"
RUN = "20261129-034422-e203"
PAGE = "https://github.example.org/owner/name/actions/runs/17"
TOOL = f"""#!{sys.executable}
import json, os, pathlib, sys

words = sys.argv[1:]
root = pathlib.Path({{root!r}})
with (root / "calls").open("a") as calls:
    calls.write(json.dumps([words, "GITHUB_TOKEN" in os.environ, os.environ.get("REVIEWBOT_SITE", "")]) + "\\n")
data = pathlib.Path(os.environ.get("REVIEWBOT_DATA", "none"))
cache = pathlib.Path(os.environ.get("REVIEWBOT_CACHE", "none"))


def run(kind):
    folder = data / "runs" / {RUN!r}
    folder.mkdir(parents=True)
    (folder / "verdict.json").write_text(json.dumps({{{{"run": {RUN!r}, "kind": kind}}}}))
    (folder / "plan.json").write_text("{{{{}}}}")
    (folder / "summary.md").write_text(f"# {{{{kind}}}}\\n")
    (data / "runs" / "latest").symlink_to({RUN!r})


match words[0]:
    case "warm":
        cache.mkdir()
        (cache / "stack").write_text("unpatched")
    case "apply-and-test" if {{fails!r}} == "plan":
        run("BUILD-FAILS")
        sys.exit(1)
    case "apply-and-test" if {{fails!r}} == "blocked":
        run("BLOCKED")
        sys.exit(3)
    case "apply-and-test":
        assert (cache / "stack").read_text() == "unpatched"
        (cache / "stack").write_text("of a posting")
        pathlib.Path("cut").mkdir()
        for number in "12":
            pathlib.Path(f"cut/shard-0{{{{number}}}}.json").write_text(number)
        print(json.dumps({{{{"shards": ["shard-01.json", "shard-02.json"]}}}}), file=sys.stdout)
    case "run-shard":
        if {{fails!r}} == "shard" and "02" in words[-1]:
            sys.exit(4)
        target = pathlib.Path(words[1].partition("=")[2])
        target.parent.mkdir()
        target.write_text(pathlib.Path(words[-1]).read_text())
    case "merge-shards":
        found = sorted(path.name for path in pathlib.Path(words[-1]).iterdir())
        (root / "merged").write_text(json.dumps(found))
        run("REGRESSION" if {{fails!r}} == "judge" else "PASS")
        sys.exit(1 if {{fails!r}} == "judge" else 0)
    case "review":
        run("PASS")
    case "post":
        assert (pathlib.Path(words[-1]) / "verdict.json").exists()
"""


def host(tmp_path: Path, fails: str = "", **inputs: Any) -> RunnerHost:
    tools = tmp_path / "tools"
    tools.mkdir()
    programs = {
        "apt-get": "exit 0",
        "git": 'case "$*" in init*) mkdir -p "${@: -1}";; esac',
        "python3": f'mkdir -p "$3/bin"; cp {tools}/pip {tools}/reviewbot "$3/bin/"',
        "pip": f'echo "$@" >> {tmp_path}/pips',
    }
    for name, text in programs.items():
        (tools / name).write_text(f"#!/bin/bash\n{text}\n")
    (tools / "reviewbot").write_text(TOOL.format(root=str(tmp_path), fails=fails))
    for path in tools.iterdir():
        path.chmod(0o755)
    default = {"message-id": "x@example.org", "shards": "2", "issue": "", "sha": "", "only-series-fails": False}
    return RunnerHost(tmp_path / "host", tools, {**default, **inputs}, {"REVIEWBOT_PACKAGE": PACKAGE})


def told(tmp_path: Path) -> list[tuple[list[str], bool, str]]:
    """Commands in order: words, whether there is a token, the site file."""
    return [tuple(json.loads(line)) for line in (tmp_path / "calls").read_text().splitlines()]


def calls(tmp_path: Path) -> list[list[str]]:
    """Commands in order. No command but `post` may see a token."""
    found = told(tmp_path)
    assert all(token is (words[0] == "post") for words, token, _ in found)
    return [words for words, _, _ in found]


def ends(found: dict[str, JobResult]) -> dict[str, str]:
    return {name: one.result for name, one in found.items()}


def test_a_posting_goes_through_all_jobs_and_is_posted(tmp_path: Path) -> None:
    found = host(tmp_path, issue="7", sha="a" * 40, component="libfuse").run(DATA["apply-and-test"])
    assert ends(found) == dict.fromkeys(
        ("base", "plan", "shard (shard-01.json)", "shard (shard-02.json)", "shard", "judge", "post"), "success"
    ), {name: one.log for name, one in found.items()}
    assert [words[0] for words in calls(tmp_path)] == [
        "warm",
        "apply-and-test",
        "run-shard",
        "run-shard",
        "merge-shards",
        "post",
        "post",
    ]
    assert json.loads((tmp_path / "merged").read_text()) == ["shard-01.json", "shard-02.json"]
    assert found["judge"].outputs == {"verdict": "PASS", "run": RUN} and found["judge"].summary == "# PASS\n"
    common = ["post", "--to", "github", "--send", "--repository=owner/name", f"--url={PAGE}"]
    assert calls(tmp_path)[-2:] == [
        [*common, "--issue=7", "--component=libfuse", "--", f"./runs/{RUN}"],
        [*common, f"--sha={'a' * 40}", "--component=libfuse", "--", f"./runs/{RUN}"],
    ]


def test_the_cache_is_that_of_the_unpatched_stack_also_next_time(tmp_path: Path) -> None:
    place = host(tmp_path)
    place.run(DATA["apply-and-test"])
    (kept,) = (tmp_path / "host" / "stored" / "cache").iterdir()
    assert (kept / "stack").read_text() == "unpatched"
    again = RunnerHost(tmp_path / "again", place.tools, place.inputs, place.variables)
    (tmp_path / "again").mkdir()
    (tmp_path / "host" / "stored").rename(tmp_path / "again" / "stored")
    found = again.run(DATA["apply-and-test"])
    assert "Build the unpatched stack" not in found["base"].done and found["judge"].result == "success"


@pytest.mark.parametrize(("workflow", "fails"), [("apply-and-test", ""), ("apply-and-test", "plan"), ("review", "")])
def test_the_job_that_posts_can_be_run_again_by_itself(tmp_path: Path, workflow: str, fails: str) -> None:
    place = host(tmp_path, fails=fails, issue="7")
    first = place.run(DATA[workflow])
    again = place.again(DATA[workflow], "post", first)
    assert again.result == "success", again.log
    before, after = calls(tmp_path)[-2:]
    assert before == after and before[0] == "post"


def test_every_job_that_runs_the_tool_on_a_posting_takes_the_repository_s_site_file(tmp_path: Path) -> None:
    place = host(tmp_path)
    place.checkout = {"site.yaml": "soak: 5\n"}
    place.run(DATA["apply-and-test"])
    sites = {words[0]: site for words, _, site in told(tmp_path)}
    assert set(sites) == {"warm", "apply-and-test", "run-shard", "merge-shards"}
    assert all(site.endswith("/workspace/site.yaml") for site in sites.values())


def test_a_regression_makes_the_job_red_and_is_posted_all_the_same(tmp_path: Path) -> None:
    found = host(tmp_path, fails="judge", issue="7").run(DATA["apply-and-test"])
    assert (found["judge"].result, found["post"].result) == ("failure", "success")
    assert found["judge"].outputs["verdict"] == "REGRESSION" and calls(tmp_path)[-1][0] == "post"


def test_a_shard_that_is_lost_is_judged_as_lost(tmp_path: Path) -> None:
    found = host(tmp_path, fails="shard").run(DATA["apply-and-test"])
    assert (found["shard"].result, found["judge"].result, found["post"].result) == ("failure", "success", "skipped")
    assert json.loads((tmp_path / "merged").read_text()) == ["shard-01.json"]


def test_a_series_that_does_not_build_ends_early_with_its_verdict_and_is_posted(tmp_path: Path) -> None:
    found = host(tmp_path, fails="plan", issue="7").run(DATA["apply-and-test"])
    assert ends(found) == {
        "base": "success",
        "plan": "failure",
        "shard": "skipped",
        "judge": "skipped",
        "post": "success",
    }
    assert found["plan"].outputs["verdict"] == "BUILD-FAILS" and "BUILD-FAILS" in found["plan"].summary
    assert calls(tmp_path)[-1][-1] == f"./runs/{RUN}"


@pytest.mark.parametrize(("only_series", "end"), [(False, "failure"), (True, "success")])
def test_a_posting_that_is_blocked_makes_a_job_red_unless_only_the_series_may(
    tmp_path: Path, only_series: bool, end: str
) -> None:
    found = host(tmp_path, fails="blocked", issue="7", **{"only-series-fails": only_series}).run(DATA["apply-and-test"])
    assert ends(found) == {"base": "success", "plan": end, "shard": "skipped", "judge": "skipped", "post": "success"}
    assert found["plan"].outputs["verdict"] == "BLOCKED" and "BLOCKED" in found["plan"].summary
    assert ("::warning::BLOCKED" in found["plan"].log) is only_series
    assert "Keep the shards" not in found["plan"].done


@pytest.mark.parametrize("issue", ["", "7"])
def test_a_review_goes_through_its_jobs(tmp_path: Path, issue: str) -> None:
    found = host(tmp_path, issue=issue).run(DATA["review"])
    assert ends(found) == {"base": "success", "review": "success", "post": "success" if issue else "skipped"}
    assert [words[0] for words in calls(tmp_path)] == ["warm", "review", *(["post"] if issue else [])]
    assert found["review"].outputs == {"verdict": "PASS", "run": RUN}


def test_without_a_package_nothing_runs(tmp_path: Path) -> None:
    place = host(tmp_path)
    place.variables = {}
    found = place.run(DATA["apply-and-test"])
    assert found["base"].result == "failure" and found["plan"].result == "failure"
    assert not (tmp_path / "calls").exists()


def test_the_tests_of_reviewbot_itself_are_run_by_make(tmp_path: Path) -> None:
    place = host(tmp_path)
    (place.tools / "make").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/made\n')
    (place.tools / "make").chmod(0o755)
    assert ends(place.run(DATA["self-test"])) == {"quick": "success", "all": "success"}
    assert (tmp_path / "made").read_text() == "quick\ntest\n"
