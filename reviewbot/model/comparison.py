# SPDX-License-Identifier: GPL-2.0-or-later
"""Head against base: what was counted of each test that did not pass on head, and what the counts mean. No prose."""

import datetime
import re
from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from reviewbot.model.base import Model
from reviewbot.model.bench import BenchChange
from reviewbot.model.results import Outcome
from reviewbot.model.worker import Kind


class Side(StrEnum):
    """A stack without, or with, the posting's patches."""

    BASE = "base"
    HEAD = "head"


class Class(StrEnum):
    """What the runs of one test say about the series."""

    NEW = "new"
    """Fails on head more often than on base, within the stated error bound."""
    PRE_EXISTING = "pre-existing"
    """Fails on base, too, in each of its runs."""
    FLAKY = "flaky"
    """Passes and fails with the same patches; the rates on both sides do not differ significantly."""
    UNDECIDED = "undecided"
    """Failed again on head and never on base, too seldom for the stated error bound."""
    NEWLY_NOTRUN = "newly-notrun"
    """Passes on base and cannot run on head: a feature vanished."""
    WITHDRAWN = "withdrawn"
    """The same, and the posting says that it takes the feature away: it decides nothing."""
    CONSEQUENCE = "consequence"
    """Failed after another check that hung or crashed, and passes alone: that check's fault, not counted."""
    QUARANTINED = "quarantined"
    """It failed as an entry of the quarantine says; it was not compared."""
    UNCOMPARED = "uncompared"
    """Base gave no usable outcome: it does not build, does not boot, or its machines are lost."""


class Counts(Model):
    """Runs of one test on one side, each in a machine that was started for it or for a few such tests."""

    failed: int = Field(default=0, ge=0)
    runs: int = Field(default=0, ge=0)
    """Those with an outcome that is the tested code's doing; lost machines do not count."""

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if self.failed > self.runs:
            raise ValueError("more failures than runs")
        return self

    def interval(self) -> tuple[float, float]:
        """Wilson's interval of the failure rate, 95 %; (0, 1) without runs."""
        if not self.runs:
            return 0.0, 1.0
        runs, rate, z = self.runs, self.failed / self.runs, 1.96
        middle = (rate + z * z / (2 * runs)) / (1 + z * z / runs)
        half = z / (1 + z * z / runs) * (rate * (1 - rate) / runs + z * z / (4 * runs * runs)) ** 0.5
        return max(0.0, middle - half), min(1.0, middle + half)

    def plus(self, failed: bool) -> "Counts":
        """One more run."""
        return Counts(failed=self.failed + failed, runs=self.runs + 1)


class Rerun(Model):
    """One more run of a test."""

    side: Side
    number: int
    """1, 2, … per side."""
    outcome: Outcome
    alone: bool = True
    """False: after the tests that ran before it on head."""
    reason: str = ""
    fingerprint: str = ""
    log: str = ""
    """Folder relative to the run's folder; empty when the outcome is of an earlier run on the same base."""


class BlamedPatch(Model):
    """The patches of one component that may have brought a failure."""

    component: str
    commits: tuple[str, ...]
    """One: it is known; more: the guilty one is among them with this probability."""
    probability: float
    at: Counts = Counts()
    """Runs with the patches up to the one that is known."""
    before: Counts = Counts()
    """Runs with the patches up to its predecessor."""
    without: bool | None = None
    """Whether head fails without it; None: it was not tried, or the patch cannot be taken out of head."""


class Blame(Model):
    """Where a new failure comes from."""

    components: tuple[str, ...]
    """The smallest set of changed components that fails with all others at base; more than one: only together, or
    `undivided`.
    """
    undivided: bool = False
    """True: the search ended before it was known which of the components it takes."""
    patches: tuple[BlamedPatch, ...] = ()
    """Per guilty component."""
    runs: int = 0
    """Test runs that the search took."""
    untestable: tuple[str, ...] = ()
    """Stacks that could not be built or booted, by what of them was patched."""
    problem: str = ""
    """Why the search ended early, one line; empty: it did not, or its time was over."""


