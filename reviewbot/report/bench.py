# SPDX-License-Identifier: GPL-2.0-or-later
"""How fast the legs are: rows of tables, and what was seen of servers that stand still."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reviewbot.model.bench import BenchChange, BenchRow, Ratio
from reviewbot.model.results import LegResult
from reviewbot.model.words import sized
from reviewbot.report.mixes import Table
from reviewbot.report.record import Record

_PER = {"s/MiB": (1024.0, "GiB"), "s/op": (1000.0, "1000 operations"), "s": (1.0, "mount")}
"""Unit of a row -> how many of its units of work counts are given for, and what these are called."""
_OPCODES = 4


@dataclass(frozen=True, slots=True)
class Measured:
    """One row in one leg."""

    leg: LegResult
    test: str
    name: str
    row: BenchRow


def measured(legs: Sequence[LegResult]) -> Iterator[Measured]:
    """All rows of all legs."""
    for leg in legs:
        for test in leg.tests:
            for name, row in test.bench.items():
                yield Measured(leg, test.test, name, row)


def rows_of(record: Record) -> list[Measured]:
    return list(measured(record.results.legs if record.results else ()))


def emulated(rows: Sequence[Measured]) -> bool:
    """Whether any of them was measured on an emulated machine."""
    return any("tcg" in one.leg.accelerator for one in rows)


def ratio_table(record: Record, *, short: bool = False) -> Table | None:
    """Per row: times as long as the kernel's ext4 in each leg, with intervals, and head against base where both were
    measured. short: ratios alone. None when nothing was measured.
    """
    rows = [one for one in rows_of(record) if one.row.ratio and one.row.against == "ext4"]
    if not rows:
        return None
    legs = list(dict.fromkeys(one.leg.leg for one in rows))
    changes = record.comparison.bench if record.comparison else ()
    found = []
    for name in dict.fromkeys(one.name for one in rows):
        cells = {one.leg.leg: one for one in rows if one.name == name}
        said = [_cell(cells[leg], changes, short=short) if leg in cells else "" for leg in legs]
        found.append((name, *said))
    return Table(("row", *legs), tuple(found))


def _cell(one: Measured, changes: Sequence[BenchChange], *, short: bool) -> str:
    """`4.9 (4.1 to 5.8); 2.03 of base`, `4.9`; with the time itself where that means something."""
    assert one.row.ratio
    if short:
        return _number(one.row.ratio.ratio)
    text = interval(one.row.ratio)
    if "tcg" not in one.leg.accelerator:
        text = f"{_time(one.row)}, {text}"
    change = next((c for c in changes if (c.leg, c.row) == (one.leg.leg, one.name)), None)
    return f"{text}; {_number(change.change.ratio)} of base" if change else text


def interval(ratio: Ratio) -> str:
    """`4.9 (4.1 to 5.8)`."""
    return f"{_number(ratio.ratio)} ({_number(ratio.low)} to {_number(ratio.high)})"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _time(row: BenchRow) -> str:
    """`120 MiB/s`, `85 µs`, `0.4 s`: the middle of the rounds."""
    middle = sorted(row.values)[len(row.values) // 2]
    if row.unit == "s/MiB":
        return f"{1 / middle:.0f} MiB/s" if middle else "no time"
    return f"{middle * 1e6:.0f} µs" if row.unit == "s/op" else f"{middle:.3g} {row.unit}"


def upcall_table(record: Record) -> Table | None:
    """Per row and leg with a server: requests by opcode, and context switches, for so much work; None without any."""
    found = []
    for one in rows_of(record):
        factor, work = _PER.get(one.row.unit, (0.0, ""))
        if not factor or not one.row.upcalls:
            continue
        total = sum(one.row.upcalls.values())
        most = sorted(one.row.upcalls.items(), key=lambda pair: (-pair[1], pair[0]))[:_OPCODES]
        said = ", ".join(f"{name} {_count(count * factor)}" for name, count in most)
        found.append((one.name, one.leg.leg, f"{_count(total * factor)} per {work}", said, _switches(one.row, factor)))
    return Table(("row", "leg", "requests", "of these", "context switches"), tuple(found)) if found else None


def _switches(row: BenchRow, factor: float) -> str:
    if row.switches is None:
        return ""
    beside = f", ext4 {_count(row.switches_yardstick * factor)}" if row.switches_yardstick is not None else ""
    return f"{_count(row.switches * factor)}{beside}"


def _count(value: float) -> str:
    return f"{value:.0f}" if value >= 10 or value == 0 else f"{value:.1f}"


def bench_lines(record: Record) -> list[str]:
    """What is no ratio to ext4: memory, waits for a server that stands still, what the measuring itself costs."""
    rows = rows_of(record)
    lines = [f"{one.leg.leg} {one.name}: {words}" for one in rows if (words := _alone(one))]
    if emulated(rows):
        lines.insert(0, "the machines were emulated: only ratios are meaningful, and they differ on real hardware")
    return lines


def _alone(one: Measured) -> str:
    row = one.row
    if row.against == "bare" and row.ratio:
        return f"{interval(row.ratio)} times as long as the same fio job alone"
    if row.against:
        return ""
    if row.unit == "KiB":
        return f"at most {sized(max(row.values) * 1024)}"
    wait = "at least " if row.at_least else ""
    return f"{wait}{max(row.values):.2f} {row.unit}" + (f" ({row.note})" if row.note else "")
