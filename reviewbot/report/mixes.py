# SPDX-License-Identifier: GPL-2.0-or-later
"""Old and new parts of a stack together, and the first parts of a posting without the rest: rows of their tables."""

from dataclasses import dataclass

from reviewbot.model.comparison import Cell
from reviewbot.model.words import counted
from reviewbot.report.record import Record


@dataclass(frozen=True, slots=True)
class Table:
    """Rows below a header."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def compat_table(record: Record) -> Table | None:
    """Per leg and stack: each changed component `new` or `old`, and what smoke says. None when none was run."""
    cells = record.comparison.cells if record.comparison else ()
    if not cells:
        return None
    parts = [tree.component for tree in record.trees.trees] if record.trees else []
    changed = [part for part in parts if any(part in cell.patched for cell in cells)]
    rows = (
        (cell.leg, *("new" if part in cell.patched else "old" for part in changed), smoke_words(cell)) for cell in cells
    )
    return Table(("leg", *changed, "smoke"), tuple(rows))


def prefix_table(record: Record) -> Table | None:
    """Per number of applied parts: the last of them, and what smoke says in each leg. None when none was asked for."""
    prefixes = record.comparison.prefixes if record.comparison else ()
    if not prefixes:
        return None
    legs = list(dict.fromkeys(cell.leg for prefix in prefixes for cell in prefix.legs))
    rows = []
    for prefix in prefixes:
        said = {cell.leg: smoke_words(cell) for cell in prefix.legs}
        cells = [f"not built: {prefix.problem}"] * len(legs) if prefix.problem else [said.get(leg, "") for leg in legs]
        rows.append((f"{counted(prefix.parts, 'part')}, up to {prefix.part}", *(cells or [prefix.problem])))
    return Table(("applied", *(legs or ["smoke"])), tuple(rows))


def smoke_words(cell: Cell) -> str:
    """`all 19 pass`, `18 pass, mount fails: reason`, `does not build: reason`."""
    if not cell.built:
        return f"not built: {cell.reason}"
    if cell.failed:
        names = ", ".join(cell.failed)
        reason = f": {cell.reason}" if cell.reason else ""
        return f"{cell.passed} pass, {names} {'fails' if len(cell.failed) == 1 else 'fail'}{reason}"
    if cell.outcome.unknown:
        return f"no result: {cell.reason}" if cell.reason else "no result"
    return f"all {cell.passed} pass"


def mix_lines(record: Record) -> list[str]:
    """For a mail: which stacks and which first parts do not pass smoke; one line when all of them do."""
    lines = []
    cells = record.comparison.cells if record.comparison else ()
    bad = [cell for cell in cells if cell.failed or cell.outcome.unknown]
    if cells and not bad:
        where = "the mixed stack" if len(cells) == 1 else f"all {len(cells)} stacks"
        passes = "smoke passes" if record.plan and record.plan.compat else "the quick checks of smoke pass"
        lines.append(f"Old and new parts mixed: {passes} on {where}.")
    for cell in bad:
        patched = f"only {' and '.join(cell.patched)} patched" if cell.patched else "nothing patched"
        lines.append(f"{cell.leg} with {patched}: {smoke_words(cell)}")
    for prefix in record.comparison.prefixes if record.comparison else ():
        says = [f"{cell.leg}: {smoke_words(cell)}" for cell in prefix.legs]
        words = f"not built: {prefix.problem}" if prefix.problem else "; ".join(says)
        lines.append(f"With {counted(prefix.parts, 'part')} only, up to {prefix.part}: {words}")
    return lines
