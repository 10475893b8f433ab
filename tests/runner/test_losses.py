# SPDX-License-Identifier: GPL-2.0-or-later
"""Machines that are lost and tests that hang: what a leg does next, and what it remembers."""

from pathlib import Path

import pytest

from reviewbot.host import cancel
from reviewbot.model.results import Outcome
from reviewbot.model.shard import MAX_LOSSES
from reviewbot.runner import run, run_legs
from reviewbot.store import TestSeconds
from reviewbot.suites.setup import SETUP
from tests.faults import fault
from tests.played import LEG, TESTS, Lab, World, artifacts, outcomes


def test_a_lost_machine_is_followed_by_another_that_goes_on_after_that_test(world: World) -> None:
    result = world.run("fstests", lab=Lab({TESTS[2]: ["lost"], TESTS[5]: ["panic"]}))
    assert world.lab.asked == [list(TESTS), list(TESTS[3:]), list(TESTS[6:])]
    assert [job.steps[0].name for job in world.lab.jobs] == [SETUP] * 3
    expected = dict.fromkeys(TESTS, Outcome.PASS) | {TESTS[2]: Outcome.INFRA, TESTS[5]: Outcome.CRASH}
    assert (outcomes(result), result.reason, result.seconds) == (expected, "", 30.0)


@fault(
    "five machines lost in one leg",
    collected="each one's last words",
    outcome="INFRA for the rest",
    machine="the leg stops",
)
def test_too_many_lost_machines_stop_the_suite(world: World) -> None:
    result = world.run("fstests", lab=Lab(default="lost"))
    assert len(world.lab.jobs) == MAX_LOSSES
    assert result.reason == f"INFRA-suspect: {MAX_LOSSES} machines were lost, the last: QEMU exited (status 0)"
    assert {t.outcome for t in result.tests} == {Outcome.INFRA}
    assert [t.reason == result.reason for t in result.tests] == [False] * MAX_LOSSES + [True] * 3


def test_losses_that_leave_no_test_without_an_answer_stop_nothing(world: World) -> None:
    hangs = {test: ["hang"] for test in TESTS[-MAX_LOSSES:]}
    result = world.run("fstests", lab=Lab(hangs))
    assert (len(world.lab.jobs), result.reason) == (MAX_LOSSES, "")
    assert outcomes(result) == dict.fromkeys(TESTS, Outcome.PASS) | dict.fromkeys(TESTS[-MAX_LOSSES:], Outcome.HANG)


def test_a_hang_that_costs_the_machine_is_not_run_again_and_not_by_a_later_call(world: World) -> None:
    with pytest.raises(KeyboardInterrupt):
        world.run("fstests", lab=Lab({TESTS[1]: ["hang"], TESTS[4]: ["interrupt"]}))
    assert world.lab.asked == [list(TESTS), list(TESTS[2:])]
    result = world.run("fstests")
    assert world.lab.asked == [list(TESTS[4:])]
    assert outcomes(result) == dict.fromkeys(TESTS, Outcome.PASS) | {TESTS[1]: Outcome.HANG}


def test_what_passed_is_remembered_for_limits_of_this_leg_and_asks_for_no_new_run(world: World) -> None:
    world.run("fstests", lab=Lab({TESTS[1]: ["fail"], TESTS[2]: ["timeout"]}, seconds=120.0))
    known = world.context().durations.tests("fuse2fs", "tcg")
    assert known == {f"fstests/{test}": TestSeconds(12.0, own=True) for test in (TESTS[0], *TESTS[3:])}
    assert world.run("fstests").reused, "limits are no input of the outcome"
    world.run("fstests", context=world.context(fresh=True))
    limits = {step.name: step.timeout for step in world.lab.jobs[0].steps}
    assert (limits[f"fstests/{TESTS[0]}"], limits[f"fstests/{TESTS[1]}"]) == (120.0, 300.0)


def test_a_machine_that_is_ended_because_the_run_is_stopped_was_not_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Outcome]] = []
    monkeypatch.setattr(run, "INTERVAL", 0.0)
    monkeypatch.setattr(run, "RATIO", 0.0)
    lab = Lab({TESTS[2]: ["stopped"]})
    with world.playing(lab), cancel.Cancel().working(), pytest.raises(KeyboardInterrupt):
        run_legs([LEG], ["fstests"], world.context(), lambda legs: seen.extend(map(outcomes, legs)))
    assert any(one[TESTS[1]] is Outcome.PASS for one in seen)
    assert {one[TESTS[2]] for one in seen} == {Outcome.MISS}
    assert not [event.text for event in world.events if "lost" in event.text]
    assert outcomes(world.run("fstests"))[TESTS[2]] is Outcome.PASS


def test_a_test_that_lost_its_machine_before_an_interruption_is_asked_again(world: World) -> None:
    with pytest.raises(KeyboardInterrupt):
        world.run("fstests", lab=Lab({TESTS[1]: ["lost"], TESTS[4]: ["interrupt"]}))
    assert outcomes(world.run("fstests")) == dict.fromkeys(TESTS, Outcome.PASS)
    assert world.lab.asked == [[TESTS[1], *TESTS[4:]]]


def test_results_with_a_test_that_got_no_answer_are_not_kept(world: World) -> None:
    world.run("fstests", lab=Lab({TESTS[1]: ["lost"]}))
    result = world.run("fstests")
    assert not result.reused and outcomes(result) == dict.fromkeys(TESTS, Outcome.PASS)


def test_a_later_machine_that_cannot_be_set_up_takes_nothing_from_the_earlier_ones(tmp_path: Path) -> None:
    world = World(tmp_path, artifacts(tmp_path / "built"))
    result = world.run(lab=Lab(script={SETUP: ["done", "fail"], TESTS[2]: ["lost"]}))
    outcomes = {test.test: test.outcome for test in result.tests}
    assert [outcomes[test] for test in TESTS[:2]] == [Outcome.PASS, Outcome.PASS]
    assert {outcomes[test] for test in TESTS[3:]} == {Outcome.INFRA}
    assert result.reason == "no such disk"
    again = world.run()
    assert [asked for machine in world.lab.asked for asked in machine] == list(TESTS[2:]), "what was answered is kept"
    assert {test.outcome for test in again.tests} == {Outcome.PASS}
