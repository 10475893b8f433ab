# SPDX-License-Identifier: GPL-2.0-or-later
"""What earlier runs say of one mail, as entries of b4's check protocol."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypedDict

from reviewbot.model.plan import Plan
from reviewbot.model.posting import Part
from reviewbot.model.review import PatchReview, Review, Severity
from reviewbot.model.verdict import ExitStatus, SaidVerdict, VerdictKind
from reviewbot.model.words import counted
from reviewbot.store import read_if_whole
from reviewbot.store.runs import RunFolder, Runs

_RUNS = 20
"""Runs of one posting that are looked at."""
_LINES = 100
"""Remarks in the details of one entry."""
_LONG = 200
"""Characters of a line of evidence that nobody reads: a compiler's command."""
_STATUS = {Severity.ERROR: "fail", Severity.WARNING: "warn", Severity.NOTE: "pass"}
_ORDER = ("pass", "warn", "fail")


class Entry(TypedDict):
    """One result of one tool, as b4 shows it. details: text, or a JSON array of status and description."""

    tool: str
    status: str
    summary: str
    url: str
    details: str


@dataclass(frozen=True, slots=True)
class _Run:
    """A run of the mail's posting, as far as it can be read."""

    folder: RunFolder
    plan: Plan
    verdict: SaidVerdict | None
    review: Review | None

    def url(self) -> str:
        path = self.folder.path / "summary.md"
        return path.as_uri() if path.exists() else ""


def answer(runs: Runs, message_id: str, *, series: bool) -> list[Entry]:
    """What the newest runs say of this mail; `series`: of the series it belongs to.

    Empty while nothing final is known: b4 keeps what it was told for half a year, and does not ask again.
    """
    known = list(islice(_readable(runs.about(message_id)), _RUNS))
    if not known:
        return []
    part = _part(known[0].plan, message_id)
    patch = part is not None and part.cover != message_id
    alone = patch and known[0].plan.posting.top == message_id
    entries = [] if patch and not series and not alone else _verdicts(known)
    reviewed = next((run for run in known if run.review), None)
    if reviewed is None or reviewed.review is None:
        return entries or _blamed(known, message_id)
    if not patch:
        return [*entries, *_series(reviewed, reviewed.review, part)]
    return entries if series else [*entries, *_patch(reviewed, reviewed.review, message_id)]


def _readable(folders: Iterator[RunFolder]) -> Iterator[_Run]:
    for folder in folders:
        if plan := read_if_whole(folder.path / "plan.json", Plan):
            judged = read_if_whole(folder.path / "verdict.json", SaidVerdict)
            yield _Run(folder, plan, judged, read_if_whole(folder.path / "review.json", Review))


def _part(plan: Plan, message_id: str) -> Part | None:
    """The part that the mail is the cover or a patch of; None: the mail is about all parts."""
    for part in plan.posting.parts:
        if message_id == part.cover or any(patch.message_id == message_id for patch in part.patches):
            return part
    return None


_FINAL = (ExitStatus.PASS, ExitStatus.SERIES)


def _verdicts(known: Sequence[_Run]) -> list[Entry]:
    """Of the newest run that says something of the series; beside it, of the newest with tests."""
    telling = [run for run in known if run.verdict and run.verdict.kind.exit_status in _FINAL]
    if not telling:
        return []
    newest, tested = telling[0], next((run for run in telling if run.plan.legs), None)
    entries = [_verdict("reviewbot", newest)]
    return entries if tested is None or tested is newest else [*entries, _verdict("reviewbot/tests", tested)]


def _verdict(tool: str, run: _Run) -> Entry:
    verdict = run.verdict
    assert verdict is not None
    uncertain = verdict.kind is VerdictKind.FAILURES  # base may have them, too
    status = "pass" if verdict.kind.exit_status is ExitStatus.PASS else "warn" if uncertain else "fail"
    lines = [finding.what for finding in verdict.findings[:_LINES]]
    lines += [f"note: {note}" for note in verdict.notes]
    return Entry(
        tool=tool, status=status, summary=f"{verdict.kind}: {verdict.summary}", url=run.url(), details="\n".join(lines)
    )


