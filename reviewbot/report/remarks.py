# SPDX-License-Identifier: GPL-2.0-or-later
"""A review as rows and lines, the same for Markdown, mail and the terminal."""

from dataclasses import dataclass

from reviewbot.model.review import PatchBuild, PatchReview, Review, ReviewFinding, Severity
from reviewbot.model.verdict import Verdict
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
    found = []
    if patch.build and patch.build.state == "failed":
        detail = "" if patch.build.why else patch.build.detail  # shown where the error comes from
        severity = Severity.ERROR if patch.broken else Severity.WARNING
        found.append(Remark(severity, f"does not build: {patch.build.first_error()}", detail=detail))
    if patch.build:
        found += [Remark(Severity.WARNING, f"new: {warning.words()}", new=True) for warning in patch.build.warnings]
    return found + [_remark(finding) for finding in patch.remarks]


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
    """Errors and new warnings that the verdict has not said: at most `limit` of them, and how many are left."""
    said = {finding.what for finding in verdict.findings}
    lines = []
    for patch in review.patches:
        lines += [f"{patch.name}: {r.words}" for r in remarks(patch) if r.severity is Severity.ERROR or r.new]
    lines += [f.words() for f in review.findings if f.severity is Severity.ERROR]
    lines = [
        line for line in lines if line not in said and line.replace(": does not build", " does not build") not in said
    ]
    return lines[:limit], max(0, len(lines) - limit)
