# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of tests and legs: what each test said on base and on head."""

import re
from collections import Counter
from dataclasses import dataclass
from itertools import chain

from reviewbot.model.comparison import Class, Compared, Side
from reviewbot.model.results import LegResult, Outcome, TestResult
from reviewbot.report.record import Record
from reviewbot.report.tables import in_variant

_QUIET = frozenset({Outcome.PASS, Outcome.NOTRUN, Outcome.KNOWN})
"""Outcomes that nobody has to look at."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One test in one leg."""

    head: str = ""
    """Its outcome; empty: it was not planned here."""
    base: str = ""
    """Outcome of its runs on base, `FAIL 1/5` when they differ; empty: it was not run there."""
    kind: str = ""
    """Class of a test that was compared."""
    anchor: str = ""
    """Id of the place that tells more of it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One test in all legs."""

    suite: str
    test: str
    cells: tuple[Cell, ...]
    """In the order of the legs."""
    flags: str
    """Words that the page filters by: `new`, `broken`, `missing`, `notrun`, `known`, `quiet`."""
    seconds: float
    """In the leg where it took longest."""
    said: str
    """Why it did not pass: the first leg's reason."""


def anchor(leg: str, suite: str, test: str) -> str:
    """Id of the place of a test: `t-fuse2fs-fstests-generic/001`; no blank in it."""
    return f"t-{re.sub(r'[^0-9A-Za-z._/-]', '_', f'{leg}-{suite}-{test}')}"


def tested(record: Record) -> tuple[LegResult, ...]:
    """Legs that have results; those of a deep run's variants are named `fuse2fs (kasan)`."""
    found = list(record.results.legs) if record.results else []
    for deep in record.deep:
        for leg in deep.results.legs if deep.results else ():
            tests = [
                test.model_copy(update={"log": f"{deep.folder}/{test.log}" if test.log else ""}) for test in leg.tests
            ]
            found.append(leg.model_copy(update={"leg": in_variant(leg.leg, deep.variant), "tests": tuple(tests)}))
    return tuple(leg for leg in found if leg.available and leg.tests)


def compared(record: Record) -> dict[tuple[str, str, str], Compared]:
    """By leg (as `tested` names it), suite and test."""
    sides = [("", record.comparison), *((deep.variant, deep.comparison) for deep in record.deep)]
    return {
        (in_variant(test.leg, variant), test.suite, test.test): test
        for variant, comparison in sides
        if comparison
        for test in comparison.tests
    }


def rows(record: Record, told: set[str]) -> list[Row]:
    """All tests, in the order of their first result. told: anchors that the page has."""
    legs = tested(record)
    found = [{(test.suite, test.test): test for test in leg.tests} for leg in legs]
    counts = compared(record)
    made = []
    for suite, test in dict.fromkeys(chain.from_iterable(found)):
        results = [tests.get((suite, test)) for tests in found]
        cells = tuple(
            _cell(leg.leg, result, counts.get((leg.leg, suite, test)), told)
            for leg, result in zip(legs, results, strict=True)
        )
        given = [result for result in results if result]
        said = next((result.reason for result in given if result.outcome not in _QUIET), "")
        said = said or next((result.reason for result in given if result.outcome is not Outcome.PASS), "")
        seconds = max(result.seconds for result in given)
        made.append(Row(suite, test, cells, _flags(given, cells), seconds, said))
    return made


def _cell(leg: str, result: TestResult | None, counts: Compared | None, told: set[str]) -> Cell:
    if result is None:
        return Cell()
    place = anchor(leg, result.suite, result.test) if result.outcome not in _QUIET or counts else ""
    return Cell(
        result.outcome, on_base(counts) if counts else "", counts.kind if counts else "", place if place in told else ""
    )


def on_base(test: Compared) -> str:
    """`PASS`, `FAIL`, `FAIL 1/5`; empty when base was not run."""
    outcomes = Counter(rerun.outcome for rerun in test.reruns if rerun.side is Side.BASE)
    if not outcomes:
        return ""
    if len(outcomes) == 1:
        return str(next(iter(outcomes)))
    broken = [outcome for outcome in outcomes if outcome.broken]
    if not broken:
        return str(outcomes.most_common(1)[0][0])
    return f"{broken[0]} {sum(outcomes[outcome] for outcome in broken)}/{outcomes.total()}"


def _flags(results: list[TestResult], cells: tuple[Cell, ...]) -> str:
    outcomes = {result.outcome for result in results}
    kinds = {cell.kind for cell in cells}
    words = {
        "new": kinds & {Class.NEW, Class.NEWLY_NOTRUN},
        "broken": any(outcome.broken for outcome in outcomes),
        "missing": any(outcome.unknown for outcome in outcomes),
        "notrun": Outcome.NOTRUN in outcomes,
        "known": Outcome.KNOWN in outcomes,
        "quiet": outcomes <= _QUIET and Class.NEWLY_NOTRUN not in kinds,
    }
    return " ".join(word for word, holds in words.items() if holds)
