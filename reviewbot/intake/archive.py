# SPDX-License-Identifier: GPL-2.0-or-later
"""A public-inbox server: whole threads by Message-ID, mails by search. Through liblore, politely.

Answers are kept for two minutes, so that a plan and the run after it ask once.
"""

import logging
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
from liblore import LibloreError, RemoteError
from liblore.node import LoreNode

from reviewbot import __version__
from reviewbot.intake.errors import ArchiveUnreachable, UnknownMessageId
from reviewbot.intake.mbox import Mailbag, split_mbox

# liblore tells of each server it tries; the user hears the one line in the end.
logging.getLogger("liblore").setLevel(logging.CRITICAL)

_TTL = 120
"""Seconds for which an answer is kept."""
SEARCH_LIMIT = 500
"""Mails that one search may bring; the newest come first."""


class _Session(requests.Session):
    """Searches with an empty body, as public-inbox documents them (`curl -d ''`).

    liblore sends `x=m` as the body, too; public-inbox 1.9 then answers with the whole inbox.
    """

    def __init__(self) -> None:
        super().__init__()
        self.headers["User-Agent"] = f"reviewbot/{__version__}"

    def post(self, url: str | bytes, data: Any = None, json: Any = None, **kwargs: Any) -> requests.Response:
        return super().post(url, data=None, json=json, **kwargs)


class Archive:
    """url: base URL of a public-inbox. cache: folder for liblore's cache."""

    def __init__(self, url: str, cache: Path) -> None:
        self.url = url.rstrip("/")
        self.cache = cache
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
        return Mailbag(f"{self.url}/{message_id}/", mails)

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

    def _ask(self, question: Callable[[LoreNode], bytes]) -> bytes | None:
        """None: it answered that it has no such thing."""
        self.queries += 1
        self.cache.mkdir(parents=True, exist_ok=True)
        try:
            with _Session() as session, LoreNode(self.url, cache_dir=str(self.cache), cache_ttl=_TTL) as node:
                node.set_requests_session(session)
                return question(node)
        except LookupError:
            return None
        except RemoteError as error:
            if error.status_code == 404:
                return None
            raise ArchiveUnreachable(self.url, _words(error)) from error
        except (LibloreError, OSError, EOFError, ValueError, zlib.error) as error:
            raise ArchiveUnreachable(self.url, (str(error).splitlines() or [type(error).__name__])[0]) from error


def _words(error: RemoteError) -> str:
    """`Connection refused` out of three layers of exceptions."""
    if error.status_code:
        return f"it answered with status {error.status_code}"
    said = str(error) or "no answer"
    inner = re.findall(r"\[Errno -?\d+\] ([A-Za-z][^'\")]*)", said) or re.findall(r"([A-Z]\w+ timed out)", said)
    return str(inner[-1]) if inner else said.splitlines()[0][:200]
