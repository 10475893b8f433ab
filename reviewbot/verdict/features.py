# SPDX-License-Identifier: GPL-2.0-or-later
"""Features that mke2fs makes filesystems with on one side only, by a suite that makes one. Pure.

Without one all tests may pass: most features show in no test, or are of use only when a disk fails.
"""

from collections.abc import Iterable

from reviewbot.model.comparison import FEATURE, FigureChange
from reviewbot.model.results import LegResult, Outcome


def changed(base: LegResult, head: LegResult, suite: str) -> tuple[FigureChange, ...]:
    """1 on the side that has the feature, 0 on the other; of tests that passed on both and said what was made."""
    before, after = _made(base, suite), _made(head, suite)
    return tuple(
        FigureChange(
            leg=head.leg,
            suite=suite,
            test=test,
            figure=f"{FEATURE} {name}",
            unit="filesystems",
            base=(float(name in before[test]),),
            head=(float(name in after[test]),),
        )
        for test in after
        if test in before
        for name in sorted(before[test] ^ after[test])
    )


def confirmed(first: Iterable[FigureChange], again: Iterable[FigureChange]) -> tuple[FigureChange, ...]:
    """Those that a second run per side shows, too, with the counts of both runs."""
    known = {(one.test, one.figure): one for one in again}
    pairs = ((change, known.get((change.test, change.figure))) for change in first)
    return tuple(
        change.model_copy(update={"base": change.base + one.base, "head": change.head + one.head})
        for change, one in pairs
        if one and one.head == change.head
    )


def lacks(result: LegResult, change: FigureChange) -> bool | None:
    """Whether filesystems are made without the feature; None: the result does not say."""
    made = _made(result, change.suite).get(change.test)
    return None if made is None else change.feature not in made


def _made(leg: LegResult, suite: str) -> dict[str, frozenset[str]]:
    passed = (test for test in leg.tests if test.suite == suite and test.outcome is Outcome.PASS)
    return {test.test: frozenset(test.made.features) for test in passed if test.made}
