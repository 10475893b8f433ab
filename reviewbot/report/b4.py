# SPDX-License-Identifier: GPL-2.0-or-later
"""What `b4 review` shows beside a series: a text about it, and one per patch with our remarks in its quoted diff.

The shape is that of b4's `misc/agent-reviewer.md`: the first line is a summary; lines of the diff are quoted with `> `,
and what is not quoted belongs to the line above it.
"""

import re
from collections.abc import Iterator, Mapping
from email import message_from_bytes, policy

from reviewbot.model.review import PatchReview, Severity
from reviewbot.model.verdict import VerdictKind
from reviewbot.model.words import counted, one_line, place, plain, split_place
from reviewbot.report.record import Record
from reviewbot.report.text import quoted, without_trailers, wrapped
from reviewbot.report.words import apart, headline, said, sentence

_HUNK = re.compile(r"@@ -\d+(?:,\d+)? \+(\d+)(?:,\d+)? @@")
_FINDINGS = 10


def series_text(record: Record) -> str:
    """The verdict, what it rests on, and where more is to be seen."""
    judged = said(record)
    told = []
    for finding in judged.findings[:_FINDINGS]:
        said_above = finding.in_summary and judged.kind is not VerdictKind.REGRESSION
        told += [] if said_above else [wrapped(finding.what, "* ", "  ")]
        told += [quoted(finding.evidence, 8)] if finding.evidence else []
    if len(judged.findings) > _FINDINGS:
        told.append(f"… and {len(judged.findings) - _FINDINGS} more.")
    told += [wrapped(line, "- ", "  ") for line in apart(record)]
    pieces = (
        one_line(f"{judged.kind}: {headline(record)}", 200),
        "\n".join(told),
        wrapped(f"Run {record.run} of {record.tool}{f', {record.url}' if record.url else ''}"),
    )
    return _unquoted("\n\n".join(filter(None, pieces))).strip() + "\n"


def patch_text(record: Record, message_id: str, diff: str) -> str:
    """What is known of one patch, in its diff; empty when there is nothing to say. diff: as git shows it."""
    at: dict[tuple[str, int], list[str]] = {}
    for file, line, words in _remarks(record, message_id):
        at.setdefault((file, line), []).append(words)
    annotated = "\n".join(_annotated(diff, at))
    found = [
        words
        for (file, line), some in at.items()
        for words in (f"{place(file, line)}: {one}" if file else one for one in some)
    ]
    notes = [_unquoted(wrapped(words, "* ", "  ")) for words in (*_blame(record, message_id), *found)]
    if "\n\n" not in annotated and not notes:
        return ""
    total = counted(len(notes) + annotated.count(f"\n{_MARK}"), "remark")
    return "\n".join([f"reviewbot: {total}", *([""] if notes else []), *notes, "", annotated]).rstrip() + "\n"


_MARK = "reviewbot: "


def _annotated(diff: str, at: dict[tuple[str, int], list[str]]) -> Iterator[str]:
    """Lines of the diff, quoted, with remarks behind the lines that they are about; these are taken out of `at`.

    b4 takes more for the end of a line than a newline: what follows it would be ours.
    """
    file, number = "", 0
    for line in plain(diff).rstrip("\n").split("\n") if diff.strip() else ():
        yield f"> {line}"
        if line.startswith("diff --git "):
            file, number = "", 0
        elif line.startswith("+++ ") and not number:
            file = line[4:].removeprefix("b/")
        elif hunk := _HUNK.match(line):
            number = int(hunk[1])
        elif number and line[:1] in ("+", " ", ""):
            if remarks := at.pop((file, number), None):
                yield from ("", *(_unquoted(wrapped(_MARK + words)) for words in remarks), "")
            number += 1


def _unquoted(text: str) -> str:
    """No line of it is taken for a quoted one, nor for a trailer."""
    return without_trailers(re.sub(r"^>", " >", text, flags=re.MULTILINE))


def _remarks(record: Record, message_id: str) -> Iterator[tuple[str, int, str]]:
    """File, line and words; without a file: of the patch as a whole."""
    for patch in record.review.patches if record.review else ():
        if patch.message_id == message_id:
            yield from _of_review(patch)
    for lines in record.coverage.patches if record.coverage else ():
        if lines.message_id == message_id and lines.not_reached:
            yield lines.file, lines.not_reached[0], f"no test reached lines {lines.where()}"


def _of_review(patch: PatchReview) -> Iterator[tuple[str, int, str]]:
    build = patch.build
    if build and build.state == "failed":
        file, line = split_place(build.place)
        yield file, line, f"does not build: {build.first_error()}"
    for warning in build.warnings if build else ():
        yield warning.file, warning.line, f"new warning: {warning.message} [{warning.tool}]"
    for found in patch.remarks:
        if found.severity is not Severity.NOTE:
            yield found.file, found.line, f"{found.severity}: {found.message} [{found.tool}]"


def _blame(record: Record, message_id: str) -> Iterator[str]:
    """Findings of the tests that come from the patch, or may."""
    for finding in record.verdict.findings if record.verdict else ():
        guilty = (*finding.suspects, *([finding.patch] if finding.patch and finding.tool == "" else []))
        if message_id in {patch.message_id for patch in guilty}:
            yield sentence(finding)


def b4_text(record: Record, mails: Mapping[str, bytes]) -> str:
    """All texts in one, as `report --format b4` shows them: the series, and each patch that something is said of."""
    texts = [("series", series_text(record))]
    for patch in (patch for part in record.posting.parts for patch in part.patches):
        diff = _diff_of(mails.get(patch.message_id, b""))
        texts.append((one_line(patch.message_id), patch_text(record, patch.message_id, diff)))
    return "\n".join(f"==> {name} <==\n{text}" for name, text in texts if text)


def _diff_of(raw: bytes) -> str:
    """From the first `diff --git` of a mail to its signature; empty if there is none."""
    try:
        body = message_from_bytes(raw, policy=policy.default).get_body(("plain",))
        text = str(body.get_content()).replace("\r\n", "\n") if body else ""
    except (ValueError, LookupError, AttributeError, RecursionError):  # of a mail that is none
        return ""
    found = re.search(r"^diff --git .*?(?=^-- $|\Z)", text, re.MULTILINE | re.DOTALL)
    return found[0] if found else ""
