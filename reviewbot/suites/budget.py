# SPDX-License-Identifier: GPL-2.0-or-later
"""The most valuable tests that fit into a time. Pure and deterministic.

Tests are put in order once, whatever the budget: the next is always the one with the most worth per second, and what it
is worth then (its groups may be covered already) is its value from there on. A budget takes from that order what fits.
As value per second only falls along the order, a larger budget never has less value: where it first takes a test that
the smaller one cannot, that test alone outweighs all that the smaller one can still take.
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reviewbot.suites.worth import Judge

_CAPS = 24
"""So many limits for the longest test are tried."""
_LEAST = 0.05
"""Seconds that a test counts at least."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A test that could be run."""

    leg: str
    test: str
    seconds: float
    """How long it should take on this machine."""


@dataclass(frozen=True, slots=True)
class Host:
    """What runs them."""

    machines: int
    """At once."""
    start: float
    """Seconds until a machine runs its first test."""
    smoke: Mapping[str, float]
    """Leg -> seconds of its smoke suite, which goes first in any case."""


@dataclass(frozen=True, slots=True)
class Budgeted:
    """What fits and what does not."""

    chosen: tuple[Wanted, ...]
    left_out: tuple[Wanted, ...]
    value: float


def within(wanted: Sequence[Wanted], judge: Judge, budget: float, host: Host) -> Budgeted:
    """What to run in `budget` seconds of wall time, in the order given. Each (leg, test) may be there once."""
    order = _ordered(wanted, judge)
    best: tuple[float, list[Wanted]] = (-1.0, [])
    for longest in _caps(wanted):
        found = _fill(order, longest, budget, host)
        best = found if found[0] > best[0] + 1e-9 else best
    taken = {(one.leg, one.test) for one in best[1]}
    chosen = tuple(one for one in wanted if (one.leg, one.test) in taken)
    left = tuple(one for one in wanted if (one.leg, one.test) not in taken)
    return Budgeted(chosen, left, max(best[0], 0.0))


def wall(seconds: float, longest: float, host: Host) -> float:
    """The most that tests of so many seconds, the longest of which takes `longest`, can take on this host.

    However they are dealt (Graham's bound): what there is to do, by machines, and what one of them cannot share.
    """
    each = host.start if host.smoke else 0.0
    legs = len(host.smoke)
    smoke = sum(host.smoke.values()) + legs * each
    starts = (legs + host.machines - 1) * host.start if seconds else 0.0
    alone = max(host.smoke.values(), default=0.0) + each + (host.start + longest if seconds else 0.0)
    share = 1 / host.machines
    return (smoke + starts + seconds) * share + alone * (1 - share)


def _ordered(wanted: Sequence[Wanted], judge: Judge) -> list[tuple[float, Wanted]]:
    """With the worth of each when its turn comes. A worth that was looked up earlier is never too low."""
    heap = [(-judge.worth(one.leg, one.test) / _cost(one), one.leg, one.test, one) for one in wanted]
    heapq.heapify(heap)
    found = []
    while heap:
        *_, one = heapq.heappop(heap)
        worth = judge.worth(one.leg, one.test)
        now = (-worth / _cost(one), one.leg, one.test, one)
        if heap and now[:3] > heap[0][:3]:
            heapq.heappush(heap, now)
            continue
        judge.take(one.leg, one.test)
        found.append((worth, one))
    return found


def _cost(one: Wanted) -> float:
    return max(one.seconds, _LEAST)


def _caps(wanted: Sequence[Wanted]) -> list[float]:
    """Limits for the longest test: with several machines a long test at the end leaves the others idle."""
    lengths = sorted({_cost(one) for one in wanted})
    step = max(1, -(-len(lengths) // _CAPS))
    return sorted({*lengths[::step], *lengths[-1:]})


def _fill(
    order: Sequence[tuple[float, Wanted]], longest: float, budget: float, host: Host
) -> tuple[float, list[Wanted]]:
    value, spent, taken = 0.0, 0.0, []
    for worth, one in order:
        after = spent + _cost(one)
        if _cost(one) > longest or wall(after, longest, host) > budget:
            continue
        value, spent = value + worth, after
        taken.append(one)
    return value, taken
