# SPDX-License-Identifier: GPL-2.0-or-later
"""The GitHub workflows: what they may do, and what their scripts do with what strangers give it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from reviewbot.host.data import data_path
from tests.command import called
from tests.conftest import ROOT
from tests.repos import git

NAMES = ("apply-and-test", "review")
"""Those that take a posting."""
ALL = (*NAMES, "run-shards", "self-test")
TEXTS = {name: data_path(f"workflows/{name}.yml").read_text() for name in ALL}
DATA: dict[str, dict[Any, Any]] = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
STEPS: dict[str, list[dict[str, Any]]] = {
    name: [step for job in DATA[name]["jobs"].values() for step in job["steps"]] for name in ALL
}
every_workflow = pytest.mark.parametrize("workflow", ALL)
of_a_posting = pytest.mark.parametrize("workflow", NAMES)


def step(workflow: str, name: str) -> dict[str, Any]:
    return next(s for s in STEPS[workflow] if s.get("name") == name)


def test_every_workflow_is_tested() -> None:
    assert {path.stem for path in data_path("workflows").glob("*.yml")} == set(ALL)


@every_workflow
def test_it_has_the_published_schema(workflow: str) -> None:
    path = data_path(f"workflows/{workflow}.yml")
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@every_workflow
def test_what_runs_a_postings_code_has_no_rights_and_no_secrets(workflow: str) -> None:
    assert DATA[workflow]["permissions"] == {}
    jobs = {name: job for name, job in DATA[workflow]["jobs"].items() if name != "post"}
    assert all(job["permissions"] == {"contents": "read"} for job in jobs.values())
    text = yaml.safe_dump(jobs)
    assert not re.search(r"secrets\.|GITHUB_TOKEN|github\.token", text)
    assert "pull_request_target" not in TEXTS[workflow] and "secrets." not in TEXTS[workflow]
    checkouts = [s for s in STEPS[workflow] if s.get("uses", "").startswith("actions/checkout@")]
    assert checkouts and all(checkout["with"]["persist-credentials"] is False for checkout in checkouts)


@of_a_posting
def test_what_has_a_token_runs_nothing_of_a_posting_and_restores_nothing(workflow: str) -> None:
    post = DATA[workflow]["jobs"]["post"]
    assert post["permissions"] == {"checks": "write", "issues": "write", "pull-requests": "write"}
    assert "container" not in post
    uses = [s["uses"].partition("@")[0] for s in post["steps"] if "uses" in s]
    assert uses == ["actions/download-artifact"]
    holders = [s["name"] for s in post["steps"] if "github.token" in yaml.safe_dump(s)]
    assert holders == ["Post"]
    calls = [line.split()[:2] for s in post["steps"] for line in s.get("run", "").splitlines() if "reviewbot " in line]
    assert calls == [["reviewbot", "post"]]


@every_workflow
def test_every_action_is_pinned_by_commit(workflow: str) -> None:
    uses = [s["uses"] for s in STEPS[workflow] if "uses" in s]
    assert uses
    assert all(re.fullmatch(r"[\w.-]+(/[\w.-]+){1,3}@[0-9a-f]{40}", use) for use in uses), uses


@of_a_posting
def test_only_the_job_that_reads_no_posting_writes_the_cache(workflow: str) -> None:
    """What a posting's code could have written must never be input of another posting."""
    writers = {
        name
        for name, job in DATA[workflow]["jobs"].items()
        for s in job["steps"]
        if re.match(r"actions/cache(/save)?@", s.get("uses", ""))
    }
    assert writers == {"base"}
    base = DATA[workflow]["jobs"]["base"]
    assert "inputs." not in yaml.safe_dump(base)
    calls = [line for s in base["steps"] for line in s.get("run", "").splitlines() if line.startswith("reviewbot ")]
    assert len(calls) == 1 and calls[0].split()[:2] == ["reviewbot", "warm"]
    restored = [
        s
        for name, job in DATA[workflow]["jobs"].items()
        if name != "base"
        for s in job["steps"]
        if s.get("uses", "").startswith("actions/cache/restore@")
    ]
    assert restored and all(s["with"]["key"] == "${{ needs.base.outputs.key }}" for s in restored)
    keep = next(s for s in base["steps"] if s.get("name") == "Keep it")
    assert keep["with"]["key"] == "${{ steps.key.outputs.key }}" and "run_id" not in yaml.safe_dump(base)


