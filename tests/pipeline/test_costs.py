# SPDX-License-Identifier: GPL-2.0-or-later
"""What head costs and says more than base, in two runs per side."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from reviewbot.model.comparison import Comparison
from reviewbot.pipeline.costs import with_costs
from tests.pipeline.test_reruns import other
from tests.played import LEG, Lab, World, made_world

BAD = "<3>fuse: bad reply to request {}\n"


@pytest.fixture
def world() -> Iterator[World]:
    with made_world() as made:
        yield made


def costs(world: World, head: str, lab: Lab) -> Comparison:
    """head: what its kernel said in the first run of `rename`. lab: plays base, then base and head again."""
    bench = world.bench()
    first = world.run("smoke", bench=bench, lab=Lab(loud={"smoke/rename": [head]}))
    base = replace(bench, artifacts=other(world.artifacts))
    with world.playing(lab):
        return with_costs(Comparison(), [LEG], [first], bench, lambda: base)


def test_a_message_that_head_repeats_and_base_never_has_is_new(world: World) -> None:
    again = Lab(loud={"smoke/rename": ["", "", BAD.format(2)]})
    (found,) = costs(world, BAD.format(1), again).messages
    assert (found.leg, found.test, found.text) == (LEG.name, "rename", "fuse: bad reply to request 1")
    assert found.log


def test_a_message_that_does_not_come_again_is_chance(world: World) -> None:
    assert costs(world, BAD.format(1), Lab()).messages == ()


def test_without_a_new_message_nothing_runs_twice(world: World) -> None:
    lab = Lab()
    assert costs(world, "", lab).messages == ()
    assert len(lab.jobs) == 1


def test_a_leg_in_which_base_passes_nothing_is_lost_and_says_why(world: World) -> None:
    found = costs(world, BAD.format(1), Lab(default="lost"))
    assert found.messages == () and list(found.lost) == [LEG.name] and found.lost[LEG.name]
