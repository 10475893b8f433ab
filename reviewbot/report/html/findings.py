# SPDX-License-Identifier: GPL-2.0-or-later
"""What the page tells of each finding and of each test that did not pass: evidence, runs, blame, how to do it again."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from reviewbot.model.comparison import Blame, Class, Compared, Side
from reviewbot.model.deaths import evidence
from reviewbot.model.results import LegResult, TestResult
from reviewbot.model.verdict import FindingKind, SaidFinding, SaidVerdict
from reviewbot.model.words import plain, test_name
from reviewbot.report.html.table import anchor, compared, tested
from reviewbot.report.rates import counts as as_counts
from reviewbot.report.rates import rates
from reviewbot.report.record import Record
from reviewbot.report.words import confirmed, leg_name

_LINES = 120
"""Of one piece of evidence, on the page; the log has all."""
_ROOM = 2_500_000
"""Characters of evidence on one page; what comes after it has only its sentence."""
_TELLING = re.compile(r"^(?:[-+](?![-+])|\S*:\d+:\d+: error)|\b(?:BUG|WARNING|KASAN|Oops|ERROR|panic)\b")


@dataclass(frozen=True, slots=True)
class Run:
    """One outcome in a strip."""

    outcome: str
    title: str
    log: str = ""


@dataclass(frozen=True, slots=True)
class Strip:
    """Outcomes of the same test, oldest first."""

    name: str
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Lines of one log."""

    name: str
    lines: tuple[str, ...]
    telling: int
    """Number of the first line that tells something, from 1; 0: none stands out."""
    more: int = 0
    """Lines that are not shown."""
    open: bool = False


