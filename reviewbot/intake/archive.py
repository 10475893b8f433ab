# SPDX-License-Identifier: GPL-2.0-or-later
"""A public-inbox server: whole threads by Message-ID, mails by search. Through liblore, politely.

Answers are kept for two minutes, so that a plan and the run after it ask once.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from reviewbot.intake.errors import ArchiveUnreachable, UnknownMessageId
from reviewbot.intake.mbox import Mailbag, split_mbox

if TYPE_CHECKING:
    from liblore.node import LoreNode

    from reviewbot.host.public import Reach

SEARCH_LIMIT = 500
"""Mails that one search may bring; the newest come first."""


class Archive:
    """url: base URL of a public-inbox. cache: folder for liblore's cache.

    reach: where it may be, if it was not the site that named it; its methods then raise NotPublic, too.
    """

    def __init__(self, url: str, cache: Path, reach: "Reach | None" = None) -> None:
        self.url = url.rstrip("/")
        self.cache = cache
        self.reach = reach
        self.queries = 0
        """How many questions were asked of it, cached answers included."""

    def thread(self, message_id: str, *, fresh: bool = False) -> Mailbag:
        """All mails of the thread that this mail is in. Raises UnknownMessageId, ArchiveUnreachable.

        fresh: ask the server even if its answer of a moment ago is in the cache.
        """
        data = self._ask(lambda node: node.get_mbox_by_msgid(message_id, nocache=fresh))
        if data is None:
            raise UnknownMessageId(message_id, self.url)
        mails, why = split_mbox(data)
        if not mails:
            raise ArchiveUnreachable(self.url, f"instead of mail, {why}")
        return Mailbag(f"{self.url}/{message_id}/", _linked(message_id, mails))

    def search(self, query: str, *, limit: int = SEARCH_LIMIT, fresh: bool = False) -> Mailbag:
        """Mails that match a query of public-inbox (`s:"title" AND f:address`, `patchid:…`); none is no error.

        Raises ArchiveUnreachable.
        """
        data = self._ask(lambda node: node.get_mbox_by_query(query, nocache=fresh))
        mails: tuple[bytes, ...] = ()
        if data:
            mails, why = split_mbox(data)
            if not mails:
                raise ArchiveUnreachable(self.url, f"instead of mail, {why}")
        return Mailbag(f"{self.url}/?q={query}", mails[:limit])

    def _ask(self, question: "Callable[[LoreNode], bytes]") -> bytes | None:
        """None: it answered that it has no such thing."""
        from reviewbot.intake.transport import ask  # requests and liblore cost 0.1 s, and a mailbox needs neither

        self.queries += 1
        return ask(self.url, self.cache, question, self.reach)


_UNFOLD = re.compile(rb"\n[ \t]+")
_LINKS = re.compile(rb"^(?:message-id|in-reply-to|references):[^\n]*", re.IGNORECASE | re.MULTILINE)
_IDS = re.compile(rb"<[^<>\s]+>")


def _linked(message_id: str, mails: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Without mails of other threads: public-inbox adds those with the very subject of the mail that was asked for.

    `[PATCH 1/2] fuse: x` is in each version of some series, and what it answers there is not among these mails.
    """
    headers = [_UNFOLD.sub(b" ", raw.split(b"\n\n", 1)[0]) for raw in mails]
    named = [{found for line in _LINKS.findall(head) for found in _IDS.findall(line)} for head in headers]
    thread, size = {f"<{message_id}>".encode()}, 0
    if not any(thread & ids for ids in named):
        return mails
    while len(thread) > size:
        size = len(thread)
        thread = thread.union(*(ids for ids in named if ids & thread))
    return tuple(raw for raw, ids in zip(mails, named, strict=True) if not ids or ids & thread)
