# SPDX-License-Identifier: GPL-2.0-or-later
"""Values of options: durations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.cli.values import parse_duration
from reviewbot.model.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90m", 5400), ("1h30m", 5400), ("45s", 45), ("2d", 172800), ("1.5h", 5400), (" 1H 5s ", 3605)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "90", "m", "-5m", "5 minutes", "1h-5m", "0s", "1e9d", "٣m", "999999d", "1..5h"])
def test_no_durations(text: str) -> None:
    with pytest.raises(UsageError):
        parse_duration(text)


@given(st.integers(0, 40), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_every_combination_of_units(days: int, hours: int, minutes: int, seconds: int) -> None:
    total = 86400 * days + 3600 * hours + 60 * minutes + seconds
    text = f"{days}d{hours}h{minutes}m{seconds}s"
    if 0 < total <= 30 * 86400:
        assert parse_duration(text) == total
    else:
        with pytest.raises(UsageError):
            parse_duration(text)


@given(st.text(max_size=12))
def test_no_text_makes_it_raise_anything_else(text: str) -> None:
    try:
        assert parse_duration(text) > 0
    except UsageError:
        return
