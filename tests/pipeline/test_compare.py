# SPDX-License-Identifier: GPL-2.0-or-later
"""A run that was cut into shards is judged where they are merged as one that was not cut."""

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from reviewbot import build, lab
from reviewbot.config import Site, load_stack
from reviewbot.host.paths import data_dir
from reviewbot.lab import Accelerator
from reviewbot.model.artifacts import Artifacts
from reviewbot.model.comparison import Class, Compared, Comparison
from reviewbot.model.errors import InfraError
from reviewbot.model.lock import Lock
from reviewbot.model.plan import LegPlan, Plan
from reviewbot.model.posting import Posting
from reviewbot.model.progress import Event, silent
from reviewbot.model.results import LegResult, Outcome
from reviewbot.model.trees import Trees
from reviewbot.pipeline.compare import Head, compared, merged
from reviewbot.pipeline.run import Run
from reviewbot.runner import Context
from tests.played import LEG, TESTS, Lab, World, other, with_build

FIRST = TESTS[0]
SMOKE = Compared(leg=LEG.name, suite="smoke", test="rename", outcome=Outcome.FAIL, kind=Class.FLAKY)
PLAN = Plan(
    posting=Posting(top="cover@example.org", subject="a series", author="A <a@x>", source="a test", parts=()),
    rfc=False,
    sources=(),
    legs=(LegPlan(leg=LEG.name, why="it is there", needs=LEG.needs),),
    suites=("smoke", "fstests"),
    tests="-g auto",
    blame=0.0,
)


@dataclass(frozen=True, slots=True)
class Played(Head):
    """Its base is there already."""

    def at(self, commits: Mapping[str, str]) -> Context:
        return with_build(self.context, artifacts=other(self.context.build.artifacts), patched=())


