# SPDX-License-Identifier: GPL-2.0-or-later
"""Cut work into shards for machines that do not know of each other. Pure."""

import heapq
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


def portions(seconds: float, workers: int, least: float, most: float) -> list[float]:
    """Seconds of each shard, for so many workers that take one after another.

    Each is half of a worker's share of what is left: the last ones are short, so that all workers end together. When
    that would be shorter than `least`, what is left is cut evenly, into as many shards for each worker. None is shorter
    than `least` except the only one, and none longer than `most` by more than a rest that is shorter. Longest first.
    """
    found: list[float] = []
    while seconds > 0:
        size = seconds / (2 * workers) if workers > 1 else seconds
        if found and seconds < least:
            found[-1] += seconds
            break
        if size < least:
            even = max(1, int(seconds / least))
            even -= even % workers if even > workers else 0
            found += [seconds / even] * even
            break
        found.append(min(most, size))
        seconds -= found[-1]
    return sorted(found, reverse=True) or [0.0]


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
