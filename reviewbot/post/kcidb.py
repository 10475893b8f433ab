# SPDX-License-Identifier: GPL-2.0-or-later
"""A run to KernelCI's database, by its tools' own setting: KCIDB_REST=https://TOKEN@HOST/submit."""

import json
import os
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from reviewbot.model.errors import UsageError
from reviewbot.post.outbox import Item, NotTaken, Outbox
from reviewbot.post.web import Server

KCIDB = "kcidb"
"""Channel of the outbox."""


@dataclass(frozen=True, slots=True)
class KcidbSettings:
    """Where to, and by which right."""

    url: str
    """Without the token."""
    token: str


def kcidb_settings() -> KcidbSettings:
    """Raises UsageError when there are none."""
    given = os.environ.get("KCIDB_REST", "")
    parts = urlsplit(given)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError("KCIDB_REST is not set", hint="KCIDB_REST=https://TOKEN@db.kernelci.org/submit")
    host = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
    return KcidbSettings(urlunsplit((parts.scheme, host, parts.path or "/submit", "", "")), parts.username or "")


def put_submission(content: bytes, run: str, outbox: Outbox, url: str, topic: str) -> Item:
    """kcidb.json of a run, in the outbox. Raises UsageError when kcidb-io does not take it."""
    check(content)
    about = f"run {run}"
    return outbox.put(f"kcidb {url} {run}", KCIDB, run=run, topic=topic, about=about, goes_to=url, payload=content)


def check(content: bytes) -> None:
    """Raises UsageError when it is no submission by kcidb-io's own schema."""
    import jsonschema
    from kcidb_io import schema

    try:
        schema.LATEST.validate(json.loads(content))
    except (ValueError, jsonschema.ValidationError) as error:
        raise UsageError(f"kcidb.json is not a valid submission: {str(error).splitlines()[0]}") from error


class Kcidb:
    """A server that takes submissions."""

    def __init__(self, settings: KcidbSettings) -> None:
        self._url = settings.url
        self._server = Server(f"Bearer {settings.token}" if settings.token else "")

    def carry(self, item: Item) -> str:
        """One submission. Raises NotTaken; OSError when it may have arrived: KCIDB cannot be asked what it has."""
        answer = self._server.post(self._url, json.loads(item.payload), blind=True)
        status = answer.get("status") if isinstance(answer, dict) else None
        if status == "error":
            raise NotTaken(str(answer.get("message", "it reports `error`"))[:200], again=False)
        return ""