@pytest.fixture
def world(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("REVIEWBOT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("REVIEWBOT_CACHE", str(tmp_path / "cache"))
    return world


def run_of(context: Context) -> Run:
    return Run.of(context.run, PLAN, load_stack(), Site(), silent)


def results_of(world: World, context: Context, script: dict[str, list[str]]) -> LegResult:
    return world.run("smoke", "fstests", lab=Lab(script=script), context=context)


def test_smoke_was_compared_where_the_shards_were_made_and_is_not_run_again(world: World) -> None:
    context = world.context()
    result = results_of(world, context, {FIRST: ["fail"]})
    head = Played(run_of(context), context)
    lab = Lab(script={FIRST: ["done", "fail"] * 9})
    with world.playing(lab):
        found = compared(head, [result], Comparison(tests=(SMOKE,)))
    assert [(one.suite, one.kind) for one in found.tests] == [("smoke", Class.FLAKY), ("fstests", Class.NEW)]
    assert {test for asked in lab.asked for test in asked} == {FIRST}
    assert Comparison.model_validate_json((context.run.path / "comparison.json").read_bytes()) == found


def test_a_history_that_cannot_be_used_is_one_line_and_the_run_goes_on(world: World) -> None:
    heard: list[Event] = []
    context = replace(world.context(), progress=heard.append)
    result = results_of(world, context, {FIRST: ["fail"]})
    data_dir().mkdir(exist_ok=True)
    (data_dir() / "history.sqlite").write_text("no database\n" * 100)
    head = Played(run_of(context), context)
    with world.playing(Lab(script={FIRST: ["done", "fail"] * 9})):
        found = compared(head, [result], Comparison(tests=(SMOKE,)))
    assert [one.kind for one in found.tests] == [Class.FLAKY, Class.NEW]
    (told,) = (event.text for event in heard if event.state == "say" and event.what == "history")
    assert "history.sqlite" in told and "this run does without" in told


def lock_of(world: World) -> Lock:
    return Lock(
        run="r",
        tool="t",
        stack="fuse",
        top=PLAN.posting.top,
        mails_sha256="0",
        trees=Trees(trees=()),
        artifacts=world.artifacts,
    )


def test_a_host_that_can_boot_nothing_says_what_it_could_not_compare(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = world.context()
    result = results_of(world, context, {FIRST: ["fail"]})
    monkeypatch.setenv("PATH", str(tmp_path))
    found = merged(run_of(context), lock_of(world), [result], Comparison(tests=(SMOKE,)))
    assert [(one.test, one.kind) for one in found.tests] == [("rename", Class.FLAKY), (FIRST, Class.UNCOMPARED)]
    assert "is not installed" in found.base_problem


def test_when_all_shards_passed_nothing_has_to_be_there(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = world.context()
    result = results_of(world, context, {})
    monkeypatch.setenv("PATH", str(tmp_path))
    found = merged(run_of(context), lock_of(world), [result], Comparison(tests=(SMOKE,)))
    assert found == Comparison(tests=(SMOKE,))


@dataclass(frozen=True, slots=True)
class Full(Head):
    """No base can be built on a disk that is full."""

    number: int = errno.ENOSPC

    def at(self, commits: Mapping[str, str]) -> Context:
        raise OSError(self.number, os.strerror(self.number))


def test_a_full_disk_ends_the_comparison_with_one_line_and_what_head_said_stays(world: World) -> None:
    context = world.context()
    result = results_of(world, context, {FIRST: ["fail"]})
    found = compared(Full(run_of(context), context), [result])
    assert found.unfinished == "No space left on device: free some space and run the command again to resume"
    assert [(one.test, one.kind) for one in found.tests] == [(FIRST, Class.UNCOMPARED)]


def test_reruns_that_get_no_machine_leave_what_head_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise InfraError("this host's boxes are gone")

    context = world.context()
    result = results_of(world, context, {FIRST: ["fail"]})
    monkeypatch.setattr("reviewbot.pipeline.reruns.run_legs", refused)
    found = compared(Played(run_of(context), context), [result])
    assert found.unfinished == "this host's boxes are gone"
    assert [(one.test, one.kind) for one in found.tests] == [(FIRST, Class.UNCOMPARED)]


def test_another_error_of_the_host_is_not_taken_for_a_full_disk(world: World) -> None:
    context = world.context()
    result = results_of(world, context, {FIRST: ["fail"]})
    with pytest.raises(OSError, match="Input/output error"):
        compared(Full(run_of(context), context, errno.EIO), [result])


@pytest.mark.parametrize("machines", [0, 1, 3, 6])
def test_a_comparison_that_was_interrupted_goes_on_where_it_stopped(world: World, machines: int) -> None:
    """Ctrl-C in the machine after so many: none of those that ended is started again."""
    context = world.context()
    result = results_of(world, context, {FIRST: ["fail"]})
    head = Played(run_of(context), context)
    script = ["done", "fail"] * 4
    stopped = Lab(script={FIRST: [*script[:machines], "interrupt"]})
    with world.playing(stopped), pytest.raises(KeyboardInterrupt):
        compared(head, [result])
    rest = Lab(script={FIRST: script[machines:]})
    with world.playing(rest):
        found = compared(head, [result])
    assert [(one.test, one.kind) for one in found.tests] == [(FIRST, Class.NEW)]
    assert len(stopped.jobs) - 1 + len(rest.jobs) == len(script)


def rebuilt(world: World, monkeypatch: pytest.MonkeyPatch, *made: Artifacts) -> None:
    """The builds of the host that merges play: these, in order, the last again and again."""
    left = list(made)
    monkeypatch.setattr(build, "build_all", lambda *_, **__: left.pop(0) if len(left) > 1 else left[0])
    monkeypatch.setattr(lab, "qemu_version", lambda: "7.2")
    monkeypatch.setattr(lab, "choose_accelerator", lambda *_, **__: Accelerator("tcg", "a test"))
    monkeypatch.setattr("reviewbot.pipeline.compare.use_boxes", lambda site: None)


def test_what_failed_in_a_shard_is_run_again_where_it_is_merged(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    context = world.context()
    result = results_of(world, context, {FIRST: ["fail"]})
    rebuilt(world, monkeypatch, world.artifacts, other(world.artifacts))
    played = Lab(script={FIRST: ["done", "fail"] * 4})
    with world.playing(played):
        found = merged(run_of(context), lock_of(world), [result], Comparison(tests=(SMOKE,)))
    assert [(one.suite, one.kind) for one in found.tests] == [("smoke", Class.FLAKY), ("fstests", Class.NEW)]
    assert found.base_problem == "" and all(FIRST in asked for asked in played.asked)


def test_a_host_that_builds_another_head_compares_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    context = world.context()
    result = results_of(world, context, {FIRST: ["fail"]})
    rebuilt(world, monkeypatch, other(world.artifacts, "kernel"))
    found = merged(run_of(context), lock_of(world), [result], None)
    assert found.base_problem == "this host builds a different kernel than the one that was tested"
    assert [one.kind for one in found.tests] == [Class.UNCOMPARED]
