# SPDX-License-Identifier: GPL-2.0-or-later
"""Message-ID or mbox in, Posting out: fetch, thread tree, parts, routing, versions, prerequisites, attestation.

Out: a `Posting` and the bytes of its mails, keyed by Message-ID.
Must not know: repositories, builds, machines.
"""

from reviewbot.intake.archive import Archive
from reviewbot.intake.attest import attest
from reviewbot.intake.errors import (
    ArchiveUnreachable,
    NoPatches,
    NotAnMbox,
    NothingArrived,
    PatchworkUnreachable,
    SeveralPostings,
    UnknownMessageId,
    UnknownPatchworkItem,
)
from reviewbot.intake.fetch import fetch_thread
from reviewbot.intake.join import join, leave_out_rfc, split
from reviewbot.intake.latest import take_latest
from reviewbot.intake.mail import parse_mail
from reviewbot.intake.mbox import Mailbag, mbox_bytes, read_mbox
from reviewbot.intake.names import MessageId, NotAName, PatchworkItem, parse_name
from reviewbot.intake.prerequisites import resolve_prerequisites
from reviewbot.intake.split import Intake, Piece, pieces
from reviewbot.intake.take_in import Ask, take_in
from reviewbot.intake.versions import find_versions
from reviewbot.intake.wait import wait_complete

__all__ = [
    "Archive",
    "ArchiveUnreachable",
    "Ask",
    "Intake",
    "Mailbag",
    "MessageId",
    "NoPatches",
    "NotAName",
    "NotAnMbox",
    "NothingArrived",
    "PatchworkItem",
    "PatchworkUnreachable",
    "Piece",
    "SeveralPostings",
    "UnknownMessageId",
    "UnknownPatchworkItem",
    "attest",
    "fetch_thread",
    "find_versions",
    "join",
    "leave_out_rfc",
    "mbox_bytes",
    "parse_mail",
    "parse_name",
    "pieces",
    "read_mbox",
    "resolve_prerequisites",
    "split",
    "take_in",
    "take_latest",
    "wait_complete",
]
