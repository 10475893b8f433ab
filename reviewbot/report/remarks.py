# SPDX-License-Identifier: GPL-2.0-or-later
"""A review as rows and lines, the same for Markdown, mail and the terminal."""

from dataclasses import dataclass

from reviewbot.model.review import PatchBuild, PatchReview, Review, ReviewFinding, Severity
from reviewbot.model.verdict import FindingKind, Verdict
from reviewbot.model.words import counted

SERIES = "The series as a whole"


@dataclass(frozen=True, slots=True)
class Remark:
    """One line about a patch or the series."""

    severity: Severity
    words: str
    """`fs/fuse/file.c:12: message [tool]`."""
    new: bool = False
    """A warning of the compiler or of sparse that came with the patch."""
    detail: str = ""
    """Evidence, for errors only."""


def _remark(finding: ReviewFinding) -> Remark:
    detail = finding.detail if finding.severity is Severity.ERROR else ""
    return Remark(finding.severity, finding.words(), detail=detail)


def grouped(review: Review) -> list[tuple[str, list[Remark]]]:
    """Per patch that somebody remarked on, in order, its name and the remarks, worst first; last the series."""
    groups = [(f"{patch.name}: {patch.title}", remarks(patch)) for patch in review.patches]
    groups.append((SERIES, [_remark(finding) for finding in review.findings]))
    order = tuple(Severity)
    return [(name, sorted(found, key=lambda r: order.index(r.severity))) for name, found in groups if found]


def remarks(patch: PatchReview) -> list[Remark]:
    """What the build and the reviewers say of one patch, in their order."""
    return [*_of_build(patch), *(_remark(finding) for finding in patch.remarks)]


def _of_build(patch: PatchReview) -> list[Remark]:
    if patch.build is None or patch.build.state != "failed":
        return _warnings(patch)
    detail = patch.build.detail if patch.build.own_error else ""  # shown where the error comes from
    severity = Severity.ERROR if patch.broken else Severity.WARNING
    return [Remark(severity, f"does not build: {patch.build.first_error()}", detail=detail), *_warnings(patch)]


def _warnings(patch: PatchReview) -> list[Remark]:
    warnings = patch.build.warnings if patch.build else ()
    return [Remark(Severity.WARNING, f"new: {warning.words()}", new=True) for warning in warnings]


def build_words(build: PatchBuild | None) -> str:
    """`built, 3 objects`, `fails: fs/fuse/inode.c:12: what`, `changes nothing that is built`, `not built: why`."""
    if build is None:
        return "not built"
    match build.state:
        case "built":
            return f"built, {counted(build.compiled, 'object')}" if build.compiled else "built, no object changed"
        case "failed":
            return f"fails: {build.first_error()}"
        case "not-affected":
            return build.why or "changes nothing that is built"
        case _:
            return f"not built: {build.why}"


def counts(patch: PatchReview) -> str:
    """`1 error, 2 warnings`; empty when nobody remarked on it. The failed build is not counted."""
    said = [remark.severity for remark in remarks(patch)]
    numbers = {severity: said.count(severity) - (severity is Severity.ERROR and patch.broken) for severity in Severity}
    return ", ".join(counted(number, severity) for severity, number in numbers.items() if number)


def patch_rows(review: Review) -> list[tuple[str, str, str, str]]:
    """Per patch: component and place, subject, build, counts."""
    return [(patch.name, patch.title, build_words(patch.build), counts(patch)) for patch in review.patches]


def mail_lines(review: Review, verdict: Verdict, limit: int) -> tuple[list[str], int]:
    """What the verdict does not name, errors first: at most `limit` lines of it, and how many are left.

    Of warnings those of the compiler and of reviewers; notes are left out.
    """
    named = {(f.patch.key if f.patch else "", f.tool, f.file, f.line, f.said) for f in verdict.findings}
    broken = {f.patch.key for f in verdict.findings if f.kind is FindingKind.PATCH and f.patch}
    found: list[tuple[Severity, str]] = []
    for patch in review.patches:
        lines = _of_build(patch) if patch.key not in broken else _warnings(patch)
        lines += [_remark(f) for f in patch.remarks if (patch.key, f.tool, f.file, f.line, f.message) not in named]
        found += [(line.severity, f"{patch.name}: {line.words}") for line in lines]
    found += [(f.severity, f.words()) for f in review.findings if ("", f.tool, f.file, f.line, f.message) not in named]
    lines_of = {severity: [words for kind, words in found if kind is severity] for severity in Severity}
    shown = [*lines_of[Severity.ERROR], *lines_of[Severity.WARNING]]
    return shown[:limit], max(0, len(shown) - limit)
