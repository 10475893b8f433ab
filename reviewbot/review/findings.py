# SPDX-License-Identifier: GPL-2.0-or-later
"""From what the tools say to what is shown: one remark once, the worst first, not too many."""

from collections.abc import Iterable

from reviewbot.model.review import PatchBuild, ReviewFinding, Severity
from reviewbot.review.text import one_line, some_lines

PER_TOOL = 50
"""Most findings of one tool about one patch."""
_RANK = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}
# Types of checkpatch that `git diff --check` reports too, and the words of the latter.
_SAME = {
    "TRAILING_WHITESPACE": "trailing whitespace",
    "DOS_LINE_ENDINGS": "trailing whitespace",
    "SPACE_BEFORE_TAB": "space before tab in indent",
}


def tidy(findings: Iterable[ReviewFinding]) -> tuple[ReviewFinding, ...]:
    """Sorted by severity, file and line; without repetitions; at most PER_TOOL per tool, a note says how many more."""
    unique = list(dict.fromkeys(findings))
    told = {(f.file, f.line, _SAME[kind]) for f in unique if f.tool == "checkpatch" and (kind := _kind(f)) in _SAME}
    unique = [f for f in unique if f.tool != "whitespace" or (f.file, f.line, f.message) not in told]
    unique.sort(key=lambda f: (_RANK[f.severity], f.file, f.line, f.tool, f.message))
    kept: list[ReviewFinding] = []
    counts: dict[str, int] = {}
    for finding in unique:
        counts[finding.tool] = counts.get(finding.tool, 0) + 1
        if counts[finding.tool] <= PER_TOOL:
            kept.append(finding)
    kept += [
        ReviewFinding(tool=tool, severity=Severity.NOTE, message=f"and {count - PER_TOOL} more of {tool}")
        for tool, count in sorted(counts.items())
        if count > PER_TOOL
    ]
    return tuple(kept)


def _kind(finding: ReviewFinding) -> str:
    return finding.message.partition(":")[0]


def of_build(build: PatchBuild) -> list[ReviewFinding]:
    """What the build of one patch has to say."""
    found = [
        ReviewFinding(
            tool=warning.tool,
            severity=Severity.WARNING,
            message=one_line(warning.message),
            file=one_line(warning.file),
            line=warning.line,
        )
        for warning in build.warnings
    ]
    if build.state == "failed":
        file, colon, line = build.place.rpartition(":")
        named = bool(colon) and line.isdigit()
        said = one_line(build.error or build.why) or "no output from the build"
        found.append(
            ReviewFinding(
                tool="build",
                severity=Severity.ERROR,
                message=f"does not build with this patch: {said}",
                file=one_line(file if named else build.place),
                line=int(line) if named else 0,
                detail=some_lines(build.detail),
            )
        )
    return found