def _series(run: _Run, review: Review, part: Part | None) -> list[Entry]:
    """Of all patches of a part, or of the posting."""
    patches = [patch for patch in review.patches if part is None or _belongs(patch, part)]
    builds = [_build(run, patch) for patch in patches]
    said = [(f"{patch.name}: ", patch) for patch in patches]
    remarks = [(_STATUS[f.severity], f"{name}{f.words()}") for name, patch in said for f in patch.remarks]
    remarks += [(_STATUS[finding.severity], finding.words()) for finding in review.findings]
    words = [
        (entry["status"], f"{patch.name}: {entry['summary']}") for patch, entry in zip(patches, builds, strict=True)
    ]
    bad = [status for status, _ in words if status != "pass"]
    summary = f"{len(bad)} of {counted(len(words), 'patch')} with trouble" if bad else f"{counted(len(words), 'patch')}"
    build = _entry("reviewbot/build", run, words, summary)
    return [*([build] if words else []), _entry("reviewbot/review", run, remarks, _counted(remarks))]


def _belongs(patch: PatchReview, part: Part) -> bool:
    if patch.message_id:
        return any(patch.message_id == mail.message_id for mail in part.patches)
    return (patch.component, patch.part) == (part.component, part.counter)


def _patch(run: _Run, review: Review, message_id: str) -> list[Entry]:
    patch = next((patch for patch in review.patches if patch.message_id == message_id), None)
    if patch is None:  # left out: an RFC, or base has it
        return []
    remarks = [(_STATUS[finding.severity], finding.words()) for finding in patch.remarks]
    return [_build(run, patch), _entry("reviewbot/review", run, remarks, _counted(remarks))]


def _build(run: _Run, patch: PatchReview) -> Entry:
    build = patch.build
    if build is None:
        return _entry("reviewbot/build", run, [("warn", "")], "not built")
    match build.state:
        case "failed":
            lines = [("fail", line) for line in build.detail.splitlines() if len(line) <= _LONG]
            if build.of_base:
                return _entry("reviewbot/build", run, [("warn", "")], f"not built: {build.first_error()}")
            return _entry("reviewbot/build", run, lines or [("fail", build.why)], f"fails: {build.first_error()}")
        case "skipped":
            return _entry("reviewbot/build", run, [("warn", build.why)], f"not built: {build.why}")
        case "not-affected":
            return _entry("reviewbot/build", run, [], build.why or "changes nothing that is built")
        case _:
            lines = [("warn", warning.words()) for warning in build.warnings]
            return _entry(
                "reviewbot/build", run, lines, f"builds, {counted(len(lines), 'new warning')}" if lines else "builds"
            )


def _blamed(known: Sequence[_Run], message_id: str) -> list[Entry]:
    """A patch of runs that came to no review; a verdict may name it."""
    for run in known:
        verdict = run.verdict
        if verdict is None or verdict.kind.exit_status not in _FINAL:
            continue
        for finding in verdict.findings:
            if finding.patch and finding.patch.key == message_id:
                return [
                    Entry(
                        tool="reviewbot",
                        status="fail",
                        summary=f"{verdict.kind}: {finding.what}",
                        url=run.url(),
                        details=finding.detail,
                    )
                ]
        return []
    return []


def _counted(remarks: Iterable[tuple[str, str]]) -> str:
    said = [status for status, _ in remarks]
    numbers = ((said.count("fail"), "error"), (said.count("warn"), "warning"), (said.count("pass"), "note"))
    return ", ".join(counted(number, noun) for number, noun in numbers if number) or "no remarks"


def _entry(tool: str, run: _Run, lines: Sequence[tuple[str, str]], summary: str) -> Entry:
    worst = max((status for status, _ in lines), key=_ORDER.index, default="pass")
    shown = [{"status": status, "description": words} for status, words in lines[:_LINES] if words]
    if len(lines) > _LINES:
        shown.append({"status": "pass", "description": f"… and {len(lines) - _LINES} more"})
    return Entry(tool=tool, status=worst, summary=summary, url=run.url(), details=json.dumps(shown) if shown else "")
