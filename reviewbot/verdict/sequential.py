# SPDX-License-Identifier: GPL-2.0-or-later
"""How many runs on head and on base are needed to tell a new failure from an old or a flaky one. Pure.

After each round (one more run per side) Fisher's exact test looks at the counts of both sides. The level is the same
after each round, so the chance of an error over all rounds is larger than the level: `error_bound` computes it exactly.
The failure for which a test was chosen is not counted: of many flaky tests some fail in any run.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from math import comb

from reviewbot.model.comparison import Class, Counts


@dataclass(frozen=True, slots=True)
class Design:
    """When to stop."""

    rounds: int = 5
    """Runs per side, by default at most."""
    extended: int = 30
    """The same for a test that failed again on head and never, or much less often, on base."""
    level: float = 0.015
    """One-sided significance after each round."""
    leaning: float = 0.25
    """Significance at which a test that failed on base, too, is worth more than `rounds`."""
    agreed: int = 2
    """Runs on base that fail, all of them, before a failure counts as pre-existing."""

    def limit(self, head: Counts, base: Counts) -> int:
        """Rounds that these counts are worth."""
        promising = head.failed and (not base.failed or significance(head, base) <= self.leaning)
        return self.extended if promising else self.rounds


DEFAULT = Design()


def significance(head: Counts, base: Counts) -> float:
    """Chance of at least so many of the failures on head, if both sides fail equally often (Fisher, one-sided)."""
    failures, runs = head.failed + base.failed, head.runs + base.runs
    if not runs:
        return 1.0
    ways = sum(
        comb(head.runs, more) * comb(base.runs, failures - more)
        for more in range(head.failed, min(head.runs, failures) + 1)
        if failures - more <= base.runs
    )
    return ways / comb(runs, failures)


def tail(failed: int, runs: int, rate: float) -> float:
    """Chance of at least so many failures of a test that fails at this rate."""
    return sum(comb(runs, more) * rate**more * (1 - rate) ** (runs - more) for more in range(failed, runs + 1))


def decide(head: Counts, base: Counts, design: Design = DEFAULT, flakes: Counts | None = None) -> Class | None:
    """What the counts say; None: another round is wanted.

    flakes: earlier runs of base of a test that is known to pass and fail: so many failures on head must be unlikely at
    that rate, too. That makes NEW rarer, so the error bound holds.
    """
    likely = tail(head.failed, head.runs, flakes.failed / flakes.runs) if flakes and flakes.runs else 0.0
    if head.runs and base.runs and significance(head, base) <= design.level and likely <= design.level:
        return Class.NEW
    if base.failed == base.runs >= design.agreed:
        return Class.PRE_EXISTING
    if min(head.runs, base.runs) < design.limit(head, base):
        return None
    return Class.UNDECIDED if head.failed and not base.failed else Class.FLAKY


DEFAULT_BOUND = 0.01626080206094548
"""What `largest_error` computes for the default design, which takes a good part of a second."""


def error_bound(design: Design = DEFAULT) -> float:
    """Largest chance, over failure rates that are the same on both sides, that a test ends as NEW.

    One that never failed alone, in `rounds` runs per side, is judged a second time, after the tests that ran before it.
    """
    return DEFAULT_BOUND if design == DEFAULT else largest_error(design)


@functools.cache
def largest_error(design: Design, steps: int = 50) -> float:
    """`error_bound`, computed exactly at so many failure rates."""

    def error(rate: float) -> float:
        return chances(rate, rate, design)[Class.NEW] * (1 + (1 - rate) ** (2 * design.rounds))

    return max(error(step / steps) for step in range(1, steps))


def chances(head_rate: float, base_rate: float, design: Design = DEFAULT) -> dict[Class, float]:
    """Exact chance of each decision, from the failure rates of both sides. One run per side and round."""
    ended = dict.fromkeys(Class, 0.0)
    states = {(0, 0): 1.0}
    number = 0
    while states:
        number += 1
        following: dict[tuple[int, int], float] = {}
        for counts, weight in _round(states, head_rate, base_rate):
            following[counts] = following.get(counts, 0.0) + weight
        states = {}
        for (head, base), weight in following.items():
            kind = _decided(head, base, number, design)
            if kind is None:
                states[head, base] = weight
            else:
                ended[kind] += weight
    return ended


@functools.cache
def _decided(head: int, base: int, runs: int, design: Design) -> Class | None:
    """The decision after so many failures in so many runs per side; the same for all rates."""
    return decide(Counts(failed=head, runs=runs), Counts(failed=base, runs=runs), design)


def _round(
    states: dict[tuple[int, int], float], head_rate: float, base_rate: float
) -> Iterator[tuple[tuple[int, int], float]]:
    for (head, base), weight in states.items():
        for head_fails in (0, 1):
            for base_fails in (0, 1):
                chance = (head_rate if head_fails else 1 - head_rate) * (base_rate if base_fails else 1 - base_rate)
                if chance:
                    yield (head + head_fails, base + base_fails), weight * chance
