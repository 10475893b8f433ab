# SPDX-License-Identifier: GPL-2.0-or-later
"""How long a test may take."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.config import load_stack
from reviewbot.store import TestSeconds
from reviewbot.suites import fstests
from reviewbot.suites.limits import LEAST, MOST, SOAK, UNKNOWN, limit

LEG = load_stack().leg("fuse2fs")


@pytest.mark.parametrize(
    ("seconds", "own", "expected"),
    [(0.1, True, 60.0), (6.5, True, 65.0), (100.0, True, 1000.0), (200.0, True, 1800.0), (1500.0, True, 3000.0),
     (0.1, False, 300.0), (50.0, False, 500.0)],
)  # fmt: skip
def test_ten_times_what_it_took_between_a_minute_and_half_an_hour(seconds: float, own: bool, expected: float) -> None:
    assert limit(TestSeconds(seconds, own)) == expected


@pytest.mark.parametrize("groups", [{"auto", "soak"}, {"long_rw"}])
def test_a_test_that_soaks_has_that_time_on_top(groups: set[str]) -> None:
    assert limit(None, groups) == UNKNOWN + SOAK
    assert limit(TestSeconds(1.0, own=True), groups) == LEAST + SOAK
    assert limit(None, {"auto", "quick"}) == UNKNOWN


@given(st.floats(0, 1e6), st.booleans())
def test_what_passed_once_always_fits_twice(seconds: float, own: bool) -> None:
    found = limit(TestSeconds(seconds, own))
    assert found >= LEAST and 2 * seconds <= found <= max(MOST, 2 * seconds)


def test_each_step_has_the_limit_of_its_test() -> None:
    groups = {"generic/001": frozenset({"auto"}), "generic/476": frozenset({"auto", "soak"})}
    known = {"fstests/generic/001": TestSeconds(20.0, own=True), "fstests/generic/476": TestSeconds(30.0, own=True)}
    prepare, *steps = fstests.steps(LEG, ["generic/001", "generic/002", "generic/476"], groups, known)
    assert prepare.gate
    assert [step.timeout for step in steps] == [200.0, UNKNOWN, 300.0 + SOAK]
