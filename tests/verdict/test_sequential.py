# SPDX-License-Identifier: GPL-2.0-or-later
"""How often the counts are misread, computed exactly and seen in simulated runs."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.model.comparison import Class, Counts
from reviewbot.verdict.sequential import (
    DEFAULT,
    Design,
    chances,
    decide,
    error_bound,
    largest_error,
    significance,
    tail,
)

STATED = 0.02
"""What docs/verdict.md says of the chance that a failure is called new though both sides fail equally often."""


def simulated(head: float, base: float, dice: random.Random) -> tuple[Class, int]:
    """The decision of one test whose failure rates are these, and the rounds that it took."""
    on_head, on_base = Counts(), Counts()
    while (kind := decide(on_head, on_base)) is None:
        on_head, on_base = on_head.plus(dice.random() < head), on_base.plus(dice.random() < base)
    return kind, on_head.runs


def test_the_stated_bound_holds_for_every_failure_rate() -> None:
    assert 0 < largest_error(DEFAULT, steps=200) <= STATED
    assert error_bound() == pytest.approx(largest_error(DEFAULT), rel=1e-9)
    assert error_bound(Design(rounds=2)) == largest_error(Design(rounds=2))


def test_a_failure_of_every_run_is_new_after_few_runs_and_never_anything_else() -> None:
    assert chances(1.0, 0.0)[Class.NEW] == pytest.approx(1.0)
    assert simulated(1.0, 0.0, random.Random(1)) == (Class.NEW, 4)


def test_a_failure_that_base_has_in_every_run_is_pre_existing_after_two_runs() -> None:
    assert simulated(1.0, 1.0, random.Random(1)) == (Class.PRE_EXISTING, 2)


def test_a_failure_rate_of_a_third_is_found_more_often_than_not_and_never_called_old() -> None:
    found = chances(0.3, 0.0)
    assert found[Class.NEW] > 0.75
    assert found[Class.PRE_EXISTING] == 0.0


@pytest.mark.parametrize("rates", [(0.3, 0.3), (0.5, 0.5), (0.1, 0.1), (0.9, 0.9)])
def test_ten_thousand_simulated_tests_that_flake_equally_stay_within_the_bound(rates: tuple[float, float]) -> None:
    dice = random.Random(7)
    wrong = sum(simulated(*rates, dice)[0] is Class.NEW for _ in range(10_000))
    # Four standard deviations of the count: the seed is fixed, so this decides about the code and not about luck.
    assert wrong <= 10_000 * STATED + 4 * (10_000 * STATED) ** 0.5


def test_exact_chances_agree_with_simulation() -> None:
    dice = random.Random(11)
    seen = [simulated(0.3, 0.02, dice)[0] for _ in range(10_000)]
    for kind, chance in chances(0.3, 0.02).items():
        assert seen.count(kind) / 10_000 == pytest.approx(chance, abs=0.02)


def test_a_design_of_one_round_decides_nothing_new() -> None:
    assert chances(1.0, 0.0, Design(rounds=1, extended=1))[Class.NEW] == 0.0


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_one_more_failure_on_head_never_makes_a_difference_less_significant(a: int, b: int, c: int, d: int) -> None:
    head, base = Counts(failed=a, runs=a + b + 1), Counts(failed=c, runs=c + d)
    assert significance(head.model_copy(update={"failed": a + 1}), base) <= significance(head, base) + 1e-12


@given(st.integers(0, 40), st.integers(0, 40))
def test_a_rate_lies_in_its_interval(failed: int, passed: int) -> None:
    counts = Counts(failed=failed, runs=failed + passed)
    low, high = counts.interval()
    assert 0.0 <= low <= (failed / counts.runs if counts.runs else 0.5) + 1e-9
    assert (failed / counts.runs if counts.runs else 0.5) - 1e-9 <= high <= 1.0


def test_every_pair_of_rates_comes_to_an_end() -> None:
    for head in (0.0, 0.2, 0.7, 1.0):
        for base in (0.0, 0.2, 0.7, 1.0):
            assert sum(chances(head, base, DEFAULT).values()) == pytest.approx(1.0)


def test_a_test_with_a_known_failure_rate_is_new_only_when_head_fails_more_often() -> None:
    flakes = Counts(failed=6, runs=20)
    assert decide(Counts(failed=4, runs=4), Counts(failed=0, runs=4), flakes=flakes) is Class.NEW
    often = Counts(failed=12, runs=20)
    assert decide(Counts(failed=4, runs=4), Counts(failed=0, runs=4), flakes=often) is None
    assert decide(Counts(failed=9, runs=9), Counts(failed=0, runs=9), flakes=often) is Class.NEW
    assert tail(9, 9, 0.6) <= DEFAULT.level < tail(8, 8, 0.6)
