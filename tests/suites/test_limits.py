# SPDX-License-Identifier: GPL-2.0-or-later
"""How long a test may take."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.config import SOAK, load_stack
from reviewbot.store import TestSeconds
from reviewbot.suites import fstests
from reviewbot.suites.limits import LEAST, LONG_RW, MOST, SOAK_TIMES, UNKNOWN, limit
from reviewbot.suites.selection import Selection

LEG = load_stack().leg("fuse2fs")


@pytest.mark.parametrize(
    ("seconds", "own", "expected"),
    [(0.1, True, 60.0), (6.5, True, 65.0), (100.0, True, 1000.0), (200.0, True, 1800.0), (1500.0, True, 3000.0),
     (0.1, False, 300.0), (50.0, False, 500.0)],
)  # fmt: skip
def test_ten_times_what_it_took_between_a_minute_and_half_an_hour(seconds: float, own: bool, expected: float) -> None:
    assert limit(TestSeconds(seconds, own)) == expected


def test_a_soak_test_has_its_duration_on_top_however_long_that_is() -> None:
    for soak in (SOAK, 3600):
        assert limit(None, {"auto", "soak"}, soak) == UNKNOWN + SOAK_TIMES * soak
        assert limit(TestSeconds(1.0, own=True), {"soak"}, soak) == LEAST + SOAK_TIMES * soak
    assert limit(None, {"auto", "quick"}, 3600) == UNKNOWN
    assert limit(TestSeconds(1.0, own=True), {"soak", "long_rw"}) == LEAST + SOAK_TIMES * SOAK + LONG_RW


@given(st.floats(0, 1e6), st.booleans())
def test_what_passed_once_always_fits_twice(seconds: float, own: bool) -> None:
    found = limit(TestSeconds(seconds, own))
    assert found >= LEAST and 2 * seconds <= found <= max(MOST, 2 * seconds)


def test_each_step_has_the_limit_of_its_test() -> None:
    groups = {"generic/001": frozenset({"auto"}), "generic/476": frozenset({"auto", "soak"})}
    known = {"fstests/generic/001": TestSeconds(20.0, own=True), "fstests/generic/476": TestSeconds(30.0, own=True)}
    prepare, *steps = fstests.steps(LEG, Selection(("generic/001", "generic/002", "generic/476"), groups), known, 45)
    assert prepare.gate and prepare.env["SOAK_DURATION"] == "45"
    assert [step.timeout for step in steps] == [200.0, UNKNOWN, 300.0 + SOAK_TIMES * 45]