@dataclass(slots=True)
class Told:
    """One finding, or one test that did not pass and decides nothing."""

    anchor: str
    title: str
    kind: str
    """`new`, `pre-existing`, …; `failure`: it was not compared; `no result`; or the kind of the finding."""
    rates: str = ""
    blame: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    strips: tuple[Strip, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    reproduce: str = ""
    log: str = ""
    """Folder or file, relative to the run's folder."""
    facts: dict[str, str] = field(default_factory=dict)


def findings(record: Record, verdict: SaidVerdict) -> list[Told]:
    """What the verdict rests on, in its order."""
    results, counts, room = _results(record), compared(record), _Room()
    made = []
    for number, found in enumerate(verdict.findings, 1):
        name = _place(found)
        if found.kind is FindingKind.TEST and name in results:
            known = found.compared or counts.get(name)
            made.append(_of_test(record, *results[name], room, found=found, counts=known))
        else:
            made.append(_told(found, number, room))
    return made


def _place(found: SaidFinding) -> tuple[str, str, str]:
    """Leg, suite and test; a variant of a deep run has other results than the leg itself."""
    return leg_name(found), found.suite, found.test


def others(record: Record, verdict: SaidVerdict) -> list[Told]:
    """Tests that broke or have no result and are no finding: base has them, too, or they are flaky or undecided."""
    results, counts, room = _results(record), compared(record), _Room()
    named = {_place(found) for found in verdict.findings if found.kind is FindingKind.TEST}
    made = []
    for name, (leg, test) in results.items():
        flaky = name in counts and counts[name].kind is Class.FLAKY
        if name not in named and (test.outcome.broken or test.outcome.unknown or flaky):
            made.append(_of_test(record, leg, test, room, counts=counts.get(name)))
    return made


def _results(record: Record) -> dict[tuple[str, str, str], tuple[LegResult, TestResult]]:
    return {(leg.leg, test.suite, test.test): (leg, test) for leg in tested(record) for test in leg.tests}


@dataclass(slots=True)
class _Room:
    """What is left for evidence."""

    left: int = _ROOM

    def take(self, pieces: Iterable[tuple[str, str]]) -> Iterator[Evidence]:
        """The pieces that have text and fit; the first is open."""
        first = True
        for name, text in pieces:
            lines = plain(text).strip("\n").split("\n") if text.strip() else []
            shown = tuple(line[:2000] for line in lines[:_LINES])
            if shown and (size := sum(map(len, shown))) <= self.left:
                self.left -= size
                telling = next((n for n, line in enumerate(shown, 1) if _TELLING.search(line)), 0)
                yield Evidence(name, shown, telling, len(lines) - len(shown), first)
                first = False


def _of_test(
    record: Record,
    leg: LegResult,
    test: TestResult,
    room: _Room,
    *,
    found: SaidFinding | None = None,
    counts: Compared | None = None,
) -> Told:
    name = f"{test.suite}/{test.test}"
    title = found.what if found else f"{leg.leg} {name} {test.outcome}{f': {test.reason}' if test.reason else ''}"
    facts = {"fingerprint": test.fingerprint} if test.fingerprint else {}
    facts |= {"crash": test.crash} if test.crash else {}
    if test.seconds:
        facts["took"] = f"{test.seconds:.1f} s"
    facts |= _known_of(counts) if counts else {}
    facts |= {f"e2fsck {check.device}": f"status {check.status} {check.said}" for check in test.fsck if check.status}
    return Told(
        anchor=anchor(leg.leg, test.suite, test.test),
        title=title,
        kind=_kind(test, counts),
        facts=facts,
        rates=rates(counts) if counts and (counts.head.runs or counts.base.runs) else "",
        blame=tuple(_blame(counts.blame, found)) if counts and counts.blame else (),
        also=found.also if found else (),
        strips=_strips(counts) if counts else (),
        evidence=tuple(room.take(_pieces(test))),
        log=test.log,
        reproduce=_reproduce(record, leg, test),
    )


def _reproduce(record: Record, leg: LegResult, test: TestResult) -> str:
    """Nothing for a variant of a deep run: `reproduce` knows the run's own stack only."""
    if leg.leg.endswith(")"):
        return ""
    name = test_name(test.suite, test.test)
    return f"reviewbot reproduce {record.run} {name} --leg {leg.leg}"


def _pieces(test: TestResult) -> Iterator[tuple[str, str]]:
    """What tells most goes first."""
    splat = test.trace or (test.dmesg if test.crash else "")
    death = evidence(test.death) if test.death else ""
    yield "difference to the expected output", test.diff
    yield "kernel's splat", splat
    yield "server's death", death
    yield "where it hung", test.hang
    yield "output of the test", test.excerpt
    if test.death and test.death.log != death:
        yield "server's log", test.death.log
    yield "errors in the server's log", "\n".join(f"{e.line} ({e.count} times)" for e in test.server_errors)
    if test.dmesg != splat and "\n" in test.dmesg.strip():
        yield "kernel's log", test.dmesg


def _told(found: SaidFinding, number: int, room: _Room) -> Told:
    facts = {"fingerprint": found.fingerprint} if found.fingerprint else {}
    return Told(
        anchor=f"f-{number}",
        title=found.what,
        kind=_WORDS.get(found.kind, str(found.kind)),
        facts=facts,
        blame=tuple(_blame(found.blame, found)) if found.blame else (),
        also=found.also,
        evidence=tuple(room.take([("evidence", found.detail)])),
        log=found.log or (found.cell.log if found.cell else ""),
    )


_WORDS = {
    FindingKind.STOP: "stopped",
    FindingKind.HEAD: "build",
    FindingKind.PATCH: "build",
    FindingKind.APPLY: "patch",
    FindingKind.FIGURE: "new cost",
    FindingKind.FEATURE: "lost feature",
    FindingKind.MESSAGE: "new message",
    FindingKind.COMPAT: "mixed stack",
}
"""What the page calls a finding."""


def _kind(test: TestResult, counts: Compared | None) -> str:
    if test.outcome.unknown:
        return "no result"
    return "failure" if counts is None or counts.kind is Class.UNCOMPARED else str(counts.kind)


def _blame(blame: Blame, found: SaidFinding | None) -> Iterator[str]:
    """One line per patch that may have brought it."""
    odds = {commit: (one.probability, len(one.commits)) for one in blame.patches for commit in one.commits}
    suspects = found.suspects if found else ()
    for patch in suspects:
        probability, of = odds.get(patch.commit, (0.0, 0))
        share = f" ({probability * 100:.0f} %{f' for these {of}' if of > 1 else ''})" if probability else ""
        yield f"{patch.name}: {patch.subject}{share}{confirmed(found) if found and len(suspects) == 1 else ''}"
    if not suspects and blame.components:
        yield f"the patches of {(' or ' if blame.undivided else ' and ').join(blame.components)}"
    if blame.problem:
        yield f"the search ended early: {blame.problem}"
    if blame.untestable:
        yield f"could not be tested: {', '.join(blame.untestable)}"


def _known_of(counts: Compared) -> dict[str, str]:
    """What else was found out about a test that was compared."""
    found = {"after": f"{counts.after}, and passes alone"} if counts.after else {}
    if counts.order_dependent:
        found["order"] = "passes alone, fails after other tests"
    if counts.flakes.failed:
        found["known to fail on base"] = f"{as_counts(counts.flakes)} times"
    if held := counts.quarantine:
        ended = "expired" if held.expired else "until"
        found["quarantine"] = f"{ended} {held.expires}: {held.reason} ({held.link})"
    return found


def _strips(counts: Compared) -> tuple[Strip, ...]:
    """Last outcomes in other runs, then the reruns on base and on head."""
    before = tuple(Run(one.outcome, f"{one.side} of run {one.run}") for one in counts.earlier)
    return (*((Strip("other runs", before),) if before else ()), *_reruns(counts))


def _reruns(counts: Compared) -> tuple[Strip, ...]:
    return tuple(
        Strip(
            f"runs on {side}",
            tuple(
                Run(rerun.outcome, f"{side} {rerun.number}: {rerun.outcome} {rerun.reason}".strip(), rerun.log)
                for rerun in counts.reruns
                if rerun.side is side
            ),
        )
        for side in Side
        if any(rerun.side is side for rerun in counts.reruns)
    )
