# SPDX-License-Identifier: GPL-2.0-or-later
"""report.html: one run, as a human looks at it. First what came of it, then how one can tell."""

from collections import Counter
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from reviewbot.model.comparison import Class
from reviewbot.model.results import Outcome
from reviewbot.model.verdict import ExitStatus, SaidVerdict, VerdictKind
from reviewbot.model.words import counted, plain, sized
from reviewbot.report.bench import bench_lines, ratio_table, upcall_table
from reviewbot.report.differential import differential
from reviewbot.report.html import charts
from reviewbot.report.html.engine import EARLY, asset, environment, policy
from reviewbot.report.html.findings import Told, findings, others
from reviewbot.report.html.table import Row, rows, tested
from reviewbot.report.mixes import Table, compat_table, prefix_table
from reviewbot.report.notes import notes
from reviewbot.report.reach import by_file, missing
from reviewbot.report.record import Record
from reviewbot.report.remarks import grouped, patch_rows
from reviewbot.report.reproducer import reproducer
from reviewbot.report.tables import known_failures, left_out, leg_header, leg_rows, not_run, over_budget, stack_rows
from reviewbot.report.words import amount, said

_TONE = {
    ExitStatus.PASS: "good",
    ExitStatus.SERIES: "bad",
    ExitStatus.BLOCKED: "held",
    ExitStatus.INFRA: "held",
}
_LONG = 40
"""Rows from which on the table begins with those that somebody has to look at."""


def html_page(record: Record, files: str = "") -> str:
    """The page of a judged record. files: what links to the run's files begin with; empty: they lie beside the page."""
    verdict = said(record)
    told, beside = findings(record, verdict), others(record, verdict)
    table = rows(record, {one.anchor for one in (*told, *beside)})
    script = asset("page.js")
    legs, header = left_out(leg_rows(record), leg_header()) if record.results else ([], ())
    return (
        environment()
        .get_template("page.html")
        .render(
            record=record,
            verdict=verdict,
            tone=_TONE[verdict.kind.exit_status],
            files=files,
            data=", ".join(_data(record)),
            policy=policy(script),
            script=Markup(script),
            early=Markup(EARLY),
            style=Markup(asset("page.css")),
            counts=_counts(record, verdict),
            findings=told,
            others=beside,
            groups=_by_kind(beside),
            table=table,
            legs=[leg.leg for leg in tested(record)],
            quiet=_quiet(table),
            leg_rows=legs,
            leg_header=header,
            side_by_side=differential(record),
            stack=stack_rows(record),
            parts=_parts(record),
            command="\n".join(reproducer(record)),
            mixes=_mixes(record),
            messages=record.comparison.messages if record.comparison else (),
            notes=notes(record),
            servers=_servers(record),
            changes=[one for one in record.comparison.figures if not one.feature] if record.comparison else [],
            amount=amount,
            bench=charts.bench(record),
            memory=charts.memory(record),
            benchlines=bench_lines(record),
            durations=charts.durations(record),
            timeline=charts.timeline(record),
            patches=patch_rows(record.review) if record.review else [],
            remarks=grouped(record.review) if record.review else [],
            reach=by_file(record.coverage) if record.coverage else [],
            unmeasured=missing(record.coverage) if record.coverage else [],
            known=known_failures(record),
            notrun=not_run(record),
            leftout=over_budget(record),
        )
    )


def _counts(record: Record, verdict: SaidVerdict) -> list[tuple[str, str]]:
    """Words for the card: what class, how many of it."""
    found = [
        (
            "finding" if verdict.kind.exit_status is ExitStatus.SERIES else "quiet",
            counted(len(verdict.findings), "finding"),
        )
    ]
    classes = Counter(test.kind for test in record.comparison.tests) if record.comparison else Counter[Class]()
    outcomes = Counter(test.outcome for leg in tested(record) for test in leg.tests)
    # Findings of tests stand for others with the same cause; those of costs and messages are of no test.
    new = sum(one.is_new and not (one.compared and one.compared.kind is not Class.NEW) for one in verdict.findings)
    classes[Class.NEW] = max(classes[Class.NEW], new)
    found += [(kind, f"{classes[kind]} {words}") for kind, words in _CLASSES.items() if classes[kind]]
    found += [(kind, f"{outcomes[kind]} {words}") for kind, words in _OUTCOMES.items() if outcomes[kind]]
    return found


