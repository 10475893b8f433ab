# SPDX-License-Identifier: GPL-2.0-or-later
"""How the bench suite is told: tables, lines, plots; figures of emulated machines as ratios only."""

from xml.etree import ElementTree

import pytest

from reviewbot.model.bench import BenchChange, BenchRow, Ratio
from reviewbot.model.comparison import Blame, BlamedPatch, Comparison, FigureChange
from reviewbot.model.results import LegResult, Outcome, TestResult
from reviewbot.model.review import PatchRef
from reviewbot.model.verdict import Finding, FindingKind, Verdict, VerdictKind
from reviewbot.report import Record, html_page, said, summary_markdown
from reviewbot.report.bench import bench_lines, ratio_table, upcall_table
from reviewbot.report.body import body
from reviewbot.report.html import charts
from reviewbot.report.reproducer import reproducer
from tests.report.records import PLAN, POSTING, RUN, TOOL, TREES, results


def row(times: float, **facts: object) -> BenchRow:
    values = tuple(times * more * 1e-4 for more in (0.9, 1.0, 1.1))
    plain = BenchRow(unit="s/op", against="ext4", values=values, yardstick=(1e-4, 1e-4, 1e-4))
    return plain.model_copy(update={"ratio": Ratio.of(plain.logs), **facts})


MEMORY = BenchRow(unit="KiB", against="", values=(8192.0,), series=((0.0, 4096.0), (1.0, 8192.0)))
SYNC = BenchRow(unit="s", against="", values=(4.0,), at_least=True, note="still waits")
BARE = row(1.01, unit="s/MiB", against="bare")
CREATE = row(4.0, upcalls={"CREATE": 1.0, "LOOKUP": 2.0}, switches=4.0, switches_yardstick=0.25)


def leg(name: str, accelerator: str, **rows: BenchRow) -> LegResult:
    test = TestResult(
        suite="bench", test="files-1", outcome=Outcome.PASS, bench={k.replace("_", "-"): v for k, v in rows.items()}
    )
    return LegResult(leg=name, available=True, tests=(test,), accelerator=accelerator)


def record(accelerator: str = "tcg", comparison: Comparison | None = None) -> Record:
    return Record(
        run=RUN, tool=TOOL, posting=POSTING, plan=PLAN, trees=TREES, comparison=comparison,
        results=results(
            leg("fuse2fs", accelerator, create_1=CREATE, memory=MEMORY, stall_sync=SYNC, measuring=BARE),
            leg("fuse4fs", accelerator, create_1=row(2.0)),
        ),
        verdict=Verdict(run=RUN, kind=VerdictKind.PASS),
    )  # fmt: skip


CHANGE = BenchChange(
    leg="fuse2fs", test="files-1", row="create-1", chance=0.004, effect=6.0,
    change=Ratio(ratio=2.0, low=1.8, high=2.2, rounds=5),
)  # fmt: skip


def test_each_row_is_a_multiple_of_ext4_in_each_leg_with_its_interval() -> None:
    table = ratio_table(record())
    assert table and table.header == ("row", "fuse2fs", "fuse4fs")
    ((name, first, second),) = table.rows
    assert (name, first.split(" ")[0], second.split(" ")[0]) == ("create-1", "3.99", "1.99")
    assert " to " in first


@pytest.mark.parametrize(("accelerator", "there"), [("tcg", False), ("kvm", True)])
def test_times_are_given_where_machines_are_real_and_are_ratios_only_where_not(accelerator: str, there: bool) -> None:
    shown = summary_markdown(record(accelerator))
    assert ("µs" in shown) is there
    assert ("emulated: only ratios are meaningful" in shown) is not there
    assert ("on emulated machines" in body(record(accelerator))) is not there


def test_head_against_base_stands_beside_the_ratio() -> None:
    table = ratio_table(record(comparison=Comparison(bench=(CHANGE,))))
    assert table and table.rows[0][1].endswith("; 2.00 of base")
    assert "base" not in table.rows[0][2]


