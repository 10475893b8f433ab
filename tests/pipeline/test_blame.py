# SPDX-License-Identifier: GPL-2.0-or-later
"""The search for the guilty patch in real repositories, in machines that are played."""

import errno
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reviewbot.config import load_stack
from reviewbot.model.artifacts import Artifact, Artifacts
from reviewbot.model.comparison import Blame, Cell, Class, Compared, Comparison, Counts, FigureChange, NewMessage
from reviewbot.model.errors import InfraError
from reviewbot.model.lab import GuestStep, StepReply
from reviewbot.model.results import Outcome
from reviewbot.model.trees import Tree, Trees
from reviewbot.pipeline.blame import Parts, blame, of_test
from reviewbot.runner import Context
from reviewbot.suites import smoke
from tests.played import LEG, TESTS, Lab, World, made_world, with_build
from tests.repos import git
from tests.trees.series import DAY, FILE, START, edited, new_repository, resolved, series, write

LINES = (10, 20, 30, 40)
"""One patch for each; each changes one line."""
NEW = Compared(
    leg=LEG.name,
    suite="fstests",
    test=TESTS[0],
    outcome=Outcome.FAIL,
    reason="content differs",
    kind=Class.NEW,
    head=Counts(failed=4, runs=4),
    base=Counts(runs=4),
)
"""It fails in every run on head, and never on base."""


@dataclass
class GuiltyLab(Lab):
    """The test fails on stacks of which `guilty` holds."""

    guilty: Callable[[str], bool] = lambda stack: False

    def _next(self, step: GuestStep) -> str:
        stack = Path(self.jobs[-1].kernel).parent.name
        return "fail" if not step.gate and self.guilty(stack) else super()._next(step)


@dataclass
class HangingLab(GuiltyLab):
    """The setup of a leg hangs on stacks of which `guilty` holds; on others it has no result of its own."""

    def _next(self, step: GuestStep) -> str:
        stack = Path(self.jobs[-1].kernel).parent.name
        return "timeout" if step.gate and self.guilty(stack) else "done"


@dataclass
class Posting:
    """Four patches of the kernel, and stacks of any state of it."""

    world: World
    tree: Tree
    built: list[str] = field(default_factory=list)
    broken: str = ""
    """State that does not build."""
    problem: OSError | None = None
    """What happens when another stack is built."""

    def context(self, state: str) -> Context:
        if self.problem:
            raise self.problem
        if state == self.broken:
            raise InfraError("does not build")
        self.built.append(state)
        kernel = Artifact(
            kind="kernel", key=f"key-{state}", path=str(self.world.folder / state), facts={"release": "7.1-rb"}
        )
        artifacts = Artifacts(artifacts={**self.world.artifacts.artifacts, "kernel": kernel})
        return with_build(self._head, artifacts=artifacts)

    def search(self, lab: Lab, *tests: Compared, budget: float = 600.0) -> list[Blame]:
        """Of each of these tests."""
        found = self.blamed(lab, Comparison(tests=tests or (NEW,)), budget)
        return [test.blame for test in found.tests if test.blame]

    def blamed(self, lab: Lab, comparison: Comparison, budget: float = 600.0) -> Comparison:
        self._head = self.world.context()
        parts = Parts(
            Trees(trees=(self.tree,)),
            load_stack(),
            lambda commits: self.context(self._name(commits)),
            lambda component, commit: self.context(f"without-{self._number(commit)}"),
        )
        with self.world.playing(lab):
            return blame(comparison, [LEG], parts, budget=budget)

    def _name(self, commits: Mapping[str, str]) -> str:
        return f"up-to-{self._number(commits['kernel'])}"

    def _number(self, commit: str) -> int:
        return 1 + [patch.commit for patch in self.tree.patches].index(commit)


@pytest.fixture
def posting(tmp_path: Path) -> Iterator[Posting]:
    folder = new_repository(tmp_path / "kernel")
    git(folder, "checkout", "-q", "-b", "topic")
    for line in LINES:
        write(folder, {FILE: edited(*(n for n in LINES if n <= line))}, f"change {line}", day=4)
    git(folder, "checkout", "-q", "master")
    tree = resolved(series(folder, "master..topic").but(date=START + 5 * DAY), folder, tmp_path / "c", base="master")
    with made_world() as world:
        yield Posting(world, tree)


def third(stack: str) -> bool:
    """Stacks with the third patch."""
    return stack in ("up-to-3", "up-to-4")


def test_the_patch_is_found_and_confirmed_with_few_builds_and_runs(posting: Posting) -> None:
    lab = GuiltyLab(guilty=third)
    (found,) = posting.search(lab)[0].patches
    assert found.commits == (posting.tree.patches[2].commit,)
    assert (found.at.failed, found.before.failed, found.without) == (found.at.runs, 0, False)
    assert len(posting.built) == len(set(posting.built)), "no stack is built twice"
    assert len(lab.jobs) <= 8


def test_the_patch_with_which_a_server_hangs_in_the_setup_is_found(posting: Posting) -> None:
    hangs = NEW.model_copy(update={"suite": "smoke", "test": "setup", "outcome": Outcome.HANG})
    lab = HangingLab(guilty=third)
    (found,) = posting.search(lab, hangs)[0].patches
    assert found.commits == (posting.tree.patches[2].commit,)
    assert (found.at.failed, found.before.failed, found.without) == (found.at.runs, 0, False)
    assert all(asked == ["mkfs", "mount"] for asked in lab.asked), "not all of smoke each time"


def test_what_broke_in_the_setup_of_fstests_is_looked_for_in_that_of_smoke() -> None:
    symptom = of_test(NEW.model_copy(update={"suite": "fstests", "test": "setup"}), LEG)
    assert (symptom.suite, symptom.checks) == ("smoke", smoke.alone(["setup"]))


