# SPDX-License-Identifier: GPL-2.0-or-later
"""summary.md: what GitHub's job page and a human's editor show."""

from reviewbot.model.verdict import VerdictKind
from reviewbot.report.bench import bench_lines, ratio_table, upcall_table
from reviewbot.report.differential import differential
from reviewbot.report.figures import server_lines
from reviewbot.report.mixes import compat_table, prefix_table
from reviewbot.report.notes import notes
from reviewbot.report.reach import by_file, missing
from reviewbot.report.record import Record
from reviewbot.report.remarks import grouped, patch_rows
from reviewbot.report.render import environment
from reviewbot.report.tables import known_failures, left_out, leg_header, leg_rows, not_run, over_budget, stack_rows
from reviewbot.report.words import apart, said

_MARK = {VerdictKind.PASS: "✅", VerdictKind.REVIEWED: "👀", VerdictKind.INFRA: "⚠️", VerdictKind.BLOCKED: "⏸️"}


def summary_markdown(record: Record) -> str:
    """The record must have its verdict."""
    verdict = said(record)
    shown = any(found.evidence or found.log or not found.in_summary for found in verdict.findings)
    rows, header = left_out(leg_rows(record), leg_header()) if record.results else ([], ())
    return (
        environment()
        .get_template("summary.md")
        .render(
            record=record,
            verdict=verdict,
            apart=apart(record),
            notes=notes(record),
            shown=shown,
            legs=differential(record),
            bench=ratio_table(record),
            upcalls=upcall_table(record),
            benchlines=bench_lines(record),
            compat=compat_table(record),
            prefixes=prefix_table(record),
            mark=_MARK.get(verdict.kind, "❌"),
            rows=rows,
            header=header,
            servers=server_lines(record),
            leftout=over_budget(record),
            stack=stack_rows(record),
            notrun=not_run(record),
            known=known_failures(record),
            patches=patch_rows(record.review) if record.review else [],
            groups=grouped(record.review) if record.review else [],
            reach=by_file(record.coverage) if record.coverage else [],
            unknown=missing(record.coverage) if record.coverage else [],
        )
    )
