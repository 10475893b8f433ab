# SPDX-License-Identifier: GPL-2.0-or-later
"""The same tests on every leg side by side, on head and on base: only those whose outcomes differ."""

from collections.abc import Mapping

from reviewbot.model.base import Model
from reviewbot.model.comparison import Comparison, Side
from reviewbot.model.results import Difference, LegResult, Outcome, Results

Outcomes = Mapping[tuple[str, str], Outcome]
"""(suite, test) -> outcome."""


class Differences(Model):
    """Of all tests that two legs or more, or both sides of one, ran."""

    rows: tuple[Difference, ...] = ()
    alike: dict[Outcome, int] = {}
    """Tests that have this outcome on every leg, and on base where it ran."""


def differences(results: Results, comparison: Comparison | None) -> Differences:
    """Rows in the order of the first leg that has the test."""
    legs = [leg for leg in results.legs if leg.available and leg.tests]
    head = {leg.leg: _outcomes(leg) for leg in legs}
    base = {leg.leg: _on_base(leg.leg, comparison) for leg in legs}
    rows, alike = [], dict.fromkeys(Outcome, 0)
    for name in dict.fromkeys(name for leg in head.values() for name in leg):
        now = {leg: found[name] for leg, found in head.items() if name in found}
        before = {leg: base[leg][name] for leg in now if name in base[leg]}
        if len(now) + len(before) < 2:
            continue
        found = {*now.values(), *before.values()}
        if len(found) == 1 and len(now) == len(legs):
            alike[found.pop()] += 1
        else:
            rows.append(Difference(suite=name[0], test=name[1], head=now, base=before))
    return Differences(rows=tuple(rows), alike={outcome: number for outcome, number in alike.items() if number})


def _outcomes(leg: LegResult) -> Outcomes:
    """Without bench: whether something could be measured is no property of the filesystem."""
    return {(test.suite, test.test): test.outcome for test in leg.tests if test.suite != "bench"}


def _on_base(leg: str, comparison: Comparison | None) -> Outcomes:
    """Of smoke, which runs there once, and of what was run there again: the failure, when it failed in any run."""
    if comparison is None:
        return {}
    found = {("smoke", test): outcome for test, outcome in comparison.smoke_on_base.get(leg, {}).items()}
    for test in (test for test in comparison.tests if test.leg == leg):
        ran = [rerun.outcome for rerun in test.reruns if rerun.side is Side.BASE]
        if ran:
            found[test.suite, test.test] = next((outcome for outcome in ran if outcome.broken), ran[0])
        elif test.base.runs:
            found[test.suite, test.test] = test.outcome if test.base.failed else Outcome.PASS
    return found
