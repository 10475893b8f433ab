# SPDX-License-Identifier: GPL-2.0-or-later
"""All tests of a run have a limit together."""

from dataclasses import replace

from reviewbot.lab import OVERDUE
from reviewbot.model.results import Outcome
from tests.played import TESTS, Lab, made_world, outcomes


def test_what_has_no_result_when_the_time_is_up_is_the_labs_fault_and_asked_again_by_the_next_call() -> None:
    with made_world() as world:
        result = world.run(context=replace(world.context(), seconds=0.0))
        assert outcomes(result) == dict.fromkeys(TESTS, Outcome.INFRA)
        assert result.reason == OVERDUE and world.lab.jobs == []
        assert outcomes(world.run()) == dict.fromkeys(TESTS, Outcome.PASS)


def test_the_time_of_smoke_counts_as_well() -> None:
    with made_world() as world:
        lab = Lab()
        result = world.run("smoke", "fstests", lab=lab, context=replace(world.context(), seconds=0.0))
        assert result.reason == OVERDUE and lab.jobs == []
        assert {test.outcome for test in result.tests} == {Outcome.INFRA}
