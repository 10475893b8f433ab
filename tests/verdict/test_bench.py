# SPDX-License-Identifier: GPL-2.0-or-later
"""What counts as slower, and how rarely a head that is as fast as base does."""

import math
import random
from collections.abc import Sequence

import pytest

from reviewbot.model.bench import BenchRow, Ratio
from reviewbot.model.results import LegResult, Outcome, TestResult
from reviewbot.suites.bench import chosen
from reviewbot.verdict import bench

ROWS = [row.name for one in chosen("full") for row in one.rows if row.against == "ext4"]
LEGS = 4
WITHIN, BETWEEN = 0.20, 0.08
"""Standard deviations of the logarithm of a ratio: between the rounds of a machine, and between two machines; about
twice those of an emulated machine on a host that other work keeps busy."""


def row(values: Sequence[float]) -> BenchRow:
    plain = BenchRow(unit="s/op", against="ext4", values=tuple(values), yardstick=(1.0,) * len(values))
    return plain.model_copy(update={"ratio": Ratio.of(plain.logs)})


def leg(name: str = "fuse2fs", **rows: Sequence[float]) -> LegResult:
    found = {row_name.replace("_", "-"): row(values) for row_name, values in rows.items()}
    return LegResult(
        leg=name,
        available=True,
        tests=(TestResult(suite="bench", test="files-1", outcome=Outcome.PASS, bench=found),),
    )


def drawn(dice: random.Random, factor: float = 1.0, rounds: int = 5) -> list[float]:
    machine = math.log(factor) + dice.gauss(0, BETWEEN)
    return [math.exp(machine + dice.gauss(0, WITHIN)) for _ in range(rounds)]


def found(dice: random.Random, factor: float) -> bool:
    """Whether all pairs of machines show a row of a head that takes so many times as long."""
    return all(
        bench.slower(bench.compare(leg(create=drawn(dice)), leg(create=drawn(dice, factor))))
        for _ in range(bench.load_limits().pairs)
    )


def test_twenty_runs_of_head_against_itself_have_no_finding() -> None:
    dice = random.Random(1)
    assert not any(found(dice, 1.0) for _ in range(20 * LEGS * len(ROWS)))


def test_a_row_that_takes_twice_as_long_is_found_nearly_always() -> None:
    dice = random.Random(2)
    assert sum(found(dice, 2.0) for _ in range(40)) >= 36


def test_the_chance_of_a_false_alarm_in_twenty_runs_is_small_by_the_test_alone() -> None:
    limits = bench.load_limits()
    assert 20 * LEGS * len(ROWS) * limits.level**limits.pairs < 0.05


def test_every_row_has_rounds_enough_to_show_a_difference() -> None:
    rounds = {row.name: one.rounds for one in chosen("full") for row in one.rows if row.against == "ext4"}
    assert [name for name, n in rounds.items() if 1 / math.comb(2 * n, n) > bench.load_limits().level] == []


def test_a_difference_within_the_noise_of_the_rounds_is_none() -> None:
    base, head = leg(create=[1.0, 3.0, 1.2, 2.5, 0.8]), leg(create=[2.9, 1.1, 3.1, 1.0, 2.6])
    (change,) = bench.compare(base, head)
    assert change.change.low < 1 < change.change.high
    assert bench.slower([change]) == ()


def test_a_sure_difference_that_is_small_is_none() -> None:
    base, head = leg(create=[1.0, 1.01, 0.99, 1.0, 1.0]), leg(create=[1.11, 1.1, 1.12, 1.1, 1.1])
    (change,) = bench.compare(base, head)
    assert change.chance <= bench.load_limits().level and change.change.low > 1
    assert bench.slower([change]) == ()


def test_what_became_faster_is_no_finding() -> None:
    base, head = leg(create=[2.0, 2.1, 1.9, 2.0, 2.0]), leg(create=[1.0, 1.1, 0.9, 1.0, 1.0])
    (change,) = bench.compare(base, head)
    assert change.change.high < 1 and change.effect < 0
    assert bench.slower([change]) == ()


def test_a_row_that_one_side_does_not_have_is_not_compared() -> None:
    assert bench.compare(leg(create=[1.0, 1.0]), leg(stat=[9.0, 9.0])) == ()


def test_of_several_slower_rows_the_one_that_changed_most_speaks_for_the_leg() -> None:
    base = leg(create_1=[1.0, 1.1, 0.9, 1.0, 1.0], stat_1=[1.0, 1.1, 0.9, 1.0, 1.0])
    head = leg(create_1=[2.0, 2.2, 1.8, 2.0, 2.0], stat_1=[3.0, 3.3, 2.7, 3.0, 3.0])
    slow = bench.slower(bench.compare(base, head))
    change = bench.finding(slow, [(base, head)] * 3)
    assert change and (change.figure, change.also, change.test) == ("slower stat-1", ("slower create-1",), "files-1")
    assert len(change.base) == len(change.head) == 3
    assert min(change.head) == pytest.approx(3.0, rel=0.01)


def test_nothing_slower_is_no_finding() -> None:
    assert bench.finding((), []) is None