class Quarantine(Model):
    """Why the failure of a test decides nothing for now."""

    reason: str
    link: str
    expires: datetime.date
    """The last day on which it holds."""
    expired: bool = False
    """It held once: the failure counts again."""


class Earlier(Model):
    """An outcome of the same test in the same leg, in another run."""

    run: str
    side: Side
    outcome: Outcome


_NUMBER = re.compile(r"0x[0-9a-f]+|\d+")


def cause(fingerprint: str, reason: str) -> str:
    """What a failure has in common with others of its cause: the crash's fingerprint, or the first telling line without
    its numbers; empty when it says nothing.
    """
    return fingerprint or _NUMBER.sub("N", reason)


class Compared(Model):
    """One test of one leg that did not pass on head."""

    leg: str
    suite: str
    test: str
    outcome: Outcome
    """The first one on head: it stands in results.json, whatever the reruns say."""
    reason: str = ""
    """Of the first outcome, one line."""
    fingerprint: str = ""
    machine: Kind = ""
    """Kind of host that the first outcome, and all reruns, are of; empty: this host."""
    kind: Class
    head: Counts = Counts()
    """Of reruns; the first run, for which the test was chosen, is not counted."""
    base: Counts = Counts()
    reruns: tuple[Rerun, ...] = ()
    flakes: Counts = Counts()
    """Of base in other runs, where the test passed and failed with the same inputs; else no runs. With that rate it is
    judged."""
    earlier: tuple[Earlier, ...] = ()
    """Its last outcomes in other runs, whatever they tested, oldest first; at most ten."""
    quarantine: Quarantine | None = None
    after: str = ""
    """Of a CONSEQUENCE: the check that hung or crashed before it."""
    blame: Blame | None = None
    """Of a NEW one; None: it was not looked for."""
    announced: str = ""
    """Of a WITHDRAWN one: the sentence of the posting that says so."""

    @property
    def said_on_base(self) -> str:
        """How base fails, when each of its failures has another cause than all of head's; else empty."""
        failed = [rerun for rerun in self.reruns if rerun.outcome.broken]
        base = {cause(one.fingerprint, one.reason): one.reason for one in failed if one.side is Side.BASE}
        head = {cause(one.fingerprint, one.reason) for one in failed if one.side is Side.HEAD}
        ours = head | {cause(self.fingerprint, self.reason)}
        return "" if ours & {*base, ""} or "" in base else next(iter(base.values()), "")

    @property
    def order_dependent(self) -> bool:
        """It passes alone, and fails after the tests that ran before it."""
        head = [rerun for rerun in self.reruns if rerun.side is Side.HEAD]
        alone = [rerun for rerun in head if rerun.alone]
        return (
            bool(alone)
            and not any(rerun.outcome.broken for rerun in alone)
            and any(rerun.outcome.broken for rerun in head if not rerun.alone)
        )


FEATURE = "feature"
"""Kind of a figure: 1 where mke2fs makes filesystems with it, 0 where it does not."""


class FigureChange(Model):
    """Something that a suite costs a FUSE server much more on head than on base, though its tests pass; or a feature
    that filesystems are made with on one side only.
    """

    leg: str
    suite: str
    figure: str
    """`requests LOOKUP`, `memory` (the highest PSS of a server), `cpu`, `unmount`; of one kind of operation, as smoke's
    check of costs counts them, `leak create`, `steady-leak create`, `kernel-leak create`, `kernel-objects create`,
    `time create`; of a row of bench, `slower create-1`; a feature of the filesystems that smoke makes, `feature 64bit`.
    """
    test: str = ""
    """The test in which it grew; empty: over all of the suite."""
    also: tuple[str, ...] = ()
    """Figures of the same kind that grew less, but beyond their limits, too."""
    unit: str
    base: tuple[float, ...]
    """One per run."""
    head: tuple[float, ...]
    machine: Kind = ""
    """Kind of host that all of them were measured on; empty: this host."""
    blame: Blame | None = None
    """None: it was not looked for."""
    announced: str = ""
    """Of a feature that head has not: the sentence of the posting that says so."""

    @property
    def feature(self) -> str:
        """Its name; empty: it is a figure of another kind."""
        kind, _, name = self.figure.partition(" ")
        return name if kind == FEATURE else ""

    @property
    def counts(self) -> bool:
        """Whether it speaks against the series: neither a feature that is new on head nor one that it says to drop."""
        return not self.announced and not (self.feature and self.head > self.base)


