# SPDX-License-Identifier: GPL-2.0-or-later
"""The job of a suite is cut so that machines end together, and so that no test is lost or doubled."""

import heapq
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.config import load_stack
from reviewbot.model.stack import LegSpec
from reviewbot.runner.context import Context
from reviewbot.runner.cut import cut, deal, portions, share, share_out
from reviewbot.runner.plan_suites import lengths_of, suite_job_of
from reviewbot.runner.select import choose
from reviewbot.runner.shard_run import START
from reviewbot.runner.suite_job import SuiteJob
from reviewbot.store import TestSeconds
from tests.played import TESTS, World

SECONDS = st.floats(0.0, 1000.0)
LENGTHS = st.dictionaries(st.text("abcdef/0123456789", min_size=1, max_size=8), SECONDS, max_size=60)


@given(LENGTHS, st.integers(1, 12))
def test_every_test_is_dealt_once_and_no_shard_is_much_longer_than_its_share(
    lengths: dict[str, float], shards: int
) -> None:
    dealt = deal(lengths, shards)
    assert sorted(name for names in dealt for name in names) == sorted(lengths)
    assert len(dealt) == max(1, min(shards, len(lengths))) and (all(dealt) or not lengths)
    longest = max(sum(lengths[name] for name in names) for names in dealt)
    assert longest <= sum(lengths.values()) / len(dealt) + max(lengths.values(), default=0.0) + 0.001


def test_the_longest_tests_are_dealt_first() -> None:
    assert deal({"a": 1, "b": 9, "c": 5, "d": 4}, 2) == [["b", "a"], ["c", "d"]]


def test_tests_of_which_nothing_is_known_are_dealt_evenly() -> None:
    assert [len(names) for names in deal(dict.fromkeys("abcdefgh", 0.0), 3)] == [3, 3, 2]


@given(st.lists(SECONDS, min_size=1, max_size=6), st.integers(1, 40))
def test_each_work_has_a_shard_and_none_is_shorter_than_a_machines_start(seconds: list[float], shards: int) -> None:
    shares = share_out(seconds, shards)
    assert len(shares) == len(seconds) and min(shares) >= 1
    assert sum(shares) <= max(shards, len(seconds))
    assert all(share == 1 or length / share >= START for share, length in zip(shares, seconds, strict=True))


@given(st.floats(0.1, 1e5), st.integers(1, 64), st.floats(1.0, 150.0), st.floats(300.0, 1200.0))
def test_portions_make_up_the_whole_and_keep_to_their_limits(
    seconds: float, workers: int, least: float, most: float
) -> None:
    sizes = portions(seconds, workers, least, most)
    assert sum(sizes) == pytest.approx(seconds)
    assert max(sizes) <= most * 1.001 and (min(sizes) >= least * 0.999 or seconds < workers * least)
    assert (sizes == sorted(sizes, reverse=True) and len(sizes) % workers == 0) or seconds < workers * least


def test_each_worker_gets_a_shard_of_each_round_and_the_last_round_is_short() -> None:
    assert [round(size) for size in portions(240.0, 2, 20.0, 1200.0)] == [84, 84, 36, 36]
    assert portions(140.0, 2, 50.0, 1200.0) == [70.0, 70.0]
    assert portions(90.0, 2, 50.0, 1200.0) == [90.0]
    assert portions(100.0, 2, 60.0, 60.0) == [50.0, 50.0]
    assert portions(1000.0, 4, 0.0, 1200.0)[-1] >= 1.0


@given(st.integers(0, 1000), st.integers(2, 6))
def test_workers_end_together_though_durations_are_guessed(seed: int, workers: int) -> None:
    """Each guess is wrong by up to a factor of two; a worker takes the next shard when it is done with one."""
    random = Random(seed)
    tests = {f"t{number}": random.expovariate(1 / 10) + 1 for number in range(60 * workers)}
    guessed = {name: seconds * 2 ** random.uniform(-1, 1) for name, seconds in tests.items()}
    sizes = portions(sum(guessed.values()), workers, 20.0, 1200.0)
    free = [0.0] * workers
    for names in share(guessed, sizes):
        heapq.heapreplace(free, free[0] + sum(tests[name] for name in names))
    assert max(free) <= 1.25 * sum(tests.values()) / workers + max(tests.values())


def test_a_slow_leg_gets_more_shards() -> None:
    assert share_out([100.0, 300.0], 4) == [1, 3]
    assert share_out([100.0, 300.0], 1) == [1, 1]
    assert share_out([], 3) == []


def test_an_unknown_test_counts_as_the_median_of_the_known() -> None:
    known = {name: TestSeconds(seconds, own=True) for name, seconds in (("a", 1.0), ("b", 2.0), ("c", 60.0))}
    assert lengths_of(["a", "x"], known) == {"a": 1.0, "x": 2.0}
    assert lengths_of(["x"], {}) == {"x": 1.0}


def works(world: World) -> list[SuiteJob]:
    context = world.context()
    context.durations.put_tests("fuse2fs", "tcg", {f"fstests/{test}": 10.0 * n for n, test in enumerate(TESTS, 1)})
    stack = load_stack()
    return [work(stack.leg(leg), context) for leg in ("ext4", "fuse2fs")]


def work(leg: LegSpec, context: Context) -> SuiteJob:
    return suite_job_of(leg, "fstests", context, choose([leg], context, ["fstests"])[leg.name].selection)


def test_shards_of_all_legs_come_longest_first_and_hold_each_test_once(world: World) -> None:
    made = works(world)
    shards = cut(made, 5, "abc")
    assert [shard.expected for shard in shards] == sorted((shard.expected for shard in shards), reverse=True)
    for work in made:
        own = [shard for shard in shards if shard.leg == work.leg]
        assert sorted(s.name for shard in own for s in shard.tests) == sorted(s.name for s in work.shard.tests)
        assert all(shard.setup == work.shard.setup and shard.nonce == "abc" for shard in own)
        assert sorted(shard.number for shard in own) == list(range(1, own[0].of + 1))
    assert len({shard.key for shard in shards}) == len(shards) == 5


def test_durations_of_another_leg_seed_a_new_one(world: World) -> None:
    ext4, fuse2fs = works(world)
    assert ext4.lengths == fuse2fs.lengths, "ext4 was never run"


def test_what_an_outcome_depends_on_has_nothing_of_the_cut(world: World) -> None:
    before, _ = work(load_stack().leg("ext4"), world.context()), works(world)
    after = work(load_stack().leg("ext4"), world.context(machines=4))
    assert before.shard.key != after.shard.key and before.lengths != after.lengths
    assert before.inputs == after.inputs
