# SPDX-License-Identifier: GPL-2.0-or-later
"""Cut work into shards for machines that do not know of each other. Pure."""

import heapq
from collections.abc import Mapping, Sequence

from reviewbot.model.shard import Shard
from reviewbot.runner.shard_run import START
from reviewbot.runner.suite_job import SuiteJob


def cut(works: Sequence[SuiteJob], shards: int, nonce: str = "") -> tuple[Shard, ...]:
    """About so many shards of equal length, longest first; each is of one leg, so that there is one per work at least.

    No shard is without a test, so there may be fewer.
    """
    shares = share_out([sum(work.lengths.values()) for work in works], shards)
    found = [piece for work, share in zip(works, shares, strict=True) for piece in _pieces(work, share, nonce)]
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


def _pieces(work: SuiteJob, share: int, nonce: str) -> list[Shard]:
    whole = work.shard
    steps = {step.name: step for step in whole.tests}
    dealt = deal({name: work.lengths.get(name, 0.0) for name in steps}, share)
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
