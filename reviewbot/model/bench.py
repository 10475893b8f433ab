# SPDX-License-Identifier: GPL-2.0-or-later
"""What the bench suite measured: rows of figures, and how the legs and the two sides compare."""

import math
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from reviewbot.model.base import Model

Unit = Literal["s", "s/MiB", "s/op", "KiB", "MiB/MiB"]
"""Of one value: seconds; seconds per MiB of a file, per operation; KiB; MiB of memory per MiB of a file."""
Against = Literal["ext4", "bare", ""]
"""What the other values of a row are of: the kernel's ext4; fio with nothing else measured; there are none."""


class Ratio(Model):
    """How many times as large one thing is as another: geometric mean of the rounds, with its 95 % interval."""

    ratio: float = Field(gt=0)
    low: float = Field(gt=0)
    high: float = Field(gt=0)
    rounds: int = Field(ge=2)

    @classmethod
    def of(cls, logs: Sequence[float]) -> "Ratio | None":
        """From the logarithm of each round, by Student's t. None for fewer than two rounds."""
        if len(logs) < 2:
            return None
        mean = sum(logs) / len(logs)
        return cls.around(mean, math.sqrt(variance(logs) / len(logs)), len(logs) - 1, len(logs))

    @classmethod
    def around(cls, mean: float, error: float, freedom: float, rounds: int) -> "Ratio":
        """mean: logarithm; error: its standard error; freedom: degrees of it, at least 1."""
        from scipy import stats  # half a second: only where something was measured

        mean = max(-_WIDEST, min(mean, _WIDEST))
        half = min(float(stats.t.ppf(0.975, freedom)) * error, _WIDEST)
        return cls(ratio=math.exp(mean), low=math.exp(mean - half), high=math.exp(mean + half), rounds=rounds)


_WIDEST = 50.0
"""Of a ratio and of half an interval, as logarithms: whatever a guest tells, numbers stay numbers."""


def variance(logs: Sequence[float]) -> float:
    """Of a sample of two or more."""
    mean = sum(logs) / len(logs)
    return sum((one - mean) ** 2 for one in logs) / (len(logs) - 1)


class BenchRow(Model):
    """One row in one leg. Less is better in every row."""

    unit: Unit
    against: Against
    values: tuple[float, ...]
    """One per round, in `unit`. Times of an emulated machine (`accelerator` of the leg is `tcg`) mean something as
    ratios only."""
    yardstick: tuple[float, ...] = ()
    """The same of what it is measured against, taken in turns in the same machine on an image made alike."""
    ratio: Ratio | None = None
    """Of the values to the yardstick, round by round. None: there is none, or one round only."""
    upcalls: dict[str, float] | None = None
    """FUSE requests by name, per operation, mount or MiB. None: nobody counted, or there is no server."""
    switches: float | None = None
    """Context switches of the whole machine, per the same."""
    switches_yardstick: float | None = None
    series: tuple[tuple[float, float], ...] = ()
    """Of memory over time: seconds since the measurement began, KiB."""
    at_least: bool = False
    """A wait that had not ended when it was given up: it is longer than the value."""
    note: str = ""
    """What else was seen, in the guest's words, one line."""

    @property
    def logs(self) -> tuple[float, ...]:
        """Of the ratio of each round; a round in which nothing was measured is left out."""
        pairs = zip(self.values, self.yardstick, strict=False)
        return tuple(math.log(value) - math.log(other) for value, other in pairs if value > 0 and other > 0)


class BenchChange(Model):
    """One row of one leg on head against base, each divided by its own yardstick, round by round."""

    leg: str
    test: str
    row: str
    change: Ratio
    """Time on head as a multiple of that on base."""
    chance: float
    """Of a difference at least so large if head is as fast as base: exact permutation test, one-sided."""
    effect: float
    """Difference of the mean logarithms in units of their standard deviation within a side."""
