# SPDX-License-Identifier: GPL-2.0-or-later
"""The same tests on every leg side by side: which filesystem fails what the others pass."""

from dataclasses import dataclass

from reviewbot.model.comparison import Class
from reviewbot.model.results import LegResult, Outcome, TestResult
from reviewbot.model.words import counted
from reviewbot.report.record import Record

YARDSTICK = "ext4"
"""The kernel's own filesystem: what it fails, too, is not held against a server."""
_OLD = (Class.PRE_EXISTING, Class.FLAKY)


@dataclass(frozen=True, slots=True)
class Differential:
    """Tests whose outcomes differ between legs, and how many do not."""

    legs: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """Per test: its name, what is said of it, and its outcome per leg; `base: FAIL` behind one that base has, too."""
    same: tuple[str, ...]
    """Tests that differ in no leg, counted: `34 tests pass everywhere`."""


def differential(record: Record) -> Differential | None:
    """None when fewer than two legs ran a test in common."""
    legs = [leg for leg in record.results.legs if leg.available and leg.tests] if record.results else []
    names = list(dict.fromkeys((test.suite, test.test) for leg in legs for test in leg.tests))
    found = {leg.leg: {(test.suite, test.test): test for test in leg.tests} for leg in legs}
    shared = [name for name in names if sum(name in tests for tests in found.values()) > 1]
    if len(legs) < 2 or not shared:
        return None
    old = _old(record)
    rows, alike = [], dict.fromkeys(Outcome, 0)
    for name in shared:
        outcomes = {leg.leg: found[leg.leg].get(name) for leg in legs}
        kinds = {test.outcome for test in outcomes.values() if test}
        if len(kinds) == 1 and all(outcomes.values()):
            alike[kinds.pop()] += 1
            continue
        cells = (_cell(leg, test, old) for leg, test in outcomes.items())
        rows.append(("/".join(name), _said(legs, outcomes), *cells))
    return Differential(tuple(leg.leg for leg in legs), tuple(rows), tuple(_alike(alike)))


def _old(record: Record) -> set[tuple[str, str, str]]:
    tests = record.comparison.tests if record.comparison else ()
    return {(test.leg, test.suite, test.test) for test in tests if test.kind in _OLD and test.base.failed}


def _cell(leg: str, test: TestResult | None, old: set[tuple[str, str, str]]) -> str:
    if test is None:
        return ""
    return f"{test.outcome} (base, too)" if (leg, test.suite, test.test) in old else str(test.outcome)


def _said(legs: list[LegResult], outcomes: dict[str, TestResult | None]) -> str:
    """`fails only on fuse4fs`, `fails on ext4, too`, `known to fail on fuse4fs`, `no result on lklfuse`."""
    failing = [leg for leg, test in outcomes.items() if test and test.outcome.broken]
    if failing:
        if YARDSTICK in failing:
            return f"fails on {YARDSTICK}, too" if len(failing) > 1 else f"fails only on {YARDSTICK}"
        few = len(failing) < sum(test is not None for test in outcomes.values())
        return f"fails only on {', '.join(failing)}" if few else "fails everywhere"
    if known := [leg for leg, test in outcomes.items() if test and test.outcome is Outcome.KNOWN]:
        return f"known to fail on {', '.join(known)}"
    absent = [leg for leg, test in outcomes.items() if test is None or test.outcome is not Outcome.PASS]
    return f"no result on {', '.join(absent)}"


def _alike(counts: dict[Outcome, int]) -> list[str]:
    words = {Outcome.PASS: ("passes", "pass"), Outcome.NOTRUN: ("cannot run", "cannot run"),
             Outcome.KNOWN: ("is known to fail", "are known to fail")}  # fmt: skip
    lines = []
    for outcome, number in counts.items():
        if number:
            one, several = words.get(outcome, (f"is {outcome}", f"are {outcome}"))
            lines.append(f"{counted(number, 'test')} {one if number == 1 else several} on every leg")
    return lines