INSTALLS = [(name, s["run"]) for name in NAMES for s in STEPS[name] if s.get("name") == "Install"]


@pytest.mark.parametrize(
    "package",
    [
        "",
        "reviewbot",
        "reviewbot==1.0",
        "git+https://example.org/reviewbot",
        "git+https://example.org/reviewbot@main",
        "git+https://example.org/reviewbot@v1.0",
        f"git+http://example.org/reviewbot@{'a' * 40}",
        f"git+https://example.org/reviewbot@{'a' * 39}",
        f"--index-url=https://evil git+https://example.org/x@{'a' * 40}",
        f"git+https://example.org/$(touch pwned)@{'a' * 40}",
    ],
)
def test_nothing_is_installed_that_is_not_pinned_by_commit(tmp_path: Path, package: str) -> None:
    bash = shutil.which("bash") or "bash"
    for _, script in INSTALLS:
        done = subprocess.run(
            [bash, "--noprofile", "--norc", "-eo", "pipefail", "-c", script], cwd=tmp_path, text=True,
            capture_output=True, check=False, env={"PATH": str(tmp_path), "REVIEWBOT_PACKAGE": package},
        )  # fmt: skip
        assert done.returncode == 2, done.stderr
        assert done.stdout.splitlines() == [
            "::error::set the variable REVIEWBOT_PACKAGE to git+https://HOST/OWNER/reviewbot@COMMIT, all 40 digits"
        ]
        assert not (tmp_path / "pwned").exists()


@of_a_posting
def test_no_package_is_installed_by_a_name_that_anybody_may_register(workflow: str) -> None:
    assert DATA[workflow]["env"]["REVIEWBOT_PACKAGE"] == "${{ vars.REVIEWBOT_PACKAGE }}"
    for name, script in INSTALLS:
        pips = [line for line in script.splitlines() if "pip" in line and "install" in line]
        assert len(pips) == 2, name
        assert "--require-hashes" in pips[0] and "requirements.lock" in pips[0]
        assert "--no-deps" in pips[1] and "--no-build-isolation" in pips[1]


def test_the_install_step_installs_that_commit_with_hashes(tmp_path: Path) -> None:
    """Against a repository on this machine, with a pip and an apt-get that only tell how they were called."""
    source = tmp_path / "source"
    git(tmp_path, "clone", "--quiet", "--no-local", "--depth=1", f"file://{ROOT}", str(source))
    commit = git(source, "rev-parse", "HEAD")
    (tmp_path / "bin").mkdir()
    for tool, text in (
        ("apt-get", "exit 0"),
        ("git", f'exec /usr/bin/git -c url.file://{source}.insteadOf=https://example.org/reviewbot "$@"'),
        ("python3", f'mkdir -p "$3/bin"; cp {tmp_path}/bin/pip "$3/bin/pip"'),
        ("pip", f'echo "$@" >> {tmp_path}/pips'),
    ):
        path = tmp_path / "bin" / tool
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
    script = INSTALLS[0][1].replace("home=/opt/reviewbot", f"home={tmp_path}/home")
    env = {
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "REVIEWBOT_PACKAGE": f"git+https://example.org/reviewbot@{commit}",
        "GITHUB_PATH": str(tmp_path / "path"), "GITHUB_ENV": str(tmp_path / "env"), "GITHUB_WORKSPACE": "/w",
        "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
    }  # fmt: skip
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert git(tmp_path / "home" / "source", "rev-parse", "HEAD") == commit
    first, second = (tmp_path / "pips").read_text().splitlines()
    assert first == f"install --quiet --require-hashes --requirement {tmp_path}/home/source/requirements.lock"
    assert second == f"install --quiet --no-deps --no-build-isolation {tmp_path}/home/source"
    assert (tmp_path / "path").read_text() == f"{tmp_path}/home/bin\n"


