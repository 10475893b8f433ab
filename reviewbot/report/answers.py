# SPDX-License-Identifier: GPL-2.0-or-later
"""Which mails of a posting a run answers: one per thread, and in its thread the guilty patch where there is one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email import policy
from email.parser import BytesHeaderParser

from reviewbot.model.posting import Part
from reviewbot.model.review import PatchRef
from reviewbot.model.verdict import Finding
from reviewbot.report.record import Record

_MSGID = re.compile(r"<(?!\S*=\?)[!-;=?-~]{1,900}>")


@dataclass(frozen=True, slots=True)
class Answer:
    """One mail that is answered."""

    message_id: str
    subject: str
    author: str
    """`Name <address>`."""
    references: tuple[str, ...] = ()
    """Message-IDs in angle brackets, that the mail itself refers to."""


def answers(record: Record, mails: Mapping[str, bytes]) -> tuple[Answer, ...]:
    """The first is in the thread of the posting's top mail. mails: raw, by Message-ID; a part without its own
    belongs to the top's thread.
    """
    posting = record.posting
    top = Answer(posting.top, posting.subject, posting.author, references(mails.get(posting.top, b"")))
    threads = [(thread_of(posting.top, mails), top)]
    for part in posting.parts:
        head = _head(part)
        thread = thread_of(head, mails)
        if head in mails and not any(thread & known for known, _ in threads):
            author = part.patches[0].author if part.patches else posting.author
            subject = _subject(mails[head]) or part.subject
            threads.append((thread, Answer(head, subject, author, references(mails[head]))))
    if (guilty := _guilty(record)) and (answer := _of_patch(record, guilty, mails)):
        thread = thread_of(answer.message_id, mails)
        at = next((number for number, (known, _) in enumerate(threads) if thread & known), 0)
        threads[at] = (thread, answer)
    return tuple(answer for _, answer in threads)


def thread_of(message_id: str, mails: Mapping[str, bytes]) -> frozenset[str]:
    """The mail and all that it answers, directly or not."""
    found, todo = set[str](), [message_id]
    while todo:
        one = todo.pop()
        if one not in found:
            found.add(one)
            todo += [reference[1:-1] for reference in references(mails.get(one, b""))]
    return frozenset(found)


def references(raw: bytes) -> tuple[str, ...]:
    """The last twenty Message-IDs that a raw mail refers to, in angle brackets."""
    if not raw:
        return ()
    mail = BytesHeaderParser(policy=policy.compat32).parsebytes(raw)
    found = _MSGID.findall(f"{mail.get('References', '')} {mail.get('In-Reply-To', '')}")
    return tuple(dict.fromkeys(found))[-20:]


def _guilty(record: Record) -> PatchRef | None:
    """The one patch that everything the verdict rests on comes from."""
    assert record.verdict
    patches = [_patch(one) for one in record.verdict.findings if not (one.outcome and one.outcome.unknown)]
    keys = {patch.message_id if patch else "" for patch in patches}
    return patches[0] if len(keys) == 1 and "" not in keys else None


def _patch(finding: Finding) -> PatchRef | None:
    if finding.suspects:
        return finding.suspects[0] if len(finding.suspects) == 1 else None
    return finding.patch


def _of_patch(record: Record, guilty: PatchRef, mails: Mapping[str, bytes]) -> Answer | None:
    """None: it is a prerequisite, so another author's."""
    for patch in (patch for part in record.posting.parts for patch in part.patches):
        if patch.message_id == guilty.message_id:
            return Answer(patch.message_id, patch.subject, patch.author, references(mails.get(patch.message_id, b"")))
    return None


def _head(part: Part) -> str:
    pulled = part.pull.message_id if part.pull else ""
    return part.cover or (part.patches[0].message_id if part.patches else pulled)


def _subject(raw: bytes) -> str:
    try:
        return str(BytesHeaderParser(policy=policy.default).parsebytes(raw)["Subject"] or "")
    except (ValueError, LookupError, AttributeError, RecursionError):  # its own parser stumbles over some headers
        return ""
