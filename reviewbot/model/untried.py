# SPDX-License-Identifier: GPL-2.0-or-later
"""How reports say what was selected and not run."""

from collections.abc import Sequence

from reviewbot.model.results import Exclusion, LeftOut
from reviewbot.model.words import about, counted


def excluded(entry: Exclusion, where: str = "") -> str:
    """`excluded by group dangerous*: 3 tests: REASON (LINK), until 2027-01-31`. where: put behind the count."""
    when = f" when {entry.when}" if entry.when else ""
    until = f", until {entry.expires}" if entry.expires else ""
    count = where or counted(len(entry.tests), "test")
    return f"excluded by {entry.by} {entry.pattern}{when}: {count}: {entry.reason} ({entry.link}){until}"


def left_out(tests: Sequence[LeftOut]) -> str:
    """`left out for the budget: 31 tests (~48 min)`."""
    return f"left out for the budget: {counted(len(tests), 'test')} (~{about(sum(test.seconds for test in tests))})"
