# SPDX-License-Identifier: GPL-2.0-or-later
"""How many runs a search for the guilty patch takes, and how often it is right, in simulated parts."""

import random
from statistics import mean

import pytest

from reviewbot.model.comparison import Class, Counts
from reviewbot.verdict.search import PatchSearch
from reviewbot.verdict.sequential import decide

TRIALS = 400
PATCHES = 33
BUDGET = 400
"""Runs of one search; one that is not over by then counts as wrong if its likeliest patch is."""


def verdict(head: float, base: float, dice: random.Random) -> tuple[Counts, Counts]:
    """The counts with which a failure of these rates was found to be new."""
    while True:
        on_head, on_base = Counts(), Counts()
        while (kind := decide(on_head, on_base)) is None:
            on_head, on_base = on_head.plus(dice.random() < head), on_base.plus(dice.random() < base)
        if kind is Class.NEW:
            return on_head, on_base


def searched(head: float, base: float, patches: int, dice: random.Random) -> tuple[int, bool]:
    """Runs, and whether the guilty patch was named."""
    guilty = dice.randint(1, patches)
    search = PatchSearch(patches, *verdict(head, base, dice))
    while not search.over and search.runs < BUDGET:
        patch = search.next()
        search.record(patch, dice.random() < (head if patch >= guilty else base))
    likely = search.probabilities()
    return search.runs, likely.index(max(likely)) + 1 == guilty


@pytest.mark.parametrize(
    ("head", "base", "most_runs", "least_right"),
    [(1.0, 0.0, 8.0, 1.0), (0.3, 0.0, 65.0, 0.97), (0.3, 0.02, 80.0, 0.94)],
    ids=["in every run", "in 30 % of the runs", "with 2 % noise on base"],
)
def test_a_guilty_patch_of_33_is_found(head: float, base: float, most_runs: float, least_right: float) -> None:
    dice = random.Random(5)
    found = [searched(head, base, PATCHES, dice) for _ in range(TRIALS)]
    assert mean(runs for runs, _ in found) <= most_runs
    assert mean(right for _, right in found) >= least_right


def test_a_patch_that_cannot_be_guilty_is_never_named() -> None:
    search = PatchSearch(3, Counts(failed=4, runs=4), Counts(runs=4), weights=(1.0, 0.0, 1.0))
    search.record(2, True)
    search.record(2, True)
    assert search.probabilities()[1] == 0.0
    assert search.suspicion().patches == (1,)


def test_when_the_budget_ends_a_credible_set_is_named_and_no_guess() -> None:
    search = PatchSearch(8, Counts(failed=2, runs=10), Counts(runs=10))
    for _ in range(6):
        search.record(4, False)
    found = search.suspicion()
    assert not search.over
    assert len(found.patches) > 1
    assert found.probability >= 0.9
    assert found.runs == 6


def test_a_state_that_cannot_be_tested_costs_no_run_and_is_not_asked_again() -> None:
    search = PatchSearch(2, Counts(failed=4, runs=4), Counts(runs=4))
    assert search.next() == 1
    search.record(1, None)
    assert search.runs == 0
    assert search.next() == 2
    assert search.suspicion().patches == (1, 2)


def test_weights_of_another_number_of_patches_are_refused() -> None:
    with pytest.raises(ValueError, match="one weight per patch"):
        PatchSearch(3, Counts(), Counts(), weights=(1.0, 1.0))
