# SPDX-License-Identifier: GPL-2.0-or-later
"""The same tests on every leg side by side: which filesystem fails what the others pass, and what base does."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reviewbot.model.differences import differences
from reviewbot.model.results import Difference, Outcome
from reviewbot.model.words import counted
from reviewbot.report.record import Record

_FEW = 3
"""So many tests without a result have a row each."""
YARDSTICK = "ext4"
"""The kernel's own filesystem: what it fails, too, is not held against a server."""


@dataclass(frozen=True, slots=True)
class Differential:
    """Tests whose outcomes differ between legs or sides, and how many do not."""

    legs: tuple[str, ...]
    """Columns: each leg, behind the same on base where base ran any of the rows."""
    rows: tuple[tuple[str, ...], ...]
    """Per test: its name, what is said of it, and its outcome per column."""
    same: tuple[str, ...]
    """Tests that differ nowhere, counted: `34 tests pass on every leg`."""


def differential(record: Record) -> Differential | None:
    """None when nothing ran twice: one leg alone, and nothing of it on base."""
    if record.results is None:
        return None
    found = differences(record.results, record.comparison)
    if not found.rows and not found.alike:
        return None
    legs = [leg.leg for leg in record.results.legs if leg.available and leg.tests]
    both = {leg for row in found.rows for leg in row.base}
    columns = [(leg, side) for leg in legs for side in (("base", "head") if leg in both else ("head",))]
    lost = _lost(legs, found.rows)
    hidden = {name for names in lost.values() for name in names}
    rows = (
        (
            f"{row.suite}/{row.test}",
            _said(legs, row),
            *(str((row.base if side == "base" else row.head).get(leg, "")) for leg, side in columns),
        )
        for row in found.rows
        if f"{row.suite}/{row.test}" not in hidden
    )
    names = tuple(f"{leg} on base" if side == "base" else leg for leg, side in columns)
    return Differential(names, tuple(rows), (*_alike(found.alike, alone=len(legs) == 1), *map(_gap, lost.items())))


def _lost(legs: list[str], rows: Iterable[Difference]) -> dict[str, list[str]]:
    """Legs -> tests that have no result there because their machine was lost, and fail nowhere: where they are many."""
    found: dict[str, list[str]] = {}
    for row in rows:
        absent = [leg for leg in legs if row.head.get(leg, Outcome.INFRA).unknown]
        outcomes = (*row.head.values(), *row.base.values())
        if absent and not any(outcome.broken for outcome in outcomes) and Outcome.KNOWN not in row.head.values():
            found.setdefault(", ".join(absent), []).append(f"{row.suite}/{row.test}")
    return {where: tests for where, tests in found.items() if len(tests) > _FEW}


def _gap(lost: tuple[str, list[str]]) -> str:
    where, tests = lost
    some = ", ".join(tests[:_FEW])
    return f"{len(tests)} tests have no result on {where}: {some} and {len(tests) - _FEW} more"


def _said(legs: list[str], row: Difference) -> str:
    """`fails only on fuse4fs; not on base`, `fails on ext4, too`, `known to fail on lklfuse`, `no result on ext4`."""
    failing = [leg for leg, outcome in row.head.items() if outcome.broken]
    if failing:
        return f"{_where(failing, row)}{_of_base(failing, row.base)}"
    if mended := [leg for leg, outcome in row.base.items() if outcome.broken]:
        return f"fails on base only, on {', '.join(mended)}"
    if known := [leg for leg, outcome in row.head.items() if outcome is Outcome.KNOWN]:
        return f"known to fail on {', '.join(known)}"
    absent = [leg for leg in legs if row.head.get(leg) is not Outcome.PASS]
    if not absent:
        return f"passes; {_before(row)}"
    gone = "".join(", passes on base" for leg in absent[:1] if row.base.get(leg) is Outcome.PASS)
    return f"no result on {', '.join(absent)}{gone}"


def _before(row: Difference) -> str:
    """What base says of a test that passes on head in every leg."""
    other = [leg for leg, outcome in row.base.items() if outcome is not Outcome.PASS]
    if other and all(row.base[leg] is Outcome.NOTRUN for leg in other):
        return "cannot run on base"
    return f"{' and '.join(sorted({row.base[leg] for leg in other}))} on base"


def _where(failing: list[str], row: Difference) -> str:
    if len(row.head) == 1:
        return f"fails on {failing[0]}"
    if YARDSTICK in failing:
        return f"fails on {YARDSTICK}, too" if len(failing) > 1 else f"fails only on {YARDSTICK}"
    return f"fails only on {', '.join(failing)}" if len(failing) < len(row.head) else "fails everywhere"


def _of_base(failing: list[str], base: Mapping[str, Outcome]) -> str:
    """What base does in the legs that fail, where it ran in all of them."""
    found = [base[leg].broken for leg in failing if leg in base]
    if len(found) < len(failing):
        return ""
    if all(base[leg] is Outcome.NOTRUN for leg in failing):
        return "; cannot run on base"
    return "; on base, too" if all(found) else "; not on base" if not any(found) else ""


def _alike(counts: Mapping[Outcome, int], *, alone: bool) -> list[str]:
    words = {
        Outcome.PASS: ("passes", "pass"),
        Outcome.NOTRUN: ("cannot run", "cannot run"),
        Outcome.KNOWN: ("is known to fail", "are known to fail"),
    }
    where = "on head and on base" if alone else "on every leg"
    lines = []
    for outcome, number in counts.items():
        one, several = words.get(outcome, (f"is {outcome}", f"are {outcome}"))
        lines.append(f"{counted(number, 'test')} {one if number == 1 else several} {where}")
    return lines
