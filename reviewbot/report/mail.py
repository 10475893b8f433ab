# SPDX-License-Identifier: GPL-2.0-or-later
"""reply.eml: the answer in the thread, ready to send."""

import hashlib
import re
from collections.abc import Mapping
from email import message_from_bytes, policy
from email.charset import SHORTEST, Charset
from email.header import Header
from email.utils import parseaddr

from reviewbot.model.posting import Posting
from reviewbot.model.verdict import FindingKind
from reviewbot.model.words import one_line
from reviewbot.report.differential import differential
from reviewbot.report.mixes import mix_lines
from reviewbot.report.notes import notes
from reviewbot.report.reach import missing, unreached
from reviewbot.report.record import Record
from reviewbot.report.remarks import mail_lines
from reviewbot.report.render import command, environment, named
from reviewbot.report.tables import OUTCOMES, aligned, known_failures, leg_header, leg_rows, stack_lines, test_lines
from reviewbot.report.text import without_trailers
from reviewbot.report.words import apart, listed, said

SENDER = "reviewbot <reviewbot@invalid>"
"""Replaced by git's sendemail.from or user.email when the mail is posted."""
_REMARKS = 7
"""Of the review, in a mail: about 15 lines."""
_UNREACHED = 7
"""Places in a mail that no test reached."""
_MSGID = re.compile(r"<(?!\S*=\?)[!-;=?-~]{1,900}>")
_SAFE_ID = re.compile(r"(?!\S*=\?)[!-;=?-~]+@[!-;=?-~]+")
"""Nothing in it may be taken for an encoded word."""
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.-]+")


def reply_mail(record: Record, parent: bytes, sender: str = SENDER) -> bytes:
    """A mail to the posting's author, and to nobody else, that answers the top mail.

    parent: the raw top mail (may be empty). The same run gives the same Message-ID, so a second copy is recognised.
    No Date: it gets one when it is sent. No To, if the author's address is none, or if nobody has sent the series yet.

    The headers are written here and not by email.message: that one decodes `=?utf-8?q?=0ABcc:…?=` in a given
    subject, newline and all, and encodes a long Message-ID in In-Reply-To, which then answers no mail.
    """
    assert record.verdict is not None
    answers = record.posting.sent and bool(_SAFE_ID.fullmatch(record.posting.top)) and len(record.posting.top) < 900
    top = f"<{record.posting.top}>" if answers else ""
    headers = {
        "From": sender,
        "To": _address(record.posting) if record.posting.sent else "",
        "Subject": _encoded("Subject", f"Re: {one_line(record.posting.subject, 300)} ({record.verdict.kind})"),
        "Message-ID": message_id(record),
        "In-Reply-To": top,
        "References": "\n ".join((*_references(parent), top)) if top else "",
        "Auto-Submitted": "auto-generated",
        "X-Reviewbot-Verdict": record.verdict.kind,
        "X-Reviewbot-Run": one_line(record.run),
        "MIME-Version": "1.0",
        "Content-Type": 'text/plain; charset="utf-8"',
        "Content-Transfer-Encoding": "8bit",
    }
    head = "".join(f"{name}: {value}\n" for name, value in headers.items() if value)
    return f"{head}\n{_body(record)}".encode()


def message_id(record: Record) -> str:
    """Depends on the run and the posting only."""
    digest = hashlib.sha256(f"{record.run} {record.posting.top}".encode(errors="replace")).hexdigest()[:16]
    return f"<{re.sub(r'[^A-Za-z0-9.-]', '-', record.run)}.{digest}.reviewbot@invalid>"


def _address(posting: Posting) -> str:
    name, address = parseaddr(one_line(posting.author))
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


def _references(parent: bytes) -> list[str]:
    found = message_from_bytes(parent, policy=policy.compat32).get("References", "") if parent else ""
    return _MSGID.findall(str(found))[-20:]


def _body(record: Record) -> str:
    table = ""
    if record.results and (rows := leg_rows(record)):
        outcomes = slice(3, 3 + len(OUTCOMES))  # all columns together are wider than a mail
        narrow = [(*row[:2], *row[outcomes]) for row in (leg_header(), *rows)]
        used = [n for n in range(len(narrow[0])) if n < 2 or any(row[n] for row in narrow[1:])]
        table = aligned([[row[n] for n in used] for row in narrow], right_from=2, gap=" ")
    verdict = said(record)
    lines, more = mail_lines(record.review, verdict, _REMARKS) if record.review else ([], 0)
    missed, far = unreached(record.coverage, _UNREACHED) if record.coverage else ([], 0)
    compilers = (one.tool for one in verdict.findings if one.kind is FindingKind.HEAD and one.tool)
    text = environment().get_template("reply.txt").render(
        record=record, verdict=verdict, table=table, stack=stack_lines(record), tests=test_lines(record),
        lines=lines, more=more, apart=apart(record), differing=_differing(record) + mix_lines(record),
        known=known_failures(record),
        compiler=next(compilers, ""), command=command(named(record)),
        missed=missed, far=far, unknown=missing(record.coverage)[:_UNREACHED] if record.coverage else [],
        notes=[note.text for note in notes(record) if not note.operator],
    )  # fmt: skip
    return without_trailers(re.sub(r"\n{3,}", "\n\n", text))


def _differing(record: Record) -> list[str]:
    """Tests that fail on some legs only, by what is said of them."""
    found = differential(record)
    groups: dict[str, list[str]] = {}
    for test, said_of_it, *_ in found.rows if found else ():
        if said_of_it.startswith("fails"):
            groups.setdefault(said_of_it, []).append(test)
    return [f"{words[0].upper()}{words[1:]}: {listed(tests)}" for words, tests in groups.items()]


def files_parent(mails: Mapping[str, bytes], posting: Posting) -> bytes:
    """The raw top mail, or nothing."""
    return mails.get(posting.top, b"")