@every_workflow
def test_no_expression_reaches_a_script(workflow: str) -> None:
    assert [s["run"] for s in STEPS[workflow] if "${{" in s.get("run", "")] == []


@pytest.mark.parametrize("script", [s["run"] for name in ALL for s in STEPS[name] if "run" in s])
def test_scripts_are_bash(script: str) -> None:
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


def play(workflow: str, name: str, folder: Path, status: int, **env: str) -> subprocess.CompletedProcess[str]:
    """Run one step's script as GitHub does, with a `reviewbot` that only tells how it was called."""
    (folder / "bin").mkdir()
    tool = folder / "bin" / "reviewbot"
    tool.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > called\necho "::error::from the guest"\nexit {status}\n')
    tool.chmod(0o755)
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step(workflow, name)["run"]], cwd=folder, text=True,
        capture_output=True, check=False, env={"PATH": f"{folder}/bin:{os.environ['PATH']}", **env},
    )  # fmt: skip


EVIL = 'x@y"; touch pwned; $(touch pwned) `touch pwned` #'


CUT = "Apply, build, and cut"


@pytest.mark.parametrize("status", [0, 1, 3, 4])
def test_the_jobs_status_is_the_tools_and_patches_cannot_command_the_runner(tmp_path: Path, status: int) -> None:
    done = play("review", "Review", tmp_path, status, MESSAGE_ID=EVIL, GITHUB_OUTPUT=str(tmp_path / "output"))
    assert (done.returncode, (tmp_path / "output").read_text()) == (0, f"status={status}\n")
    assert not (tmp_path / "pwned").exists()
    words = (tmp_path / "called").read_text().splitlines()
    assert words == ["review", "--", EVIL]
    first, said, last = done.stdout.splitlines()
    token = re.fullmatch(r"::stop-commands::([0-9a-f]{32})", first)
    assert token and said == "::error::from the guest" and last == f"::{token[1]}::"


@pytest.mark.parametrize("rfc", ["", "yes"])
@pytest.mark.parametrize("workflow, name", [("apply-and-test", CUT), ("review", "Review")])
def test_rfc_parts_are_asked_for_by_an_input(tmp_path: Path, workflow: str, name: str, rfc: str) -> None:
    given = {"MESSAGE_ID": "x@y", "RFC": rfc, "SHARDS": "8", "GITHUB_OUTPUT": str(tmp_path / "output")}
    play(workflow, name, tmp_path, 0, **given)
    assert ("--rfc" in (tmp_path / "called").read_text().splitlines()) is bool(rfc)


def test_every_input_reaches_the_command_line_and_an_empty_one_does_not(tmp_path: Path) -> None:
    given = {"LEGS": "ext4", "SUITES": "smoke", "TESTS": "-g quick", "BUDGET": "2h", "VARIANT": "kasan", "WAIT": "90m",
             "LATEST": "yes", "RFC": "yes", "BASE": "kernel=v6.19 libfuse=master", "SHARDS": "12"}  # fmt: skip
    play("apply-and-test", CUT, tmp_path, 0, MESSAGE_ID="x@y", **given, GITHUB_OUTPUT="/dev/null")
    assert (tmp_path / "called").read_text().splitlines() == [
        "apply-and-test", "--legs=ext4", "--suites=smoke", "--tests=-g quick", "--budget=2h", "--variant=kasan",
        "--wait=90m", "--latest", "--rfc", "--base=kernel=v6.19", "--base=libfuse=master", "--shards=12",
        "--shard-dir=cut", "--json", "--", "x@y",
    ]  # fmt: skip
    (tmp_path / "empty").mkdir()
    play("apply-and-test", CUT, tmp_path / "empty", 0, MESSAGE_ID="x@y", SHARDS="8", GITHUB_OUTPUT="/dev/null")
    assert (tmp_path / "empty" / "called").read_text().splitlines() == [
        "apply-and-test", "--shards=8", "--shard-dir=cut", "--json", "--", "x@y",
    ]  # fmt: skip
    variables = set(step("apply-and-test", CUT)["env"])
    inputs = set(DATA["apply-and-test"][True]["workflow_dispatch"]["inputs"])
    elsewhere = {"series", "issue", "sha", "component", "only-series-fails"}
    assert variables == {name.upper().replace("-", "_") for name in inputs - elsewhere} | {"ONLY_SERIES"}