def test_requests_and_context_switches_are_given_for_a_thousand_operations() -> None:
    table = upcall_table(record())
    assert table and table.rows == (
        ("create-1", "fuse2fs", "3000 per 1000 operations", "LOOKUP 2000, CREATE 1000", "4000, ext4 250"),
    )


def test_what_is_no_ratio_to_ext4_is_a_line() -> None:
    lines = bench_lines(record("kvm"))
    assert lines[0] == "fuse2fs memory: at most 8 MiB"
    assert lines[1] == "fuse2fs stall-sync: at least 4.00 s (still waits)"
    assert lines[2].startswith("fuse2fs measuring: 1.01 (")


def test_the_mail_has_the_ratios_and_no_line_is_too_wide() -> None:
    text = body(record())
    assert "create-1     3.99     1.99" in text
    assert max(map(len, text.splitlines())) <= 78


def test_plots_are_svg_with_a_mark_per_row_and_a_line_per_server() -> None:
    bars, lines = charts.bench(record()), charts.memory(record())
    assert bars and lines
    words = "".join(ElementTree.fromstring(str(bars)).itertext())
    assert "create-1" in words and "fuse2fs" in words
    assert "MiB" in "".join(ElementTree.fromstring(str(lines)).itertext())
    page = html_page(record())
    assert str(bars) in page and str(lines) in page


def test_a_run_without_the_suite_says_nothing_of_it() -> None:
    plain = record().model_copy(update={"results": results(LegResult(leg="ext4", available=True))})
    told = (ratio_table(plain), upcall_table(plain), charts.bench(plain), charts.memory(plain))
    assert told == (None, None, None, None)
    assert bench_lines(plain) == []


def test_a_finding_says_how_much_slower_and_since_which_patch() -> None:
    guilty = Blame(
        components=("e2fsprogs",), patches=(BlamedPatch(component="e2fsprogs", commits=("a",), probability=1),)
    )
    change = FigureChange(
        leg="fuse2fs", suite="bench", test="files-1", figure="slower create-1", also=("slower stat-1",),
        unit="times ext4", base=(2.0, 2.1, 2.0), head=(4.2, 4.1, 4.3), blame=guilty,
    )  # fmt: skip
    patch = PatchRef(
        component="e2fsprogs", part="1/1", number=1, total=2, commit="a", subject="fuse2fs: look twice", message_id="m"
    )
    found = Finding(kind=FindingKind.SLOWER, leg="fuse2fs", suite="bench", change=change, suspects=(patch,))
    slow = record().model_copy(update={"verdict": Verdict(run=RUN, kind=VerdictKind.REGRESSION, findings=(found,))})
    what = said(slow).findings[0].what
    assert "“create-1”: 2.1 times ext4 on base, 4.1 times ext4 on head (also of stat-1)" in what
    assert "fuse2fs: look twice" in what


def test_rows_that_base_lacks_are_told() -> None:
    why = "no figures of create-1: the machines were lost"
    shown = summary_markdown(record(comparison=Comparison(unmeasured={"fuse2fs": why})))
    assert f"leg fuse2fs: not all of the bench suite was compared with base: {why}" in shown


def test_what_is_slower_is_reproduced_by_its_measurement_alone() -> None:
    change = FigureChange(
        leg="fuse2fs",
        suite="bench",
        test="files-1",
        figure="slower create-1",
        unit="times ext4",
        base=(2.0,),
        head=(4.0,),
    )
    found = Finding(kind=FindingKind.SLOWER, leg="fuse2fs", suite="bench", change=change)
    slow = record().model_copy(update={"verdict": Verdict(run=RUN, kind=VerdictKind.REGRESSION, findings=(found,))})
    again = " ".join("\n".join(reproducer(slow)).replace("\\\n", " ").split())
    assert "--legs fuse2fs --suites bench --rows files-1" in again
