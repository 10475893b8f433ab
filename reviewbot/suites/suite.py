# SPDX-License-Identifier: GPL-2.0-or-later
"""The suites that a leg can run. A new one is a module and an entry here."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from reviewbot.model.lab import GuestStep, StepReply
from reviewbot.model.results import TestResult
from reviewbot.model.stack import LegSpec
from reviewbot.store import TestSeconds
from reviewbot.suites import bench, fstests, smoke
from reviewbot.suites.selection import Selection
from reviewbot.suites.shortcomings import FactOf

SuiteName = Literal["smoke", "fstests", "bench"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which tests of a suite run; each suite looks at what concerns it."""

    selection: Selection | None
    """Of fstests."""
    checks: Collection[str]
    """Of smoke and bench; empty: all."""
    known: Mapping[str, TestSeconds]
    """What steps took before."""
    soak: int
    """Seconds that soak tests run."""
    again: bool = False
    """It is a rerun."""
    rows: str = ""
    """Of bench, as `--rows` has them; empty: those by default."""


@dataclass(frozen=True, slots=True)
class Suite:
    """What the runner has to know of a suite."""

    name: SuiteName
    steps: Callable[[LegSpec, Wanted], tuple[GuestStep, ...]]
    read: Callable[[LegSpec, Sequence[StepReply], FactOf], tuple[TestResult, ...]]
    """Results of the tests that have a reply."""
    alone: Callable[[Collection[str]], tuple[str, ...]] = tuple
    """The checks that have to run to see these again; empty: a selection says it."""
    up_to: Callable[[Collection[str]], tuple[str, ...]] = tuple
    """The same with all that run before them."""
    guesses: Callable[[str], Mapping[str, float]] = lambda rows: {}
    """Of a suite in order: step -> seconds on a machine of slow factor 1, until it has been measured. Takes `--rows`;
    raises UsageError for a row that is none."""
    needs: tuple[str, ...] = ()
    """Artifacts, besides those of the leg."""
    selects: bool = False
    """A selection says which of its tests run in a leg."""
    gate: bool = False
    """When one of its tests does not pass, the leg ends there."""
    ordered: bool = False
    """Its tests build on each other: one machine runs all of them in order. Otherwise they run in any order, on as many
    machines as there are, and may be cut into shards.
    """
    resumable: bool = False
    """Answers are kept as they come, and an interrupted run goes on after them."""
    learns: bool = False
    """A test that cannot run is remembered, and not run again while its reason holds."""


def _smoke_results(leg: LegSpec, replies: Sequence[StepReply], fact: FactOf) -> tuple[TestResult, ...]:
    told = {reply.name for reply in replies}
    return tuple(result for result in smoke.results(leg, replies, fact) if f"smoke/{result.test}" in told)


SUITES: Mapping[SuiteName, Suite] = {
    "smoke": Suite(
        name="smoke",
        steps=lambda leg, wanted: smoke.steps(leg, wanted.checks, again=wanted.again),
        read=_smoke_results,
        alone=smoke.alone,
        up_to=smoke.up_to,
        guesses=lambda rows: {f"smoke/{check}": 1.0 for check in smoke.CHECKS},
        gate=True,
        ordered=True,
    ),
    "fstests": Suite(
        name="fstests",
        steps=lambda leg, wanted: (
            fstests.steps(leg, wanted.selection, wanted.known, wanted.soak) if wanted.selection else ()
        ),
        read=lambda leg, replies, fact: fstests.results(leg, replies, fact),
        alone=lambda tests: (),
        up_to=lambda tests: (),
        needs=("fstests",),
        selects=True,
        resumable=True,
        learns=True,
    ),
    "bench": Suite(
        name="bench",
        steps=lambda leg, wanted: bench.steps(leg, wanted.rows, wanted.checks),
        read=lambda leg, replies, fact: bench.results(leg, replies),
        guesses=lambda rows: {f"bench/{one.name}": 1.5 for one in bench.chosen(rows)},
        ordered=True,
    ),
}
"""In the order in which a leg runs them."""


def suite_named(word: str) -> Suite:
    """As a result names it. Raises KeyError for a word that is no suite."""
    for name, suite in SUITES.items():
        if name == word:
            return suite
    raise KeyError(word)
