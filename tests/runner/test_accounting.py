# SPDX-License-Identifier: GPL-2.0-or-later
"""Planned = PASS + FAIL + NOTRUN + CRASH + HANG + MISS + INFRA, whatever comes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reviewbot.model.results import LegResult, Outcome, TestResult, accounted

NAMES = st.sampled_from([f"generic/{number:03}" for number in range(6)])
RESULTS = st.lists(
    st.builds(
        TestResult,
        suite=st.sampled_from(["fstests", "smoke"]),
        test=NAMES,
        outcome=st.sampled_from(list(Outcome)),
        reason=st.just("its own"),
    )
)


@given(st.lists(NAMES), RESULTS)
def test_each_planned_test_has_one_result_whatever_comes(planned: list[str], results: list[TestResult]) -> None:
    tests, problem = accounted("fstests", planned, results)
    assert [t.test for t in tests] == list(dict.fromkeys(planned))
    assert all(t.suite == "fstests" and t.reason for t in tests)
    ours = [r for r in results if r.suite == "fstests"]
    sound = len(set(planned)) == len(planned) and len({r.test for r in ours}) == len(ours) == len(results)
    assert bool(problem) is not (sound and {r.test for r in ours} <= set(planned))


@given(st.lists(NAMES, unique=True), RESULTS)
def test_what_one_result_says_is_kept_none_is_a_miss_and_two_are_not_believed(
    planned: list[str], results: list[TestResult]
) -> None:
    for test in accounted("fstests", planned, results)[0]:
        answers = [r for r in results if (r.suite, r.test) == ("fstests", test.test)]
        if len(answers) == 1:
            assert test is answers[0]
        else:
            assert test.outcome is (Outcome.INFRA if answers else Outcome.MISS)


def test_a_leg_whose_sum_is_wrong_cannot_be_made() -> None:
    test = TestResult(suite="smoke", test="mount", outcome=Outcome.PASS)
    with pytest.raises(ValidationError, match="2 tests were planned and 1 have a result"):
        LegResult(leg="ext4", available=True, planned=2, tests=(test,))
