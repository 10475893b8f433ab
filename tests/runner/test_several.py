# SPDX-License-Identifier: GPL-2.0-or-later
"""Several machines, several legs: what is found does not depend on how many there are."""

from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reviewbot.config import load_stack
from reviewbot.model.results import LegResult, Outcome
from reviewbot.model.shard import MAX_LOSSES
from reviewbot.runner import run_legs
from reviewbot.suites import smoke
from reviewbot.suites.setup import SETUP
from tests.played import OUTCOMES, TESTS, Lab, World, made_world, outcomes

LEGS = [load_stack().leg(name) for name in ("ext4", "fuse2fs")]


def asked(lab: Lab, leg: str) -> list[str]:
    return [job.name for job in lab.jobs if job.name.startswith(f"{leg}-")]


@settings(deadline=None, max_examples=40)
@given(st.dictionaries(st.sampled_from(TESTS), st.sampled_from([*OUTCOMES]), max_size=len(TESTS)), st.integers(1, 4))
def test_outcomes_are_the_same_on_any_number_of_machines(script: dict[str, str], machines: int) -> None:
    losses = sum(what in ("lost", "panic", "hang") for what in script.values())
    lab = Lab({test: [what] * 9 for test, what in script.items()}, pause=0.001)
    with made_world() as world:
        result = world.run("fstests", lab=lab, context=world.context(machines=machines))
        if losses < MAX_LOSSES:
            expected = {test: OUTCOMES[script.get(test, "done")] for test in TESTS}
            assert (outcomes(result), result.reason) == (expected, "")
        else:
            assert {t.outcome for t in result.tests} & {Outcome.INFRA, Outcome.CRASH, Outcome.HANG}
        assert Outcome.MISS not in outcomes(result).values()


def test_machines_share_the_tests_of_a_leg_and_no_test_runs_twice(world: World) -> None:
    context = world.context(machines=2)
    result = world.run("fstests", lab=Lab(pause=0.02), context=context)
    assert [job.name for job in world.lab.jobs] == ["fuse2fs-fstests", "fuse2fs-fstests.2"]
    written = [(context.run.path / t.log / "output.txt").read_text() for t in result.tests]
    assert len(written) == len(TESTS) and outcomes(result) == dict.fromkeys(TESTS, Outcome.PASS)
    assert result.seconds == 20.0, "of both"
    assert [event.done for event in world.events if event.total and event.state == "note"][-1] == len(TESTS)
    assert world.run("fstests", context=world.context(machines=1)).reused


def test_a_machine_that_cannot_start_takes_nothing_from_one_that_works(world: World) -> None:
    result = world.run("fstests", lab=Lab({SETUP: ["done", "silence"]}, pause=0.02), context=world.context(machines=2))
    assert (outcomes(result), result.reason) == (dict.fromkeys(TESTS, Outcome.PASS), "")
    assert len(world.lab.jobs) == 2, "where one was of no use, no other is tried"


def test_the_longest_test_goes_first_and_smoke_keeps_its_order(world: World) -> None:
    known = {f"fstests/{TESTS[5]}": 30.0, "smoke/rename": 30.0, "smoke/mkfs": 1.0, "smoke/mount": 1.0, "smoke/fio": 1.0}
    world.context().durations.put_tests("fuse2fs", "tcg", known)
    world.run("smoke", "fstests")
    assert world.lab.asked == [list(smoke.CHECKS), [TESTS[5], *TESTS[:5], *TESTS[6:]]]


def run_both(world: World, lab: Lab, machines: int, told: list[tuple[LegResult, ...]] | None = None) -> list[LegResult]:
    context = world.context(machines=machines)
    with world.playing(lab):
        found = run_legs(LEGS, ["smoke", "fstests"], context, told.append if told is not None else lambda results: None)
    return list(found)


@pytest.mark.parametrize("machines", [1, 2, 3])
def test_all_legs_are_in_the_order_of_the_plan(world: World, machines: int) -> None:
    ext4, fuse2fs = run_both(world, Lab(pause=0.002), machines)
    assert (ext4.leg, fuse2fs.leg) == ("ext4", "fuse2fs")
    for result in (ext4, fuse2fs):
        assert [t.test for t in result.tests] == [*smoke.CHECKS, *TESTS] and not result.reason
        assert {t.log.split("/")[1] for t in result.tests} == {result.leg}


def test_a_leg_that_fails_its_smoke_stops_alone(world: World) -> None:
    ext4, fuse2fs = run_both(world, Lab({"smoke/rename": ["fail"]}, pause=0.002), 1)
    first, other = (ext4, fuse2fs) if ext4.reason else (fuse2fs, ext4)
    assert first.reason == "smoke did not pass, so nothing else was run"
    assert len(first.tests) == len(smoke.CHECKS) and len(other.tests) == len(smoke.CHECKS) + len(TESTS)


def test_results_are_told_as_they_come_and_each_is_whole(world: World) -> None:
    told: list[tuple[LegResult, ...]] = []
    last = run_both(world, Lab(pause=0.001), 2, told)
    assert all([leg.leg for leg in results] == ["ext4", "fuse2fs"] for results in told)
    assert list(told[-1]) == last
    some = next(result for result in chain(*told) if result.count(Outcome.MISS))
    assert some.planned == len(some.tests) >= some.count(Outcome.MISS), "what has no answer yet is planned, and MISS"


def test_an_interruption_of_one_machine_ends_all_and_the_next_call_goes_on(world: World) -> None:
    with pytest.raises(KeyboardInterrupt):
        world.run("fstests", lab=Lab({TESTS[4]: ["interrupt"]}, pause=0.005), context=world.context(machines=2))
    before = list(chain(*world.lab.asked))
    result = world.run("fstests", context=world.context(machines=2))
    again = set(world.lab.asked[0])
    assert TESTS[4] in again and not {TESTS[0], TESTS[1]} & again and before
    assert outcomes(result) == dict.fromkeys(TESTS, Outcome.PASS)
