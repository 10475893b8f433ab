# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole thread from a public-inbox server, through liblore."""

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

from reviewbot import __version__
from reviewbot.intake.errors import ArchiveUnreachable, UnknownMessageId
from reviewbot.intake.mbox import Mailbag, split_mbox
from reviewbot.model.progress import Event, Progress, silent

if TYPE_CHECKING:
    from liblore import RemoteError

# liblore tells of each server it tries; the user hears the one line in the end.
logging.getLogger("liblore").setLevel(logging.CRITICAL)


def fetch_thread(
    message_id: str, archive: str, cache: Path, progress: Progress = silent, *, inbox: str = ""
) -> Mailbag:  # fmt: skip
    """All mails of the thread that this mail is in. Raises UnknownMessageId, ArchiveUnreachable.

    archive: base URL of a public-inbox. cache: folder for liblore's cache of some minutes.
    inbox: base URL of another public-inbox, asked when the archive does not know the mail.
    """
    try:
        return _fetch(message_id, archive, cache)
    except UnknownMessageId:
        if not inbox or inbox.rstrip("/") == archive.rstrip("/"):
            raise
        progress(Event("intake", "thread", "note", f"{archive} does not have it; asking {inbox}"))
        return _fetch(message_id, inbox, cache)


def _fetch(message_id: str, archive: str, cache: Path) -> Mailbag:
    # It brings requests along: 60 ms, and a thread that is in a file needs neither.
    from liblore import LibloreError, RemoteError
    from liblore.node import LoreNode

    cache.mkdir(parents=True, exist_ok=True)
    try:
        with LoreNode(archive, cache_dir=str(cache), cache_ttl=120) as node:
            node.set_user_agent("reviewbot", __version__)
            data = node.get_mbox_by_msgid(message_id)
    except LookupError as error:
        raise UnknownMessageId(message_id, archive) from error
    except RemoteError as error:
        if error.status_code == 404:
            raise UnknownMessageId(message_id, archive) from error
        raise ArchiveUnreachable(archive, _words(error)) from error
    except (LibloreError, OSError, EOFError, ValueError) as error:
        raise ArchiveUnreachable(archive, (str(error).splitlines() or [type(error).__name__])[0]) from error
    mails, why = split_mbox(data)
    if not mails:
        raise ArchiveUnreachable(archive, f"instead of mail, {why}")
    return Mailbag(f"{archive.rstrip('/')}/{message_id}/", mails)


def _words(error: "RemoteError") -> str:
    """`Connection refused` out of three layers of exceptions."""
    if error.status_code:
        return f"it answered with status {error.status_code}"
    said = str(error) or "no answer"
    inner = re.findall(r"\[Errno -?\d+\] ([A-Za-z][^'\")]*)", said) or re.findall(r"([A-Z]\w+ timed out)", said)
    return str(inner[-1]) if inner else said.splitlines()[0][:200]