class NewMessage(Model):
    """A kernel message of level warning or above that smoke brings on head in two runs, and on base in none of two."""

    leg: str
    suite: str
    test: str
    """The first check that brought it."""
    level: int
    text: str
    alarm: bool
    """Whether it counts against the series; the others are told only."""
    log: str = ""
    blame: Blame | None = None
    """Of the first alarm of a leg; None: it was not looked for."""


class Cell(Model):
    """The smoke suite on a stack of which only some components are patched."""

    leg: str
    patched: tuple[str, ...]
    """Components at head; the others are at base."""
    built: bool = True
    """False: such a stack does not build; `reason` says why."""
    passed: int = 0
    failed: tuple[str, ...] = ()
    """Checks that fail here."""
    only_here: tuple[str, ...] = ()
    """Those of them that pass on head and on base, in two runs."""
    outcome: Outcome
    """PASS, FAIL, or INFRA when it could not be built or run."""
    reason: str = ""
    log: str = ""
    blame: Blame | None = None
    """Which of the patched components and which patch makes `only_here` fail, the others left at base; None: it was not
    looked for.
    """


class Prefix(Model):
    """The smoke suite with the first parts of a posting only."""

    parts: int
    """How many of the posting's parts are applied."""
    part: str
    """The last of them: `libfuse part 2/6`."""
    commits: dict[str, str] = {}
    """Component -> its last patch that is applied; the others are at base."""
    problem: str = ""
    """Why such a stack does not build."""
    legs: tuple[Cell, ...] = ()


class Comparison(Model):
    """All tests of a run that did not pass on head."""

    schema_version: int = 4
    base_problem: str = ""
    """Why base has no results at all; empty: it has."""
    unfinished: str = ""
    """Why not all of it was compared, one line; empty: it was."""
    error_bound: float = 0.0
    """Most often that a test whose failure rate is the same on both sides is called NEW."""
    tests: tuple[Compared, ...] = ()
    figures: tuple[FigureChange, ...] = ()
    bench: tuple[BenchChange, ...] = ()
    """All rows of the bench suite in one pair of machines; what more pairs show, too, is among `figures`."""
    messages: tuple[NewMessage, ...] = ()
    smoke_on_base: dict[str, dict[str, Outcome]] = {}
    """Leg -> check -> outcome, of the run that costs and messages are compared with."""
    lost: dict[str, str] = {}
    """Leg -> why its smoke has no result on base: what head costs more there, and what it says more, is not known."""
    unmeasured: dict[str, str] = {}
    """Leg -> why rows of the bench suite that head has were not compared with base."""
    cells: tuple[Cell, ...] = ()
    """Mixed stacks, when the posting changes the kernel and what runs above it; all combinations, if asked for."""
    prefixes: tuple[Prefix, ...] = ()
    """If asked for."""

    @property
    def broken_cells(self) -> tuple[Cell, ...]:
        """Mixed stacks on which checks fail that pass on head and on base."""
        return tuple(cell for cell in self.cells if cell.only_here)

    def of(self, kind: Class) -> tuple[Compared, ...]:
        """The tests of one class, in the order of the legs."""
        return tuple(test for test in self.tests if test.kind is kind)
