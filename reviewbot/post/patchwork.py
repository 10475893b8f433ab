# SPDX-License-Identifier: GPL-2.0-or-later
"""Results of single patches, to a Patchwork (REST 1.2), by b4's own settings."""

import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from reviewbot.model.checks import PatchCheck, PatchChecks
from reviewbot.model.errors import UsageError
from reviewbot.post.outbox import Item, NotTaken, Outbox
from reviewbot.post.settings import config
from reviewbot.post.web import Server

PATCHWORK = "patchwork"
"""Channel of the outbox."""


@dataclass(frozen=True, slots=True)
class PatchworkSettings:
    """Of git's `b4.pw-url`, `b4.pw-project` and `b4.pw-key`."""

    url: str
    project: str
    key: str


def patchwork_settings() -> PatchworkSettings:
    """Raises UsageError when one is missing."""
    found = config(Path.cwd(), "b4")
    values = [found.get(f"b4.pw-{name}", "") for name in ("url", "project", "key")]
    for name, value in zip(("url", "project", "key"), values, strict=True):
        if not value or value.splitlines() != [value]:
            raise UsageError(f"git has no b4.pw-{name}", hint="set it as for b4: b4.pw-url, b4.pw-project, b4.pw-key")
    if urlsplit(values[0]).scheme not in ("http", "https"):
        raise UsageError(f"b4.pw-url is not a URL: {values[0]}")
    return PatchworkSettings(values[0].rstrip("/"), values[1], values[2])


def put_checks(checks: PatchChecks, url: str, outbox: Outbox, topic: str) -> tuple[Item, ...]:
    """What is to be sent to the server at `url`, in the outbox. The same result is there once."""
    found = []
    for check in checks.checks:
        payload = json.dumps(check.model_dump(), sort_keys=True, ensure_ascii=False).encode("utf-8", "replace")
        digest = hashlib.sha256(payload).hexdigest()[:32]
        about = f"{check.state} {check.context}: {check.message_id}"
        found.append(
            outbox.put(
                f"patchwork {url} {digest}",
                PATCHWORK,
                run=checks.run,
                topic=topic,
                about=about,
                goes_to=url,
                payload=payload,
            )
        )
    return tuple(found)


class Patchwork:
    """A server that takes checks."""

    def __init__(self, settings: PatchworkSettings) -> None:
        self._settings = settings
        self._server = Server(f"Token {settings.key}")
        self._patch = functools.cache(self._find)

    def carry(self, item: Item) -> str:
        """One check. Raises NotTaken. The server keeps all that it gets, so the last one is looked at first."""
        check = PatchCheck.model_validate_json(item.payload)
        patch = f"{self._settings.url}/api/1.2/patches/{self._patch(check.message_id)}/checks/"
        there = [
            one
            for one in _objects(self._server.get(patch, per_page="250", context=check.context))
            if one.get("context") == check.context
        ]
        newest = max(there, key=lambda one: str(one.get("date", "")), default={})
        if (newest.get("state"), newest.get("target_url") or "") == (check.state, check.target_url):
            return "it exists"
        fields = {"state": check.state, "context": check.context, "description": check.description}
        self._server.post(patch, fields | ({"target_url": check.target_url} if check.target_url else {}))
        return ""

    def _find(self, message_id: str) -> int:
        """Number of a patch. Raises NotTaken."""
        url = f"{self._settings.url}/api/1.2/patches/"
        for one in _objects(self._server.get(url, project=self._settings.project, msgid=message_id)):
            if str(one.get("msgid", "")).strip("<>") == message_id and isinstance(one.get("id"), int):
                return int(one["id"])
        raise NotTaken(f"project {self._settings.project} has no patch {message_id}", again=False)


def _objects(answer: Any) -> list[dict[str, Any]]:
    return [one for one in answer if isinstance(one, dict)] if isinstance(answer, list) else []
