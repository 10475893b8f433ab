# SPDX-License-Identifier: GPL-2.0-or-later
"""What a reply says: the verdict, what is new, what it rests on, in this order; no line is wider than 78 columns."""

import re

from reviewbot.model.results import Known
from reviewbot.model.verdict import FindingKind, SaidFinding, SaidVerdict, VerdictKind
from reviewbot.model.words import counted, listed, one_line, plain
from reviewbot.report.bench import emulated, ratio_table, rows_of
from reviewbot.report.differential import differential
from reviewbot.report.mixes import mix_lines
from reviewbot.report.notes import notes
from reviewbot.report.reach import missing, unreached
from reviewbot.report.record import Record
from reviewbot.report.remarks import mail_lines
from reviewbot.report.render import environment
from reviewbot.report.reproducer import reproducer
from reviewbot.report.tables import (
    OUTCOMES,
    aligned,
    folded,
    known_failures,
    known_in_question,
    leg_header,
    leg_rows,
    stack_cells,
    test_lines,
)
from reviewbot.report.text import fitted, without_trailers, wrapped
from reviewbot.report.words import apart, headline, said, test_name

FINDINGS = 5
"""In full; the others are counted."""
_REMARKS = 7
"""Of the review: about 15 lines."""
_UNREACHED = 7
"""Places that no test reached."""
_NOTES = 8
_ROWS = 60
"""Of the table of legs."""


def body(record: Record, threads: int = 1) -> str:
    """The text of a reply. It is the same for the same record. threads: of the posting, each with this text."""
    verdict = said(record)
    found = _findings(verdict)
    lines, more = mail_lines(record.review, verdict, _REMARKS) if record.review else ([], 0)
    missed, far = unreached(record.coverage, _UNREACHED) if record.coverage else ([], 0)
    compilers = (one.tool for one in verdict.findings if one.kind is FindingKind.HEAD and one.tool)
    told = [note.text for note in notes(record) if not (note.operator or note.told)]
    text = (
        environment()
        .get_template("reply.txt")
        .render(
            record=record,
            verdict=verdict,
            threads=threads if record.posting.sent else 1,
            headline=headline(record),
            read_from=_read_from(record),
            findings=found[:FINDINGS],
            others=len(found) - FINDINGS,
            asides=_asides(record, verdict),
            stack=_stack(record),
            table=_legs(record),
            bench=_bench(record),
            tests=test_lines(record),
            differing=_differing(record) + mix_lines(record),
            lines=lines,
            more=more,
            compiler=next(compilers, ""),
            commands=reproducer(record),
            missed=missed,
            far=far,
            unknown=missing(record.coverage)[:_UNREACHED] if record.coverage else [],
            notes=told[:_NOTES],
            left=len(told) - _NOTES,
            may_tag=_may_tag(record),
        )
    )
    return without_trailers(fitted(re.sub(r"\n{3,}", "\n\n", plain(text))))


def _read_from(record: Record) -> str:
    """Of a posting that is blocked: the archive on the web that it was read from, where its author can look."""
    blocked = record.verdict is not None and record.verdict.kind is VerdictKind.BLOCKED
    source = record.posting.source
    return source if blocked and source.startswith(("https://", "http://")) else ""


def _findings(verdict: SaidVerdict) -> list[SaidFinding]:
    """What is new on head; where nothing was compared, all that the verdict rests on."""
    new = [one for one in verdict.findings if one.is_new]
    return new or [one for one in verdict.findings if not (one.outcome and one.outcome.unknown)]


def _asides(record: Record, verdict: SaidVerdict) -> list[str]:
    """What decides nothing, one line each: old and flaky failures, known ones, tests without a result."""
    lines = apart(record)
    touched = known_in_question(record)
    for known, where in (
        (touched, "in components that the series changes, please check"),
        ([one for one in known_failures(record) if one not in touched], "of the unpatched stack"),
    ):
        if known:
            names = listed([f"{leg.leg} {test.suite}/{test.test}{_why(test.known)}" for leg, test in known])
            lines.append(f"{counted(len(known), 'known failure')} {where}: {names}")
    unknown = [one for one in verdict.findings if one.outcome and one.outcome.unknown]
    if unknown:
        names = listed([test_name(one) for one in unknown])
        lines.append(f"{counted(len(unknown), 'test')} got no result because of the test machine: {names}")
    return lines


def _why(known: Known | None) -> str:
    return f" ({one_line(known.reason, 100)})" if known else ""


def _stack(record: Record) -> str:
    rows = stack_cells(record)
    return folded([("component", "base", "patches"), *rows]) if rows else ""


def _legs(record: Record) -> str:
    """Leg, suite, and a count per outcome that occurred."""
    rows = leg_rows(record) if record.results else []
    if not rows:
        return ""
    outcomes = slice(3, 3 + len(OUTCOMES))  # all columns together are wider than a mail
    narrow = [(*row[:2], *row[outcomes]) for row in (leg_header(), *rows[:_ROWS])]
    used = [n for n in range(len(narrow[0])) if n < 2 or any(row[n] for row in narrow[1:])]
    return aligned([[row[n] for n in used] for row in narrow], right_from=2, gap=" ")


def _bench(record: Record) -> str:
    """Row, and per leg how many times as long as the kernel's ext4 it takes."""
    if (table := ratio_table(record, short=True)) is None:
        return ""
    where = "; on emulated machines" if emulated(rows_of(record)) else ""
    head = wrapped(f"Time relative to the kernel's ext4{where}, intervals in results.json:")
    return f"{head}\n\n{aligned([table.header, *table.rows[:_ROWS]], right_from=1)}"


def _may_tag(record: Record) -> bool:
    """Whether the series was tested and nothing speaks against it."""
    return bool(record.verdict and record.verdict.kind is VerdictKind.PASS and record.results and record.posting.sent)


def _differing(record: Record) -> list[str]:
    """Tests that fail on some legs only, by what is said of them."""
    found = differential(record)
    groups: dict[str, list[str]] = {}
    for test, said_of_it, *_ in found.rows if found else ():
        if said_of_it.startswith("fails"):
            groups.setdefault(said_of_it, []).append(test)
    return [f"{words[0].upper()}{words[1:]}: {listed(tests)}" for words, tests in groups.items()]