def _data(record: Record) -> list[str]:
    """Files of the run that hold what the page shows."""
    there = {"review": record.review, "results": record.results, "comparison": record.comparison}
    return ["verdict.json", *(f"{name}.json" for name, found in there.items() if found is not None)]


_CLASSES = {
    Class.NEW: "new",
    Class.NEWLY_NOTRUN: "cannot run any more",
    Class.WITHDRAWN: "removed on purpose",
    Class.PRE_EXISTING: "on base, too",
    Class.FLAKY: "flaky",
    Class.UNDECIDED: "undecided",
    Class.CONSEQUENCE: "consequences",
    Class.QUARANTINED: "in quarantine",
    Class.UNCOMPARED: "not compared",
}
_OUTCOMES = {
    Outcome.PASS: "passed",
    Outcome.KNOWN: "known to fail",
    Outcome.NOTRUN: "could not run",
    Outcome.MISS: "without a result",
    Outcome.INFRA: "lost to the machine",
}


def _mixes(record: Record) -> list[tuple[str, Table]]:
    tables = {
        "Time relative to the kernel's ext4": ratio_table(record),
        "Requests to the servers": upcall_table(record),
        "Old and new parts mixed": compat_table(record),
        "First parts only": prefix_table(record),
    }
    return [(name, table) for name, table in tables.items() if table]


def _by_kind(beside: list[Told]) -> list[tuple[str, list[Told]]]:
    groups: dict[str, list[Told]] = {}
    for one in beside:
        groups.setdefault(one.kind, []).append(one)
    return list(groups.items())


def _quiet(table: list[Row]) -> bool:
    """Whether the page begins without the rows that nobody has to look at."""
    return len(table) > _LONG and any("quiet" not in row.flags.split() for row in table)


def _parts(record: Record) -> list[dict[str, Any]]:
    """Each part of the posting with links to its mails where its archive is on the web."""
    source = record.posting.source
    archive = f"{source.rstrip('/')}/" if source.startswith(("https://", "http://")) and record.posting.sent else ""

    def link(message_id: str | None) -> str:
        return f"{archive}{quote(plain(message_id), safe='@')}/" if archive and message_id else ""

    return [
        {"part": part, "link": link(part.cover), "patches": [(patch, link(patch.message_id)) for patch in part.patches]}
        for part in record.posting.parts
    ]


def _servers(record: Record) -> list[tuple[str, str, str, str, str, str]]:
    """Per FUSE leg: CPU seconds, peak PSS, requests, three most frequent ones, longest end after an unmount."""
    found = []
    for leg in tested(record):
        figures = [test.server for test in leg.tests if test.server]
        if not figures:
            continue
        requests: Counter[str] = Counter()
        for one in figures:
            requests.update(one.requests or {})
        peaks = [one.pss_kib for one in figures if one.pss_kib is not None]
        ends = [one.umount_seconds_max for one in figures if one.umount_seconds_max is not None]
        found.append(
            (
                leg.leg,
                f"{sum(one.cpu_seconds or 0.0 for one in figures):.1f} s",
                sized(max(peaks) * 1024) if peaks else "",
                f"{requests.total():,}".replace(",", "\N{NO-BREAK SPACE}"),
                ", ".join(f"{name} {100 * count / requests.total():.0f} %" for name, count in requests.most_common(3)),
                f"{max(ends):.1f} s" if ends else "",
            )
        )
    return found


assert set(_TONE) >= {kind.exit_status for kind in VerdictKind}
