# SPDX-License-Identifier: GPL-2.0-or-later
"""Cut work into shards for machines that do not know of each other. Pure."""

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reviewbot.model.shard import Shard
from reviewbot.runner.shard_run import START
from reviewbot.runner.suite_job import SuiteJob


@dataclass(frozen=True, slots=True)
class Shape:
    """How work is cut for hosts that take one shard after another."""

    most: int
    """Shards."""
    workers: int = 0
    """That run at once; 0: `most` shards of equal length."""
    shortest: float = 0.0
    longest: float = 0.0
    """Seconds of a shard."""


def cut(works: Sequence[SuiteJob], shards: int, nonce: str = "") -> tuple[Shard, ...]:
    """About so many shards of equal length, longest first; each is of one leg, so that there is one per work at least.

    No shard is without a test, so there may be fewer.
    """
    shares = share_out([sum(work.lengths.values()) for work in works], shards)
    found = [
        piece
        for work, count in zip(works, shares, strict=True)
        for piece in shards_of(work, deal(lengths_in(work), count), nonce)
    ]
    return tuple(sorted(found, key=lambda shard: -shard.expected))


def share_out(seconds: Sequence[float], shards: int) -> list[int]:
    """How many shards each work gets, one at least: the next one goes to where shards are longest."""
    shares = [1] * len(seconds)
    for _ in range(shards - len(seconds)):
        longest = max(range(len(seconds)), key=lambda place: seconds[place] / shares[place], default=None)
        # A shard that is shorter than a machine's start saves nothing.
        if longest is None or seconds[longest] / (shares[longest] + 1) < START:
            break
        shares[longest] += 1
    return shares


def deal(lengths: Mapping[str, float], shards: int) -> list[list[str]]:
    """Names of tests, each to the shard that has the least to do yet, the longest test first. No shard is empty."""
    heap = [(0.0, place) for place in range(max(1, min(shards, len(lengths))))]
    dealt: list[list[str]] = [[] for _ in heap]
    for name in sorted(lengths, key=lambda name: (-lengths[name], name)):
        seconds, place = heapq.heappop(heap)
        dealt[place].append(name)
        heapq.heappush(heap, (seconds + lengths[name] + 1e-6, place))  # tests of no length are dealt evenly, too
    return dealt


ROUND = 0.7
"""Of what is left, this part is handed out in one round. A machine that was just started is slow for a while, so the
fewer shards the better; but what is left must make up for durations that were guessed wrong, and for slow hosts.
"""


def portions(seconds: float, workers: int, least: float, most: float) -> list[float]:
    """Seconds of each shard, for so many workers that take one after another.

    They are handed out in rounds, in which each worker gets one of the same length, `ROUND` of its share of what is
    left. The last round has what would make no round of shards of `least`. None is longer than `most`, and none shorter
    than `least` as long as there is so much for each worker, and `most` is twice as much. Longest first.
    """
    least = max(least, 1.0)
    if seconds < workers * least:
        fewer = max(1, int(seconds / least), math.ceil(seconds / most))
        return [seconds / fewer] * fewer
    found: list[float] = []
    left = seconds / workers
    while left > 0:
        size = min(most, left * ROUND if workers > 1 else left)
        if size < left:
            size = min(size, left - least)  # the next round is long enough, or this one is the last
        if size < least:
            size = left if left <= most else left / 2
        found += [size] * workers
        left = left - size if size < left else 0.0
    return found


def share(lengths: Mapping[str, float], sizes: Sequence[float]) -> list[list[str]]:
    """Names of tests for each of these sizes, longest first: a test goes where it fills least of the size."""
    dealt: list[list[str]] = [[] for _ in sizes]
    filled = [0.0] * len(sizes)
    for name in sorted(lengths, key=lambda name: (-lengths[name], name)):
        seconds = lengths[name] + 1e-6
        place = min(range(len(sizes)), key=lambda place: (filled[place] + seconds) / sizes[place])
        dealt[place].append(name)
        filled[place] += seconds
    return sorted(filter(None, dealt), key=lambda names: -sum(lengths[name] for name in names))


def lengths_in(work: SuiteJob) -> dict[str, float]:
    """Test -> seconds that it takes, of all tests of the work."""
    return {step.name: work.lengths.get(step.name, 0.0) for step in work.shard.tests}


def shards_of(work: SuiteJob, dealt: Sequence[Sequence[str]], nonce: str) -> list[Shard]:
    """One for each list of tests."""
    whole = work.shard
    steps = {step.name: step for step in whole.tests}
    return [
        whole.model_copy(
            update={
                "number": number,
                "of": len(dealt),
                "nonce": nonce,
                "steps": (*whole.setup, *(steps[n] for n in names)),
                "expected": round(sum(work.lengths.get(name, 0.0) for name in names), 1),
            }
        )
        for number, names in enumerate(dealt, 1)
    ]
