# SPDX-License-Identifier: GPL-2.0-or-later
"""What `reviewbot runs` says of runs that ended, run, or were killed."""

import datetime
import json

import pytest

from reviewbot.cli.hosts import age
from reviewbot.model.artifacts import Artifacts
from reviewbot.model.lock import Lock
from reviewbot.model.review import Severity
from reviewbot.model.trees import Tree, Trees
from reviewbot.model.verdict import FindingKind, SaidFinding, SaidVerdict, VerdictKind
from reviewbot.store import Runs
from tests.mails import posting
from tests.store.test_runs import another_process
from tests.user import User

INCOMPLETE = [m for m in posting() if b"Message-ID: <libfuse.2@" not in m]
NOW = datetime.datetime(2026, 11, 29, 12, 0, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("before", "words"),
    [
        ({"seconds": 5}, "5 s ago"),
        ({"minutes": 1}, "1 min ago"),
        ({"minutes": 119}, "119 min ago"),
        ({"hours": 3}, "3 h ago"),
        ({"days": 12}, "12 d ago"),
        ({"seconds": -30}, "0 s ago"),
        ({"days": -30000}, "2109-01-18"),
    ],
)
def test_age(before: dict[str, int], words: str) -> None:
    assert age(NOW - datetime.timedelta(**before), NOW) == words


def rows(user: User) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(user.call("runs", "--json").stdout)
    return found


def test_a_run_that_is_being_made_is_running_and_says_since_when_and_what(user: User) -> None:
    with another_process(user.folder / "data" / "runs") as (process, run):
        (row,) = rows(user)
        assert (row["run"], row["verdict"], row["command"]) == (run, "running", "review")
        assert row["line"] == ["review", "a@b"]
        refused = user.refuses(2, f"run {run} has no summary.md yet: it is still running", "report", "latest")
        assert str(user.folder) in refused
        process.kill()
        process.wait()
        (row,) = rows(user)
        assert row["verdict"] == "interrupted"
        user.refuses(2, "it was interrupted", "report", "latest")


def test_a_run_says_its_command_duration_and_verdict(user: User) -> None:
    done = user.call("review", "--no-build", "--mbox", user.thread(INCOMPLETE))
    assert done.returncode == 3, done.stderr
    (row,) = rows(user)
    assert row["command"] == "review"
    assert row["line"] == ["review", "--no-build", "--mbox", str(user.folder / "thread.mbox")]
    assert isinstance(row["seconds"], float) and row["started"]
    assert row["verdict"] == json.loads((user.runs[0] / "verdict.json").read_bytes())["kind"] == "BLOCKED"


def test_repetitions_of_one_command_are_one_line_unless_all_are_wanted(user: User) -> None:
    for _ in range(3):
        user.call("review", "--mbox", user.thread(INCOMPLETE))
    (line,) = user.call("runs").stdout.splitlines()
    assert line.endswith("(3 times)") and Runs(user.folder / "data" / "runs").list()[-1].id in line
    assert len(user.call("runs", "--all").stdout.splitlines()) == len(rows(user)) == 3


def test_one_run_says_what_was_found_and_at_which_commits(user: User) -> None:
    run = Runs(user.folder / "data" / "runs").create()
    tree = Tree(
        component="libfuse",
        repository="r",
        source="Debian package fuse3 3.17.2-3 (trixie)",
        base_commit="f" * 40,
        base_tree="e" * 40,
        base_why="w",
        head_commit="a" * 40,
        head_tree="b" * 40,
    )
    lock = Lock(
        run=run.id,
        tool="t",
        stack="fuse",
        top="a@b",
        mails_sha256="",
        trees=Trees(trees=(tree,)),
        artifacts=Artifacts(),
    )
    what = "fuse2fs smoke/rename FAIL 2/2 on head, 0/2 on base: it is gone"
    finding = SaidFinding(kind=FindingKind.TEST, severity=Severity.ERROR, what=what)
    verdict = SaidVerdict(run=run.id, kind=VerdictKind.REGRESSION, summary="1 test is worse", findings=(finding,))
    run.write("lock.json", lock)
    run.write("verdict.json", verdict)
    said = user.call("runs", run.id).stdout.splitlines()
    assert said[0].startswith(f"{run.id}  REGRESSION")
    assert said[1:4] == [
        "1 test is worse",
        f"  {what}",
        "libfuse: ffffffffffff (Debian package fuse3 3.17.2-3 (trixie)), unpatched",
    ]
    found = json.loads(user.call("runs", run.id, "--json").stdout)
    assert found["findings"] == [what] and found["commits"] == {"libfuse": {"base": "f" * 40, "head": "a" * 40}}


def test_a_run_of_an_older_version_is_listed_with_what_it_recorded(user: User) -> None:
    folder = user.folder / "data" / "runs" / "20261101-101112-abcd"
    folder.mkdir(parents=True)
    plan = {"posting": {"subject": "[PATCH] fuse: do this"}, "legs": [{"leg": "ext4"}], "suites": ["smoke"]}
    (folder / "plan.json").write_text(json.dumps(plan))
    (row,) = rows(user)
    assert (row["verdict"], row["command"], row["legs"], row["seconds"]) == (
        "interrupted",
        "apply-and-test",
        ["ext4"],
        None,
    )
    assert row["started"] == "2026-11-01T10:11:12+00:00"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"posting": 3, "legs": "x"}', '{"legs": [1], "posting": {}}'])
def test_a_damaged_run_does_not_keep_the_others_from_being_listed(user: User, text: str) -> None:
    runs = Runs(user.folder / "data" / "runs")
    for name in ("plan.json", "run.json", "verdict.json"):
        broken = runs.create()
        (broken.path / name).write_text(text)
    whole = runs.create()
    done = user.call("runs", "--all")
    assert done.returncode == 0, done.stderr
    assert whole.id in done.stdout and len(done.stdout.splitlines()) == 4