@of_a_posting
def test_whoever_calls_may_say_what_whoever_clicks_may_say(workflow: str) -> None:
    on = DATA[workflow][True]
    assert set(on["workflow_call"]["inputs"]) == set(on["workflow_dispatch"]["inputs"])
    for name, one in on["workflow_dispatch"]["inputs"].items():
        assert set(one) <= {"description", "required", "default", "type"}, name
        without = {key: value for key, value in one.items() if key != "description"}
        assert on["workflow_call"]["inputs"][name] == without


@pytest.mark.parametrize("shards", ["0", "257", "-1", "", "x", "8;reboot", EVIL])
def test_a_matrix_that_github_would_refuse_is_refused_first(tmp_path: Path, shards: str) -> None:
    done = play("apply-and-test", CUT, tmp_path, 0, MESSAGE_ID="x@y", SHARDS=shards, GITHUB_OUTPUT="/dev/null")
    assert done.returncode == 2 and "from 1 to 256" in done.stdout and not (tmp_path / "called").exists()


@of_a_posting
def test_a_newer_version_cancels_an_older_one(workflow: str) -> None:
    concurrency = DATA[workflow]["concurrency"]
    assert concurrency["cancel-in-progress"] is True
    assert concurrency["group"].endswith("${{ inputs.series || inputs.message-id }}")


@of_a_posting
@pytest.mark.parametrize(
    ("status", "only_series", "end", "words"),
    [
        ("0", "", 0, ""), ("1", "", 1, ""), ("3", "", 3, ""), ("4", "", 4, ""), ("", "", 4, ""),
        ("1", "yes", 1, ""), ("2", "yes", 2, ""), ("3", "yes", 0, "::warning::BLOCKED"),
        ("4", "yes", 0, "::warning::INFRA"),
    ],
)  # fmt: skip
def test_the_job_ends_as_the_tool_or_only_for_the_series(
    tmp_path: Path, workflow: str, status: str, only_series: str, end: int, words: str
) -> None:
    done = play(
        workflow,
        "Verdict",
        tmp_path,
        0,
        STATUS=status,
        ONLY_SERIES=only_series,
        REVIEWBOT_DATA=str(tmp_path),
        GITHUB_OUTPUT=str(tmp_path / "output"),
    )
    assert done.returncode == end, done.stderr
    assert done.stdout.startswith(words) and bool(done.stdout) is bool(words)


@of_a_posting
def test_a_caller_gets_the_verdict_and_the_run(tmp_path: Path, workflow: str) -> None:
    run = tmp_path / "runs" / "latest"
    run.mkdir(parents=True)
    (run / "verdict.json").write_text(
        '{"run": "20261129-034422-e203", "kind": "BUILD-FAILS", "summary": "x\\nrun=evil"}'
    )
    output = tmp_path / "output"
    play(workflow, "Verdict", tmp_path, 0, STATUS="1", REVIEWBOT_DATA=str(tmp_path), GITHUB_OUTPUT=str(output))
    assert output.read_text() == "verdict=BUILD-FAILS\nrun=20261129-034422-e203\n"
    outputs = DATA[workflow][True]["workflow_call"]["outputs"]
    assert set(outputs) == {"verdict", "run"}


