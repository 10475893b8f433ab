# SPDX-License-Identifier: GPL-2.0-or-later
"""reply.eml: the answer in the thread, ready to send; one more for each other thread of the posting."""

import hashlib
import re
from collections.abc import Mapping
from email.charset import SHORTEST, Charset
from email.header import Header
from email.utils import parseaddr

from reviewbot.model.words import one_line
from reviewbot.report.answers import Answer, answers, references
from reviewbot.report.body import body
from reviewbot.report.record import Record

SENDER = "reviewbot <reviewbot@invalid>"
"""Replaced by git's sendemail.from or user.email when the mail is posted."""
_SAFE_ID = re.compile(r"(?!\S*=\?)[!-;=?-~]+@[!-;=?-~]+")
"""Nothing in it may be taken for an encoded word."""
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.-]+")


def replies(record: Record, mails: Mapping[str, bytes]) -> dict[str, bytes]:
    """File name -> mail: `reply.eml`; `reply-2.eml`, … for other threads of the posting. mails: raw, by Message-ID."""
    found = answers(record, mails)
    names = ["reply.eml", *(f"reply-{number}.eml" for number in range(2, len(found) + 1))]
    return {name: _mail(record, answer, len(found)) for name, answer in zip(names, found, strict=True)}


def reply_mail(record: Record, parent: bytes) -> bytes:
    """The answer to the top mail of a posting. parent: that mail, raw; may be empty."""
    posting = record.posting
    return _mail(record, Answer(posting.top, posting.subject, posting.author, references(parent)))


def _mail(record: Record, answer: Answer, threads: int = 1) -> bytes:
    """A mail to the author of the answered one, and to nobody else. threads: how many have such a mail.

    The same run gives the same Message-ID, so a second copy is recognised. No Date: it gets one when it is sent. No To,
    if the author's address is none, or if nobody has sent the series yet.

    The headers are written here and not by email.message: that one decodes `=?utf-8?q?=0ABcc:…?=` in a given
    subject, newline and all, and encodes a long Message-ID in In-Reply-To, which then answers no mail.
    """
    assert record.verdict is not None
    usable = record.posting.sent and bool(_SAFE_ID.fullmatch(answer.message_id)) and len(answer.message_id) < 900
    answered = f"<{answer.message_id}>" if usable else ""
    before = (one for one in answer.references if one != answered)
    headers = {
        "From": SENDER,
        "To": _address(answer.author) if record.posting.sent else "",
        "Subject": _encoded("Subject", f"Re: {one_line(answer.subject, 300)} ({record.verdict.kind})"),
        "Message-ID": message_id(record, answer.message_id),
        "In-Reply-To": answered,
        "References": "\n ".join((*before, answered)) if answered else "",
        "Auto-Submitted": "auto-replied",
        "X-Reviewbot-Verdict": record.verdict.kind,
        "X-Reviewbot-Run": one_line(record.run),
        "MIME-Version": "1.0",
        "Content-Type": 'text/plain; charset="utf-8"',
        "Content-Transfer-Encoding": "8bit",
    }
    head = "".join(f"{name}: {value}\n" for name, value in headers.items() if value)
    return f"{head}\n{body(record, threads)}".encode()


def message_id(record: Record, answered: str) -> str:
    """Depends on the run and the answered mail only."""
    digest = hashlib.sha256(f"{record.run} {answered}".encode(errors="replace")).hexdigest()[:16]
    return f"<{re.sub(r'[^A-Za-z0-9.-]', '-', record.run)}.{digest}.reviewbot@invalid>"


def _address(author: str) -> str:
    name, address = parseaddr(one_line(author))
    if not _ADDRESS.fullmatch(address):
        return ""
    return f"{_encoded('To', name, phrase=True)} <{address}>" if name else address


def _encoded(header: str, text: str, *, phrase: bool = False) -> str:
    """As RFC 2047 wants it; what looks like an encoded word already is shown, not decoded."""
    safe = text.replace("=?", "= ?")
    if not safe.isascii():
        return Header(safe, _utf8(), header_name=header, maxlinelen=76).encode()
    if phrase:
        return '"' + re.sub(r'(["\\])', r"\\\1", safe) + '"'
    return Header(safe, "us-ascii", header_name=header, maxlinelen=76).encode(splitchars=" ")


def _utf8() -> Charset:
    """UTF-8 that goes into headers as encoded words, also after `import b4`, which tells email to leave it raw."""
    charset = Charset("utf-8")
    charset.header_encoding = SHORTEST
    return charset
