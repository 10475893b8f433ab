# SPDX-License-Identifier: GPL-2.0-or-later
"""What head costs a server more, measured twice per side in machines that are played; and what mke2fs makes there."""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from reviewbot.config import load_stack
from reviewbot.model.comparison import Comparison
from reviewbot.model.lab import GuestStep, StepReply
from reviewbot.model.results import LegResult
from reviewbot.model.stack import LegSpec
from reviewbot.pipeline.costs import with_costs
from reviewbot.runner import Context, run_legs
from reviewbot.suites import smoke
from tests.played import LEG, Lab, World, other, with_build

ALONE = ["mkfs", "mount", "costs"]
MAKES = ["mkfs", "mount"]
EXT4 = load_stack().leg("ext4")


@dataclass
class LeakingLab(Lab):
    """Servers keep so many KiB after a hundred creates: on head, and on base."""

    head: tuple[int, ...] = (2_800, 2_800)
    base: int = 100
    measured: int = 0
    """Times that head was measured."""

    def _reply(self, step: GuestStep, what: str, folder: Path) -> StepReply:
        reply = super()._reply(step, what, folder)
        if step.name != "smoke/costs" or reply.status != "done":
            return reply
        on_base = "base" in Path(self.jobs[-1].kernel).parent.name
        kib = self.base if on_base else self.head[self.measured]
        self.measured += not on_base
        return reply.model_copy(update={"output": f"cost create 400 {kib} 0 0 0 30.00\n"})


@dataclass
class MakingLab(Lab):
    """mke2fs makes filesystems with these features in each run on head; base's have two."""

    head: list[str] = field(default_factory=list)

    def _reply(self, step: GuestStep, what: str, folder: Path) -> StepReply:
        reply = super()._reply(step, what, folder)
        if step.name != "smoke/mkfs" or reply.status != "done":
            return reply
        on_base = "base" in Path(self.jobs[-1].kernel).parent.name
        said = "64bit metadata_csum" if on_base else self.head.pop(0)
        return reply.model_copy(update={"output": f"made features {said}\n"})


def compare(world: World, lab: Lab, leg: LegSpec = LEG, patched: Collection[str] = ()) -> tuple[Comparison, LegResult]:
    head = with_build(world.context(), patched=patched)
    with world.playing(lab):
        (result,) = run_legs([leg], ("smoke",), head)
        return with_costs(Comparison(), [leg], [result], head, lambda: base_of(head)), result


def base_of(head: Context) -> Context:
    artifacts = other(head.build.artifacts)
    kernel = artifacts.artifacts["kernel"]
    moved = kernel.model_copy(update={"path": f"{Path(kernel.path).parent / 'base'}"})
    built = {**artifacts.artifacts, "kernel": moved}
    return with_build(head, artifacts=artifacts.model_copy(update={"artifacts": built}))


def test_a_leak_is_measured_again_by_the_check_that_counts_it_and_no_other(world: World) -> None:
    lab = LeakingLab()
    (change,) = compare(world, lab)[0].figures
    assert (change.figure, change.base, change.head) == ("leak create", (100.0, 100.0), (2800.0, 2800.0))
    whole = list(smoke.CHECKS)
    assert lab.asked == [whole, whole, ALONE, ALONE], "head, base, and both again"


def test_what_a_second_measurement_does_not_show_is_no_finding(world: World) -> None:
    assert compare(world, LeakingLab(head=(2_800, 100)))[0].figures == ()


def test_base_is_measured_again_beside_each_head_that_seems_to_cost_more(world: World) -> None:
    """Its first measurement serves all postings, but a host may be busier now than it was then."""
    compare(world, LeakingLab())
    world.artifacts = world.artifacts.model_copy(
        update={
            "artifacts": {
                **world.artifacts.artifacts,
                "libfuse": world.artifacts.artifacts["libfuse"].model_copy(update={"key": "another"}),
            }
        }
    )
    later = LeakingLab()
    assert compare(world, later)[0].figures
    assert later.asked.count(ALONE) == 2
    again = LeakingLab()
    assert compare(world, again)[0].figures
    assert again.jobs == [], "the same head again starts no machine"


def test_a_head_that_costs_no_more_starts_no_other_machine_than_base_once(world: World) -> None:
    lab = LeakingLab(head=(100,))
    assert compare(world, lab)[0].figures == ()
    assert len(lab.jobs) == 2
    later = LeakingLab(head=(100,))
    compare(world, later)
    assert later.jobs == []


def test_a_feature_that_mke2fs_lost_is_looked_for_again_on_both_sides(world: World) -> None:
    lab = MakingLab(head=["64bit", "64bit"])
    (change,) = compare(world, lab)[0].figures
    assert (change.feature, change.base, change.head) == ("metadata_csum", (1.0, 1.0), (0.0, 0.0))
    whole = list(smoke.CHECKS)
    assert lab.asked == [whole, whole, MAKES, MAKES]


def test_a_feature_that_comes_and_goes_is_no_finding(world: World) -> None:
    assert compare(world, MakingLab(head=["64bit", "64bit metadata_csum"]))[0].figures == ()


def test_in_the_kernels_own_leg_only_the_check_that_makes_filesystems_runs_on_base(world: World) -> None:
    lab = MakingLab(head=["64bit", "64bit"], loud={"smoke/rename": ["<3>ext4: an error of head"]})
    found = compare(world, lab, EXT4, ["e2fsprogs"])[0]
    assert [change.feature for change in found.figures] == ["metadata_csum"]
    assert lab.asked == [list(smoke.CHECKS), MAKES, MAKES, MAKES]
    assert found.messages == (), "base did not run the check that brought it"


def test_a_posting_that_changes_the_kernel_only_needs_no_base_for_the_kernels_own_leg(world: World) -> None:
    lab = MakingLab(head=["64bit"])
    assert compare(world, lab, EXT4, ["kernel"])[0] == Comparison()
    assert len(lab.jobs) == 1
