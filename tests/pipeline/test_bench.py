# SPDX-License-Identifier: GPL-2.0-or-later
"""A leg that became slower, measured in machines that are played; who made it slower, in real repositories."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from reviewbot.config import load_stack
from reviewbot.model.comparison import Comparison
from reviewbot.model.errors import InfraError
from reviewbot.model.lab import GuestStep, StepReply
from reviewbot.model.results import LegResult, Outcome, TestResult
from reviewbot.model.trees import Trees
from reviewbot.pipeline.bench import with_bench
from reviewbot.pipeline.blame import Parts, blame, of_figure
from reviewbot.pipeline.reruns import compare
from reviewbot.store.history import History
from reviewbot.suites.bench import steps
from tests.pipeline.test_blame import Posting, posting, third
from tests.pipeline.test_costs import base_of
from tests.played import LEG, Lab, World

__all__ = ["posting"]
WHOLE = [step.name.partition("/")[2] for step in steps(LEG, "")]


@dataclass
class Measuring(Lab):
    """Each create takes so many times as long as on ext4, on head in each machine, and on base."""

    head: tuple[float, ...] = (4.0,)
    base: float = 2.0
    measured: int = 0

    def _times(self) -> float:
        if "base" in self.stack:
            return self.base
        self.measured += 1
        return self.head[min(self.measured, len(self.head)) - 1]

    @property
    def stack(self) -> str:
        return Path(self.jobs[-1].kernel).parent.name

    def _reply(self, step: GuestStep, what: str, folder: Path) -> StepReply:
        reply = super()._reply(step, what, folder)
        if not step.name.startswith("bench/") or reply.status != "done" or reply.exit_status:
            return reply
        times = self._times() if step.name == "bench/files-1" else 1.0
        rows = {name: told(times) for name in json.loads(step.argv[-1])["rows"]}
        return reply.model_copy(update={"output": f"bench {json.dumps(rows)}\n"})


def told(times: float) -> dict[str, object]:
    yardstick = [1.0, 1.02, 0.98, 1.01, 0.99]
    values = [times * more for more in (1.01, 1.0, 1.02, 0.97, 1.0)]
    return {
        "values": values, "yardstick": yardstick, "upcalls": None, "switches": None, "switches_yardstick": None,
        "series": [], "at_least": False, "note": "",
    }  # fmt: skip


def compared(world: World, lab: Lab) -> Comparison:
    head = world.context()
    result = world.run("bench", lab=lab, context=head)
    with world.playing(lab):
        return with_bench(Comparison(), [LEG], [result], head, lambda: base_of(head))


def test_a_row_that_three_pairs_of_machines_show_is_a_finding_with_the_ratios_of_each(world: World) -> None:
    lab = Measuring()
    found = compared(world, lab)
    (change,) = found.figures
    assert (change.suite, change.test) == ("bench", "files-1")
    assert change.figure.startswith("slower ") and len(change.also) == 3
    assert [round(value) for value in (*change.base, *change.head)] == [2, 2, 2, 4, 4, 4]
    assert lab.asked == [WHOLE, WHOLE, *[["files-1"]] * 4], "both sides, and what seems slower on each twice more"
    row = next(one for one in found.bench if one.row == "create-1")
    assert row.change.low > 1.3 and row.chance < 0.01 and row.effect > 1


def test_what_a_second_pair_does_not_show_is_no_finding(world: World) -> None:
    lab = Measuring(head=(4.0, 2.0))
    assert compared(world, lab).figures == ()
    assert len(lab.jobs) == 4


@dataclass
class Losing(Measuring):
    """These machines of the suite are lost as they measure files-1, the first of all being number 1."""

    lost: tuple[int, ...] = ()

    def _next(self, step: GuestStep) -> str:
        return "lost" if step.name == "bench/files-1" and len(self.jobs) in self.lost else super()._next(step)


def test_a_machine_that_is_lost_shows_nothing_and_another_pair_is_measured(world: World) -> None:
    found = compared(world, Losing(lost=(3, 4, 5)))
    assert [change.test for change in found.figures] == ["files-1"] and found.unmeasured == {}


def test_what_cannot_be_measured_again_is_no_finding_and_is_told(world: World) -> None:
    found = compared(world, Losing(lost=tuple(range(3, 100))))
    assert found.figures == ()
    assert "apparent slowdowns could not be measured again: no figures of create-1" in found.unmeasured[LEG.name]


def test_a_base_that_was_lost_is_told(world: World) -> None:
    found = compared(world, Losing(lost=(2, 3, 4, 5)))
    assert found.figures == ()
    assert found.unmeasured[LEG.name].startswith("no figures of create-1 and ")


def test_a_head_that_is_as_fast_starts_no_other_machine_than_base_once(world: World) -> None:
    lab = Measuring(head=(2.0,))
    found = compared(world, lab)
    assert (found.figures, bool(found.bench), len(lab.jobs)) == ((), True, 2)
    later = Measuring(head=(2.0,))
    assert compared(world, later).figures == ()
    assert later.jobs == [], "the same inputs were measured before"


def test_machines_that_end_in_the_middle_do_not_take_base_away_from_the_tests(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ends(*_: object) -> None:
        raise InfraError("no machine can be started")

    monkeypatch.setattr("reviewbot.pipeline.bench.run_legs", ends)
    with pytest.raises(InfraError, match="no machine"):  # whoever compares says that it is unfinished
        compared(world, Measuring())


def test_a_run_without_the_suite_measures_nothing_on_base(world: World) -> None:
    lab = Lab()
    head = world.context()
    result = world.run("smoke", lab=lab, context=head)
    with world.playing(lab):
        assert with_bench(Comparison(), [LEG], [result], head, lambda: base_of(head)) == Comparison()
    assert len(lab.jobs) == 1


def test_a_measurement_that_fails_on_head_is_run_again_alone_on_both_sides(world: World, tmp_path: Path) -> None:
    head, lab = world.context(), OnHead(script={})
    result: LegResult = world.run("bench", lab=lab, context=head)
    assert {test.test for test in result.tests if test.outcome is Outcome.FAIL} == {"untar-1"}
    with world.playing(lab):
        found = compare([LEG], [result], head, lambda: base_of(head), history=History.at("", tmp_path))
    (test,) = found.tests
    assert (test.suite, test.test, test.kind) == ("bench", "untar-1", "new")
    assert all(asked == ["untar-1"] for asked in lab.asked[1:])


@dataclass
class OnHead(Measuring):
    """One measurement fails there."""

    def _next(self, step: GuestStep) -> str:
        return "fail" if step.name == "bench/untar-1" and "base" not in self.stack else super()._next(step)


@dataclass
class SlowFrom(Measuring):
    """Stacks with the third patch take twice as long."""

    def _times(self) -> float:
        return 4.0 if third(self.stack) or self.stack == "kernel" else 2.0


def test_a_stack_whose_measurement_fails_says_nothing_of_a_patch(world: World) -> None:
    (change,) = compared(world, Measuring()).figures
    seen = of_figure(change, LEG).seen
    failed = TestResult(suite="bench", test="files-1", outcome=Outcome.FAIL)
    assert seen(LegResult(leg=LEG.name, available=True, tests=(failed,))) is None
    assert seen(world.run("bench", lab=Measuring())) is True


def test_the_patch_that_made_a_leg_slower_is_found(posting: Posting) -> None:
    lab, head = SlowFrom(), posting.world.context()
    slow = compared(posting.world, lab)
    posting._head = head
    parts = Parts(
        Trees(trees=(posting.tree,)),
        load_stack(),
        lambda commits: posting.context(posting._name(commits)),
        lambda component, commit: posting.context(f"without-{posting._number(commit)}"),
    )
    with posting.world.playing(lab):
        (change,) = blame(slow, [LEG], parts, budget=600.0).figures
    assert change.blame
    (patch,) = change.blame.patches
    assert patch.commits == (posting.tree.patches[2].commit,)
    assert (patch.at.failed, patch.before.failed, patch.without) == (patch.at.runs, 0, False)
