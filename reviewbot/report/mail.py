# SPDX-License-Identifier: GPL-2.0-or-later
"""reply.eml: the answer in the thread, ready to send."""

import hashlib
import re
from collections.abc import Mapping
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parseaddr

from reviewbot.model.posting import Posting
from reviewbot.report.record import Record
from reviewbot.report.render import environment
from reviewbot.report.tables import aligned, left_out, leg_header, leg_rows, stack_rows
from reviewbot.report.text import one_line

SENDER = "reviewbot <reviewbot@invalid>"
"""Replaced by git's sendemail.from or user.email when the mail is posted."""
_POLICY = policy.EmailPolicy(utf8=True, cte_type="8bit", max_line_length=78, linesep="\n")
_MSGID = re.compile(r"<[^<>\s]+>")
_SAFE_ID = re.compile(r"[^\s<>]+@[^\s<>]+")


def reply_mail(record: Record, parent: bytes, sender: str = SENDER) -> bytes:
    """A mail to the posting's author, and to nobody else, that answers the top mail.

    parent: the raw top mail (may be empty). The same run gives the same Message-ID, so a second copy is recognised.
    No Date: it gets one when it is sent.
    """
    assert record.verdict is not None
    message = EmailMessage(policy=_POLICY)
    message["From"] = sender
    message["To"] = _address(record.posting)
    message["Subject"] = "Re: " + one_line(record.posting.subject, 300)
    message["Message-ID"] = message_id(record)
    if _SAFE_ID.fullmatch(record.posting.top):
        message["In-Reply-To"] = f"<{record.posting.top}>"
        message["References"] = " ".join((*_references(parent), f"<{record.posting.top}>"))
    message["Auto-Submitted"] = "auto-generated"
    message["X-Reviewbot-Verdict"] = record.verdict.kind
    message["X-Reviewbot-Run"] = one_line(record.run)
    message.set_content(_body(record), subtype="plain", charset="utf-8", cte="8bit")
    return message.as_bytes(policy=_POLICY)


def message_id(record: Record) -> str:
    """Depends on the run and the posting only."""
    digest = hashlib.sha256(f"{record.run} {record.posting.top}".encode()).hexdigest()[:16]
    return f"<{re.sub(r'[^A-Za-z0-9.-]', '-', record.run)}.{digest}.reviewbot@invalid>"


def _address(posting: Posting) -> str:
    name, address = parseaddr(one_line(posting.author))
    return f'"{re.sub(chr(34), "", name)}" <{address}>' if name else address


def _references(parent: bytes) -> list[str]:
    found = message_from_bytes(parent, policy=policy.compat32).get("References", "") if parent else ""
    return _MSGID.findall(str(found))[-20:]


def _body(record: Record) -> str:
    table = ""
    if record.results and (rows := leg_rows(record)):
        kept, header = left_out(rows, leg_header())
        table = aligned([header, *kept], right_from=2)
    stack = (
        aligned([(name, patches, head, base) for name, _, base, patches, head in stack_rows(record)])
        if (record.trees and record.trees.trees)
        else ""
    )
    text = (
        environment().get_template("reply.txt").render(record=record, verdict=record.verdict, table=table, stack=stack)
    )
    return re.sub(r"\n{3,}", "\n\n", text)


def files_parent(mails: Mapping[str, bytes], posting: Posting) -> bytes:
    """The raw top mail, or nothing."""
    return mails.get(posting.top, b"")
