# SPDX-License-Identifier: GPL-2.0-or-later
"""Message-ID or mbox in, Posting out: fetch, thread tree, parts, routing.

Out: a `Posting` and the bytes of its mails, keyed by Message-ID.
Must not know: repositories, builds, machines.
"""

from reviewbot.intake.errors import ArchiveUnreachable, NoPatches, NotAnMbox, UnknownMessageId
from reviewbot.intake.fetch import fetch_thread, parse_message_id
from reviewbot.intake.mbox import Mailbag, mbox_bytes, read_mbox
from reviewbot.intake.split import Intake, split

__all__ = [
    "ArchiveUnreachable",
    "Intake",
    "Mailbag",
    "NoPatches",
    "NotAnMbox",
    "UnknownMessageId",
    "fetch_thread",
    "mbox_bytes",
    "parse_message_id",
    "read_mbox",
    "split",
]
