# SPDX-License-Identifier: GPL-2.0-or-later
"""Mails with a diff as patches, with the names that git gives their contents."""

from collections.abc import Iterable

from reviewbot.host.git import patch_ids
from reviewbot.intake.diff import preimage_blobs
from reviewbot.intake.mail import Mail
from reviewbot.model.posting import Patch


def identify(mails: Iterable[Mail]) -> dict[str, str]:
    """Message-ID -> `git patch-id --stable`; empty where git finds no patch. One process for all."""
    listed = list(mails)
    found = patch_ids([mail.patch.text.encode(errors="surrogateescape") for mail in listed])
    return dict(zip((mail.id for mail in listed), found, strict=True))


def patch_of(mail: Mail, patch_id: str) -> Patch:
    """The model of a mail with a diff."""
    return Patch(
        message_id=mail.id,
        subject=mail.subject.text,
        author=mail.author,
        number=mail.subject.number or 1,
        paths=mail.paths,
        blobs=preimage_blobs(mail.patch.text),
        patch_id=patch_id,
    )
