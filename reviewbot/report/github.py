# SPDX-License-Identifier: GPL-2.0-or-later
"""A check run's text and annotations, within GitHub's limits."""

import re
from collections.abc import Iterator

from reviewbot.model.github import Annotation, Conclusion, GithubReport, Level
from reviewbot.model.review import PatchReview, Severity
from reviewbot.model.verdict import FindingKind, VerdictKind
from reviewbot.model.words import one_line, plain, split_place
from reviewbot.report.record import Record
from reviewbot.report.summary import summary_markdown
from reviewbot.report.words import said

_ROOM = 65_000
"""Bytes of a summary; GitHub takes 65,535, and the closing lines need some."""
_MOST = 1000
"""Annotations per component: twenty requests."""
_CONCLUSIONS: dict[VerdictKind, Conclusion] = {
    VerdictKind.PASS: "success",
    VerdictKind.REVIEWED: "success",
    VerdictKind.REGRESSION: "failure",
    VerdictKind.BUILD_FAILS: "failure",
    VerdictKind.REVIEW_ERRORS: "failure",
    VerdictKind.FAILURES: "neutral",
    VerdictKind.DOES_NOT_APPLY: "action_required",
    VerdictKind.BLOCKED: "action_required",
    VerdictKind.INFRA: "cancelled",
}
_LEVELS: dict[Severity, Level] = {
    Severity.ERROR: "failure",
    Severity.WARNING: "warning",
    Severity.NOTE: "notice",
}
_ORDER: tuple[Level, ...] = ("failure", "warning", "notice")
_PATH = re.compile(r"(?!/)(?!.*(?:^|/)\.\.?(?:/|$))[^\x00-\x1f]{1,1000}")


def github_report(record: Record) -> GithubReport:
    """The record must have its verdict."""
    verdict = said(record)
    found: dict[str, list[Annotation]] = {}
    for component, one in _annotations(record):
        found.setdefault(component, []).append(one)
    return GithubReport(
        run=record.run,
        topic=record.posting.top,
        conclusion=_CONCLUSIONS[verdict.kind],
        title=one_line(f"{verdict.kind}: {verdict.summary}", 200),
        summary=cut(summary_markdown(record)),
        annotations={
            name: tuple(sorted(dict.fromkeys(some), key=lambda one: _ORDER.index(one.level))[:_MOST])
            for name, some in found.items()
        },
        url=record.url,
    )


def cut(markdown: str, room: int = _ROOM) -> str:
    """As much of a summary as fits: whole lines, no block of code or folded part left open."""
    if len(markdown.encode(errors="replace")) <= room:
        return markdown
    kept, size, fence, folded = list[str](), 0, "", 0
    for line in markdown.split("\n"):
        size += len(line.encode(errors="replace")) + 1
        if size > room:
            break
        kept.append(line)
        if fence:
            fence = "" if line == fence else fence
        elif opens := re.match(r"(`{3,})text$", line):
            fence = opens[1]
        else:
            folded += line.count("<details>") - line.count("</details>")
    ends = [fence] if fence else []
    return "\n".join([*kept, *ends, *(["", "</details>"] * folded), "", "… the rest is in summary.md of the run.", ""])


def _annotations(record: Record) -> Iterator[tuple[str, Annotation]]:
    """Component and remark, for each that names a line of a file."""
    for found in record.verdict.findings if record.verdict else ():
        if found.kind in (FindingKind.APPLY, FindingKind.HEAD) and found.side == "head":
            words = found.said or "does not apply here"
            patch = found.patch.name if found.patch else found.component
            yield from _on_line(found.component, found.file, found.line, "failure", patch, words)
    if record.review:
        for review in record.review.patches:
            yield from _of_patch(review)
    for covered in record.coverage.patches if record.coverage else ():
        for line in covered.not_reached[:1]:
            yield from _on_line(
                covered.component,
                covered.file,
                line,
                "notice",
                covered.patch,
                f"no test reached lines {covered.where()}",
            )


def _of_patch(review: PatchReview) -> Iterator[tuple[str, Annotation]]:
    for remark in review.remarks:
        title = f"{review.name} [{remark.tool}]"
        yield from _on_line(review.component, remark.file, remark.line, _LEVELS[remark.severity], title, remark.message)
    if not review.build:
        return
    if review.build.own_error and not review.build.of_base:
        file, line = split_place(review.build.place)
        yield from _on_line(
            review.component, file, line, "failure", f"{review.name} does not build", review.build.error
        )
    for warning in review.build.warnings:
        title = f"{review.name} [{warning.tool}]"
        yield from _on_line(review.component, warning.file, warning.line, "warning", title, warning.message)


def _on_line(
    component: str, path: str, line: int, level: Level, title: str, message: str
) -> Iterator[tuple[str, Annotation]]:
    """Nothing for a remark on no line, or on a file outside the tree."""
    if line > 0 and _PATH.fullmatch(path) and plain(message).strip():
        yield (
            component,
            Annotation(
                path=plain(path), line=line, level=level, title=one_line(title, 255), message=one_line(message, 10_000)
            ),
        )
