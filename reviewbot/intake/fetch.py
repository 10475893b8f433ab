# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole thread from a public-inbox server."""

from pathlib import Path

from reviewbot.host.public import Reach
from reviewbot.intake.archive import Archive
from reviewbot.intake.errors import UnknownMessageId
from reviewbot.intake.mbox import Mailbag
from reviewbot.model.progress import Event, Progress, silent


def fetch_thread(
    message_id: str,
    archive: str,
    cache: Path,
    progress: Progress = silent,
    *,
    inbox: str = "",
    fresh: bool = False,
    reach: Reach | None = None,
) -> Mailbag:
    """All mails of the thread that this mail is in. Raises UnknownMessageId, ArchiveUnreachable.

    archive: base URL of a public-inbox. cache: folder for liblore's cache of some minutes; fresh: do not use it.
    inbox: base URL of another public-inbox, asked when the archive does not know the mail. reach: where that may be.
    """
    try:
        return Archive(archive, cache).thread(message_id, fresh=fresh)
    except UnknownMessageId:
        if not inbox or inbox.rstrip("/") == archive.rstrip("/"):
            raise
        progress(Event("intake", "thread", "note", f"not found in {archive}; trying {inbox}"))
        return Archive(inbox, cache, reach).thread(message_id, fresh=fresh)
