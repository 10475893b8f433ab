# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a leg became slower: ratios with their intervals, and head against base. Pure.

What is compared is a value over its yardstick of the same round, the kernel's ext4 in the same machine: a busy host
slows down both. A row counts as slower when each of several pairs of machines shows it, by the limits of `bench.yaml`;
the chance of that for a head that is as fast as base is, by the tests alone, rows * level ** pairs at the most.
"""

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from reviewbot.config import load_yaml
from reviewbot.model.base import Model
from reviewbot.model.bench import BenchChange, BenchRow, Ratio, variance
from reviewbot.model.comparison import FigureChange
from reviewbot.model.results import LegResult, TestResult

if TYPE_CHECKING:
    import numpy

FIGURE = "slower"
"""A change is called `slower create-1`."""
UNIT = "times ext4"
_MOST = 10_000
"""With more arrangements than this the permutation test draws so many of them."""


class Limits(Model):
    """`bench.yaml` of this package."""

    ratio: float = Field(gt=1.0)
    """How much slower head has to be, as a multiple of base."""
    level: float = Field(gt=0.0, lt=0.5)
    """Significance in each pair of machines."""
    pairs: int = Field(ge=2)
    """Pairs of machines, one of base and one of head, that all have to show it."""
    why: str


@functools.cache
def load_limits(path: Path | None = None) -> Limits:
    """Raises ConfigError."""
    return load_yaml(path or Path(__file__).with_name("bench.yaml"), Limits)


def compare(base: LegResult, head: LegResult) -> tuple[BenchChange, ...]:
    """Rows that both have, measured against ext4."""
    was, now = (rows_of(leg.tests) for leg in (base, head))
    found = []
    for (test, name), row in now.items():
        if (before := was.get((test, name))) and (change := _change(before.logs, row.logs)):
            found.append(change.model_copy(update={"leg": head.leg, "test": test, "row": name}))
    return tuple(found)


def slower(changes: Sequence[BenchChange]) -> tuple[BenchChange, ...]:
    """Those that one pair of machines shows."""
    limits = load_limits()
    return tuple(one for one in changes if one.change.ratio >= limits.ratio and one.chance <= limits.level)


def figures(tests: Sequence[TestResult]) -> dict[str, float]:
    """`slower create-1` -> times as long as the kernel's ext4."""
    rows = rows_of(tests)
    return {f"{FIGURE} {name}": row.ratio.ratio for (_, name), row in rows.items() if row.ratio}


def finding(slow: Sequence[BenchChange], pairs: Sequence[tuple[LegResult, LegResult]]) -> FigureChange | None:
    """What all pairs show of one leg: the row that changed most, with the names of the others; None without any.

    pairs: (base, head) of each.
    """
    known = [(figures(base.tests), figures(head.tests)) for base, head in pairs]
    left = [one for one in slow if all(f"{FIGURE} {one.row}" in side for pair in known for side in pair)]
    if not left:
        return None
    most = max(left, key=lambda one: one.change.ratio)
    name = f"{FIGURE} {most.row}"
    return FigureChange(
        leg=most.leg,
        suite="bench",
        test=most.test,
        figure=name,
        unit=UNIT,
        also=tuple(f"{FIGURE} {one.row}" for one in left if one is not most),
        base=tuple(base[name] for base, _ in known),
        head=tuple(head[name] for _, head in known),
    )


def rows_of(tests: Sequence[TestResult]) -> Mapping[tuple[str, str], BenchRow]:
    """(test, row) of all that is measured against ext4."""
    pairs = [(test.test, name, row) for test in tests for name, row in test.bench.items()]
    return {(test, name): row for test, name, row in pairs if row.against == "ext4"}


def _change(base: Sequence[float], head: Sequence[float]) -> BenchChange | None:
    """Welch's interval of the difference, the exact chance of one at least so large, and its size in deviations."""
    if min(len(base), len(head)) < 2:
        return None
    difference = sum(head) / len(head) - sum(base) / len(base)
    one, other = variance(base) / len(base), variance(head) / len(head)
    spread = math.sqrt((variance(base) + variance(head)) / 2)
    freedom = (one + other) ** 2 / (one**2 / (len(base) - 1) + other**2 / (len(head) - 1)) if one + other else 1.0
    return BenchChange(
        leg="",
        test="",
        row="",
        change=Ratio.around(difference, math.sqrt(one + other), freedom, min(len(base), len(head))),
        chance=_chance(base, head),
        effect=round(difference / spread, 3) if spread else 0.0,
    )


def _chance(base: Sequence[float], head: Sequence[float]) -> float:
    """One-sided, of all arrangements of the rounds on two sides; of so many that not all can be tried, of some."""
    import numpy  # a tenth of a second, which a run without bench need not take

    rounds = numpy.array((*head, *base))
    sums = rounds[_arrangements(len(rounds), len(head))].sum(axis=1)
    return round(float(numpy.mean(sums >= sum(head) - 1e-9)), 6)


@functools.cache
def _arrangements(rounds: int, head: int) -> "numpy.ndarray":
    """Which rounds could be those of head, one choice a row; the first row is the choice that was made."""
    import numpy

    if math.comb(rounds, head) <= _MOST:
        return numpy.array(list(itertools.combinations(range(rounds), head)))
    dice = numpy.random.default_rng(0)
    drawn = [dice.permutation(rounds)[:head] for _ in range(_MOST - 1)]
    return numpy.array([numpy.arange(head), *drawn])