@pytest.mark.parametrize("words", [["plan", "--legs=", "--suites=smoke", "--tests="], ["review"]])
def test_the_call_is_one_that_the_command_line_takes(words: list[str]) -> None:
    done = called(*words, "--rfc", "--mbox=/nowhere", "--", "-odd@example.org")
    assert done.returncode == 2 and "/nowhere" in done.stderr, done.stderr


@of_a_posting
def test_the_summary_is_shown_and_bounded(tmp_path: Path, workflow: str) -> None:
    run = tmp_path / "data" / "runs" / "latest"
    run.mkdir(parents=True)
    (run / "summary.md").write_text("# PASS\n" + "x" * 2_000_000)
    shown = tmp_path / "shown"
    done = play(workflow, "Summary", tmp_path, 0, REVIEWBOT_DATA=str(tmp_path / "data"), GITHUB_STEP_SUMMARY=str(shown))
    assert done.returncode == 0
    assert shown.read_text().startswith("# PASS") and shown.stat().st_size <= 1 << 20


@of_a_posting
def test_a_job_without_a_run_says_so(tmp_path: Path, workflow: str) -> None:
    shown = tmp_path / "shown"
    done = play(workflow, "Summary", tmp_path, 0, REVIEWBOT_DATA=str(tmp_path / "data"), GITHUB_STEP_SUMMARY=str(shown))
    assert done.returncode == 0 and "No run was made" in shown.read_text()


def test_the_caller_of_the_documents_has_the_published_schema(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "workflows.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "caller.yml").write_text(example)
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows",
         str(tmp_path / "caller.yml")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    given = set(yaml.safe_load(example)["jobs"]["test"]["with"])
    assert given <= set(DATA["apply-and-test"][True]["workflow_call"]["inputs"])


@pytest.mark.parametrize("status", [0, 1, 4])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        (CUT, ["apply-and-test", "--legs=ext4", "--shards=8", "--shard-dir=cut", "--json", "--", EVIL]),
        ("Run the shard", ["run-shard", f"--output=results/{EVIL}", "--", f"cut/{EVIL}"]),
        ("Merge", ["merge-shards", "--", "cut", "results"]),
    ],
)
def test_each_job_of_a_matrix_ends_with_the_tools_status(
    tmp_path: Path, name: str, words: list[str], status: int
) -> None:
    given = {"MESSAGE_ID": EVIL, "LEGS": "ext4", "TESTS": "", "SHARDS": "8", "SHARD": EVIL}
    (tmp_path / "output").touch()
    done = play("apply-and-test", name, tmp_path, status, **given, GITHUB_OUTPUT=str(tmp_path / "output"))
    assert (tmp_path / "called").read_text().splitlines() == words
    assert not (tmp_path / "pwned").exists()
    assert done.stdout.startswith("::stop-commands::")
    if name == "Merge":
        assert (done.returncode, (tmp_path / "output").read_text()) == (0, f"status={status}\n")
    elif name != CUT or status:  # the fake tool prints no JSON
        assert done.returncode == status and (tmp_path / "output").read_text() == ""


def test_the_calls_for_shards_are_ones_that_the_command_line_takes(tmp_path: Path) -> None:
    calls = [
        ["apply-and-test", "--legs=", "--tests=", "--shards=8", "--shard-dir=cut", "--json", "--mbox=/nowhere"],
        ["run-shard", "--output=/nowhere/r.json", "--", "/nowhere"], ["merge-shards", "--", "/nowhere", "/nowhere"],
    ]  # fmt: skip
    for words in calls:
        done = called(*words, cwd=tmp_path)
        assert done.returncode == 2 and "/nowhere" in done.stderr, done.stderr
