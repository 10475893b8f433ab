# SPDX-License-Identifier: GPL-2.0-or-later
"""What `reviewbot runs` says of runs that ended, run, or were killed."""

import datetime
import json

import pytest

from reviewbot.cli.hosts import age
from reviewbot.store import Runs
from tests.cli.world import World
from tests.mails import posting
from tests.store.test_runs import another_process

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


def rows(world: World) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(world.call("runs", "--json").stdout)
    return found


def test_a_run_that_is_being_made_is_running_and_says_since_when_and_what(world: World) -> None:
    with another_process(world.folder / "data" / "runs") as (process, run):
        (row,) = rows(world)
        assert (row["run"], row["verdict"], row["command"]) == (run, "running", "review")
        assert row["line"] == ["review", "a@b"]
        refused = world.refuses(2, f"run {run} has no summary.md yet: it is still running", "report", "latest")
        assert str(world.folder) in refused
        process.kill()
        process.wait()
        (row,) = rows(world)
        assert row["verdict"] == "interrupted"
        world.refuses(2, "it was interrupted", "report", "latest")


def test_a_run_says_its_command_duration_and_verdict(world: World) -> None:
    done = world.call("review", "--no-build", "--mbox", world.thread(INCOMPLETE))
    assert done.returncode == 3, done.stderr
    (row,) = rows(world)
    assert row["command"] == "review"
    assert row["line"] == ["review", "--no-build", "--mbox", str(world.folder / "thread.mbox")]
    assert isinstance(row["seconds"], float) and row["started"]
    assert row["verdict"] == json.loads((world.runs[0] / "verdict.json").read_bytes())["kind"] == "BLOCKED"


def test_repetitions_of_one_command_are_one_line_unless_all_are_wanted(world: World) -> None:
    for _ in range(3):
        world.call("review", "--mbox", world.thread(INCOMPLETE))
    (line,) = world.call("runs").stdout.splitlines()
    assert line.endswith("(3 times)") and Runs(world.folder / "data" / "runs").list()[-1].id in line
    assert len(world.call("runs", "--all").stdout.splitlines()) == len(rows(world)) == 3


def test_a_run_of_an_older_version_is_listed_with_what_it_recorded(world: World) -> None:
    folder = world.folder / "data" / "runs" / "20261101-101112-abcd"
    folder.mkdir(parents=True)
    plan = {"posting": {"subject": "[PATCH] fuse: do this"}, "legs": [{"leg": "ext4"}], "suites": ["smoke"]}
    (folder / "plan.json").write_text(json.dumps(plan))
    (row,) = rows(world)
    assert (row["verdict"], row["command"], row["legs"], row["seconds"]) == (
        "interrupted",
        "apply-and-test",
        ["ext4"],
        None,
    )
    assert row["started"] == "2026-11-01T10:11:12+00:00"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"posting": 3, "legs": "x"}', '{"legs": [1], "posting": {}}'])
def test_a_damaged_run_does_not_keep_the_others_from_being_listed(world: World, text: str) -> None:
    runs = Runs(world.folder / "data" / "runs")
    for name in ("plan.json", "run.json", "verdict.json"):
        broken = runs.create()
        (broken.path / name).write_text(text)
    whole = runs.create()
    done = world.call("runs", "--all")
    assert done.returncode == 0, done.stderr
    assert whole.id in done.stdout and len(done.stdout.splitlines()) == 4
