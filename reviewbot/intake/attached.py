# SPDX-License-Identifier: GPL-2.0-or-later
"""Patches that are attached to a mail, each a mail of its own as git format-patch wrote it.

`git am` would make one commit of them all. Here each becomes the mail that git send-email would have made of it: an
answer to the mail that it was attached to, by the same sender, with a Message-ID made of that mail's.
"""

import email
import email.policy
import itertools
import re
from collections.abc import Iterator
from email.message import Message

from reviewbot.intake.mail import header_text, parse_subject
from reviewbot.model.mails import address_of, message_of

_MOST = 500
"""Attachments of one mail that are looked at."""
_MAIL = re.compile(rb"(?:From [0-9a-f]{40,64} [^\n]*\n)?((?:[!-9;-~]+:[^\n]*\n(?:[ \t][^\n]*\n)*)+)\n", re.ASCII)
_DIFF = re.compile(rb"^(?:diff --git |--- a/)", re.MULTILINE)
_KEPT = ("to", "cc", "date")
_SAID = ("from", "subject", "date", "content-type")


def attached_mails(raw: bytes) -> tuple[bytes, ...]:
    """The mails that are attached to this one as patches; none if it brings a patch of its own, or is an answer."""
    if b"multipart/" not in raw[: 1 << 16].lower():
        return ()
    message = message_of(raw)
    subject = parse_subject(header_text(message, "subject"))
    outer = re.search(r"<([^<>\s]+)>", header_text(message, "message-id"))
    if subject.is_reply or outer is None:
        return ()
    found = list(_patches(message))
    # A patch with one attachment is what `git format-patch --attach` makes; git am reads it.
    if not found or (len(found) == 1 and subject.kinds and subject.number != 0):
        return ()
    return tuple(_as_sent(text, message, outer[1], number, len(found)) for number, text in enumerate(found, 1))


def attached_diffs(raw: bytes) -> int:
    """How many parts of a mail hold a diff and are no mail themselves."""
    if b"multipart/" not in raw[: 1 << 16].lower():
        return 0
    message = message_of(raw)
    return sum(bool(_DIFF.search(text)) for text in _texts(message))


def _patches(message: Message) -> Iterator[bytes]:
    """What is attached and reads as a mail with a diff."""
    for text in _texts(message):
        head = _MAIL.match(text)
        if head and re.search(rb"^subject:", head[1], re.IGNORECASE | re.MULTILINE) and _DIFF.search(text, head.end()):
            yield text


def _texts(message: Message) -> Iterator[bytes]:
    """Parts that are no container, decoded, with plain line ends."""
    for part in itertools.islice(_leaves(message), _MOST):
        if part.get_content_type() == "message/rfc822":
            yield from _enclosed(part)
            continue
        try:
            payload = part.get_payload(decode=True)
        except (ValueError, LookupError, AssertionError):
            continue
        if not isinstance(payload, bytes):
            continue
        yield payload.replace(b"\r\n", b"\n") if payload.count(b"\r\n") == payload.count(b"\n") else payload


def _leaves(message: Message) -> Iterator[Message]:
    """Parts that hold no others, and mails that are enclosed as they are."""
    waiting = [message]
    while waiting:
        part = waiting.pop()
        inside = part.get_payload() if part.is_multipart() else []
        if isinstance(inside, list) and part.is_multipart() and part.get_content_type() != "message/rfc822":
            waiting += [one for one in reversed(inside) if isinstance(one, Message)]
        else:
            yield part


def _enclosed(part: Message) -> Iterator[bytes]:
    """Head and decoded text of a mail of one part."""
    inside = part.get_payload()
    inner = inside[0] if isinstance(inside, list) and inside else None
    if not isinstance(inner, Message) or inner.is_multipart():
        return
    try:
        text = inner.get_payload(decode=True)
    except (ValueError, LookupError, AssertionError):
        return
    if isinstance(text, bytes):
        kept = [f"{key}: {value}" for key in _SAID if (value := header_text(inner, key))]
        yield "\n".join(kept).encode(errors="replace") + b"\n\n" + text.replace(b"\r\n", b"\n")


def _as_sent(text: bytes, outer: "Message[str, str]", outer_id: str, number: int, total: int) -> bytes:
    head = _MAIL.match(text)
    assert head is not None
    inner = email.message_from_bytes(head[1] + b"\n", policy=email.policy.compat32)
    body = text[head.end() :]
    subject = header_text(inner, "subject")
    if total > 1 and parse_subject(subject).total is None:
        subject = f"[PATCH {number}/{total}] {parse_subject(subject).title}"
    elif not parse_subject(subject).kinds:
        subject = f"[PATCH] {subject}"
    sender = header_text(outer, "from")
    author = header_text(inner, "from")
    if author and address_of(author) != address_of(sender) and not body.startswith(b"From: "):
        body = f"From: {author}\n\n".encode() + body
    lines = [f"From: {sender}", *(f"{key.title()}: {value}" for key in _KEPT if (value := header_text(outer, key)))]
    if date := header_text(inner, "date"):
        lines = [line for line in lines if not line.startswith("Date:")] + [f"Date: {date}"]
    lines += [
        f"Subject: {subject}",
        f"Message-ID: <{number}.{outer_id}>",
        f"In-Reply-To: <{outer_id}>",
        f"References: <{outer_id}>",
    ]
    for key, default in (
        ("MIME-Version", "1.0"),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Transfer-Encoding", "8bit"),
    ):
        lines.append(f"{key}: {header_text(inner, key) or default}")
    return "\n".join(lines).encode(errors="replace") + b"\n\n" + body