def test_the_same_search_again_starts_no_machine(posting: Posting) -> None:
    first = posting.search(GuiltyLab(guilty=third))
    again = GuiltyLab(guilty=third)
    assert posting.search(again) == first
    assert again.jobs == []


def test_a_search_that_was_interrupted_goes_on_where_it_stopped(posting: Posting) -> None:
    whole = GuiltyLab(guilty=third)
    expected = posting.search(whole)
    with made_world() as world:
        posting.world = world
        some = GuiltyLab(guilty=third)
        stopped = Interrupted(guilty=third, after=2)
        with pytest.raises(KeyboardInterrupt):
            posting.search(stopped)
        assert posting.search(some) == expected
        assert len(some.jobs) == len(whole.jobs) - 2


@dataclass
class Interrupted(GuiltyLab):
    """The user has had enough when so many machines were used."""

    after: int = 0

    def _next(self, step: GuestStep) -> str:
        return "interrupt" if len(self.jobs) > self.after else super()._next(step)


def test_a_state_that_does_not_build_is_named_and_no_guess_is_made(posting: Posting) -> None:
    posting.broken = "up-to-2"
    (found,) = posting.search(GuiltyLab(guilty=third))
    assert found.untestable == ("kernel up to patch 2",)
    assert found.patches[0].commits == tuple(patch.commit for patch in posting.tree.patches[1:3])


def test_machines_that_die_in_every_rerun_end_the_search_without_a_culprit(posting: Posting) -> None:
    (found,) = posting.search(Lab(default="lost"))
    assert len(found.patches[0].commits) > 1
    assert found.runs == 0


def test_a_full_disk_ends_the_search_and_is_told(posting: Posting) -> None:
    posting.problem = OSError(errno.ENOSPC, "No space left on device")
    (found,) = posting.search(GuiltyLab(guilty=third))
    assert (found.components, found.problem) == ((), "No space left on device")


def test_without_time_no_patch_is_named(posting: Posting) -> None:
    (found,) = posting.search(GuiltyLab(guilty=third), budget=0.0)
    assert (found.runs, len(found.patches[0].commits) > 1) == (0, True)


def test_the_patch_with_which_a_mixed_stack_fails_is_found(posting: Posting) -> None:
    cell = Cell(leg=LEG.name, patched=("kernel",), outcome=Outcome.FAIL, failed=("mount",), only_here=("mount",))
    fine = Cell(leg=LEG.name, patched=("libfuse",), outcome=Outcome.PASS)
    lab = GuiltyLab(guilty=third)
    found, other = posting.blamed(lab, Comparison(cells=(cell, fine))).cells
    assert found.blame and found.blame.patches[0].commits == (posting.tree.patches[2].commit,)
    assert found.blame.patches[0].without is None, "head passes with and without it"
    assert "mount" in lab.asked[0] and other.blame is None


def test_the_patch_that_brings_a_kernel_message_is_found_if_the_message_counts(posting: Posting) -> None:
    error = NewMessage(
        leg=LEG.name, suite="smoke", test="rename", level=3, text="fuse: request 12 is broken", alarm=True
    )
    warning = error.model_copy(update={"level": 4, "text": "fuse: slow", "alarm": False})
    second = error.model_copy(update={"text": "fuse: and so is what follows"})
    found, other, more = posting.blamed(Loud(guilty=third), Comparison(messages=(error, warning, second))).messages
    assert found.blame and found.blame.patches[0].commits == (posting.tree.patches[2].commit,)
    assert other.blame is None and more.blame is None, "a noisy kernel is one search"


@dataclass
class Making(GuiltyLab):
    """On guilty stacks mke2fs makes filesystems without checksums."""

    def _next(self, step: GuestStep) -> str:
        return "done"

    def _reply(self, step: GuestStep, what: str, folder: Path) -> StepReply:
        reply = super()._reply(step, what, folder)
        lost = self.guilty(Path(self.jobs[-1].kernel).parent.name)
        said = "made features 64bit" if lost else "made features 64bit metadata_csum"
        return reply.model_copy(update={"output": f"{said}\n"}) if step.name == "smoke/mkfs" else reply


def test_the_patch_that_loses_a_feature_is_found_and_a_gained_one_is_not_looked_for(posting: Posting) -> None:
    lost = FigureChange(
        leg=LEG.name, suite="smoke", test="mkfs", figure="feature metadata_csum", unit="filesystems",
        base=(1.0, 1.0), head=(0.0, 0.0),
    )  # fmt: skip
    gained = lost.model_copy(update={"figure": "feature verity", "base": lost.head, "head": lost.base})
    lab = Making(guilty=third)
    found, other = posting.blamed(lab, Comparison(figures=(lost, gained))).figures
    assert found.blame and found.blame.patches[0].commits == (posting.tree.patches[2].commit,)
    assert other.blame is None and lab.asked[0] == ["mkfs", "mount"]


@dataclass
class Loud(GuiltyLab):
    """Guilty stacks pass, and their kernel says something."""

    def _next(self, step: GuestStep) -> str:
        guilty = self.guilty(Path(self.jobs[-1].kernel).parent.name)
        self.loud = {"smoke/rename": ["<3>fuse: request 345 is broken"]} if guilty else {}
        return "done"


def test_a_patch_that_brought_another_failure_is_looked_at_first(posting: Posting) -> None:
    other = NEW.model_copy(update={"test": TESTS[1], "reason": "wrong size"})
    first, second = posting.search(GuiltyLab(guilty=third), NEW, other)
    assert first.patches[0].commits == second.patches[0].commits == (posting.tree.patches[2].commit,)
    assert second.runs <= 4, "with it, before it, and head without it, until that is sure"
