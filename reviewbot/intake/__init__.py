# SPDX-License-Identifier: GPL-2.0-or-later
"""Message-ID or mbox in, Posting out: fetch, thread tree, parts, routing.

Out: a `Posting` and the bytes of its mails, keyed by Message-ID.
Must not know: repositories, builds, machines.
"""

from reviewbot.intake.errors import (
    ArchiveUnreachable,
    NoPatches,
    NotAnMbox,
    PatchworkUnreachable,
    SeveralPostings,
    UnknownMessageId,
    UnknownPatchworkItem,
)
from reviewbot.intake.fetch import fetch_thread
from reviewbot.intake.join import join, leave_out_rfc, split
from reviewbot.intake.mbox import Mailbag, mbox_bytes, read_mbox
from reviewbot.intake.names import MessageId, NotAName, PatchworkItem, parse_name
from reviewbot.intake.split import Intake, Piece, pieces
from reviewbot.intake.take_in import Ask, take_in

__all__ = [
    "ArchiveUnreachable",
    "Ask",
    "Intake",
    "Mailbag",
    "MessageId",
    "NoPatches",
    "NotAName",
    "NotAnMbox",
    "PatchworkItem",
    "PatchworkUnreachable",
    "Piece",
    "SeveralPostings",
    "UnknownMessageId",
    "UnknownPatchworkItem",
    "fetch_thread",
    "join",
    "leave_out_rfc",
    "mbox_bytes",
    "parse_name",
    "pieces",
    "read_mbox",
    "split",
    "take_in",
]
