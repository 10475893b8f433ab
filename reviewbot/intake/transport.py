# SPDX-License-Identifier: GPL-2.0-or-later
"""One question to a public-inbox server, through liblore."""

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
from reviewbot.host.public import Reach, session
from reviewbot.intake.errors import ArchiveUnreachable

# liblore tells of each server it tries; the user hears the one line in the end.
logging.getLogger("liblore").setLevel(logging.CRITICAL)

_TTL = 120
"""Seconds for which an answer is kept."""


class _Searching(requests.Session):
    """Searches with an empty body, as public-inbox documents them (`curl -d ''`).

    liblore sends `x=m` as the body, too; public-inbox 1.9 then answers with the whole inbox.
    """

    def __init__(self) -> None:
        super().__init__()
        self.headers["User-Agent"] = f"reviewbot/{__version__}"

    def post(self, url: str | bytes, data: Any = None, json: Any = None, **kwargs: Any) -> requests.Response:
        return super().post(url, data=None, json=json, **kwargs)


def _session(reach: Reach | None) -> requests.Session:
    made = _Searching()
    if reach is not None:
        made.adapters = session(reach).adapters
    return made


def ask(url: str, cache: Path, question: Callable[[LoreNode], bytes], reach: Reach | None) -> bytes | None:
    """What it answers; None when it says that it has no such thing. Raises ArchiveUnreachable, NotPublic.

    reach: where the server, and its redirections, may be; None: anywhere.
    """
    cache.mkdir(parents=True, exist_ok=True)
    try:
        with _session(reach) as asking, LoreNode(url, cache_dir=str(cache), cache_ttl=_TTL) as node:
            node.set_requests_session(asking)
            return question(node)
    except LookupError:
        return None
    except RemoteError as error:
        if error.status_code == 404:
            return None
        raise ArchiveUnreachable(url, _words(error)) from error
    except (LibloreError, OSError, EOFError, ValueError, zlib.error) as error:
        raise ArchiveUnreachable(url, (str(error).splitlines() or [type(error).__name__])[0]) from error


def _words(error: RemoteError) -> str:
    """`Connection refused` out of three layers of exceptions."""
    if error.status_code:
        return f"the server returned status {error.status_code}"
    said = str(error) or "no answer"
    inner = re.findall(r"\[Errno -?\d+\] ([A-Za-z][^'\")]*)", said) or re.findall(r"([A-Z]\w+ timed out)", said)
    return str(inner[-1]) if inner else said.splitlines()[0][:200]
