# SPDX-License-Identifier: GPL-2.0-or-later
"""What `git format-patch` wrote and nobody has sent yet: without Message-IDs, a thread only by its numbers.

Such mails get what `git send-email` would give them: a Message-ID (out of their own bytes), a reply to the cover or to
the first patch, one sender.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser

from reviewbot.intake.mail import header_text, parse_subject
from reviewbot.model.mails import address_of
from reviewbot.model.posting import NEVER_SENT

# The commit, and a date that git chose so that file(1) knows its patches from mailboxes.
_WRITTEN_BY_GIT = re.compile(rb"From [0-9a-f]{40,64} Mon Sep 17 00:00:00 2001\s*")
_ID = re.compile(rb"^Message-ID:[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE | re.MULTILINE)
_FROM = re.compile(rb"^From:[^\n]*(?:\n[ \t][^\n]*)*", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Head:
    """What begins a series: its cover or first patch."""

    id: str
    sender: bytes
    """Its From: line."""
    address: str
    series: tuple[object, ...]
    """What all of its mails say alike."""
    last: int
    """Number of the mail before the next one."""
    instead_of: str = ""
    """Message-ID that git gave it, and something else before."""


def as_sent(mails: Sequence[tuple[bytes, bytes]]) -> tuple[bytes, ...]:
    """Each with its From_ line (or nothing); those that git wrote come back as they would be sent.

    Covers that git wrote within one second for two series have one Message-ID: the later one, which nobody has sent
    yet, gets another.
    """
    found: list[bytes] = []
    head: _Head | None = None
    known: dict[str, bytes] = {}
    for line, given in mails:
        raw = given
        said = BytesHeaderParser().parsebytes(raw[: 1 << 16]) if _WRITTEN_BY_GIT.fullmatch(line) else None
        if said is None:
            head = None
            found.append(raw)
            continue
        taken = _bare_id(said)
        if taken and known.setdefault(taken, given) != given:
            head = None
            raw = _without_id(raw)
        elif head is not None and head.instead_of and head.instead_of in _parents(said):
            raw = _answering(raw, head)
        if raw is not given:
            said = BytesHeaderParser().parsebytes(raw[: 1 << 16])
        head, mail = _sent(raw, said, head, instead_of=taken if _bare_id(said) != taken else "")
        found.append(mail)
    return tuple(found)


def _bare_id(said: "Message[str, str]") -> str:
    return header_text(said, "message-id").strip("<> ")


def _parents(said: "Message[str, str]") -> str:
    return f"{header_text(said, 'in-reply-to')} {header_text(said, 'references')}"


def _without_id(raw: bytes) -> bytes:
    top, gap, body = raw.partition(b"\n\n")
    return _ID.sub(b"", top + b"\n", count=1).rstrip(b"\n") + gap + body


def _answering(raw: bytes, head: _Head) -> bytes:
    """As an answer to the head under its new Message-ID."""
    top, gap, body = raw.partition(b"\n\n")
    return top.replace(f"<{head.instead_of}>".encode(), f"<{head.id}>".encode()) + gap + body


def _sent(raw: bytes, said: "Message[str, str]", head: _Head | None, *, instead_of: str = "") -> tuple[_Head, bytes]:
    subject = parse_subject(header_text(said, "subject"))
    series = (subject.total, subject.version, subject.kinds)
    number = subject.number
    own = f"{hashlib.sha256(raw).hexdigest()[:12]}@{NEVER_SENT}"
    given = said["message-id"]
    headers = "" if given else f"Message-ID: <{own}>\n"
    top, gap, body = raw.partition(b"\n\n")
    sender = _FROM.search(top)
    author = header_text(said, "from")
    if head is None or number is None or number <= head.last or series != head.series:
        head = _Head(own, sender[0] if sender else b"", address_of(author), series, number or 0, instead_of)
    else:
        if not (given or said["in-reply-to"]):
            headers += f"In-Reply-To: <{head.id}>\nReferences: <{head.id}>\n"
        if sender and address_of(author) != head.address and not said.is_multipart():
            top = top[: sender.start()] + head.sender + top[sender.end() :]
            body = f"From: {author}\n\n".encode() + body
        head = _Head(head.id, head.sender, head.address, series, number, head.instead_of)
    return head, headers.encode() + top + gap + body
