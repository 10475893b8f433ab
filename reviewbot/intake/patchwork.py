# SPDX-License-Identifier: GPL-2.0-or-later
"""Message-IDs of what Patchwork knows by number, from its REST API (version 1.2, https://patchwork.readthedocs.io)."""

import json
from typing import TYPE_CHECKING, Any

from reviewbot import __version__
from reviewbot.host.public import Reach, session
from reviewbot.intake.errors import PatchworkUnreachable, UnknownPatchworkItem
from reviewbot.intake.names import PatchworkItem

if TYPE_CHECKING:
    import requests

_MAX_BYTES = 8 << 20
_TIMEOUT = (10.0, 30.0)


def message_id_of(item: PatchworkItem, reach: Reach) -> str:
    """Of the patch or cover, or of the series' cover (its first patch, if there is no cover).

    reach: where the server, and its redirections, may be. Raises NotPublic, too.

    Raises UnknownPatchworkItem, PatchworkUnreachable.
    """
    # Patches and covers share their numbers; a link to a cover may say patch.
    kinds = ("patches", "covers") if item.kind == "patches" else (item.kind,)
    for kind in kinds:
        answer = _get(item, kind, reach)
        if answer is not None:
            found = _cover_or_first(answer) if kind == "series" else answer.get("msgid")
            if isinstance(found, str) and "@" in found:
                return found.strip().removeprefix("<").removesuffix(">")
            raise PatchworkUnreachable(item.server, f"its entry for {kind}/{item.number} names no mail")
    raise UnknownPatchworkItem(item.server, item.kind, item.number)


def _cover_or_first(series: dict[str, Any]) -> object:
    cover = series.get("cover_letter")
    patches = series.get("patches")
    for mail in [cover, *(patches if isinstance(patches, list) else [])]:
        if isinstance(mail, dict) and mail.get("msgid"):
            return mail["msgid"]
    return None


def _get(item: PatchworkItem, kind: str, reach: Reach) -> dict[str, Any] | None:
    """The JSON object, or None if there is no such thing."""
    import requests  # 50 ms that only a name of Patchwork costs

    url = f"{item.server}/api/1.2/{kind}/{item.number}/"
    try:
        with (
            session(reach) as asking,
            asking.get(
                url,
                headers={"Accept": "application/json", "User-Agent": f"reviewbot/{__version__}"},
                timeout=_TIMEOUT,
                stream=True,
            ) as answer,
        ):
            if answer.status_code == 404:
                return None
            if not answer.ok:
                raise PatchworkUnreachable(item.server, f"the server returned status {answer.status_code}")
            data = answer.raw.read(_MAX_BYTES, decode_content=True)
    except requests.RequestException as error:
        raise PatchworkUnreachable(item.server, _words(error)) from error
    except (OSError, ValueError) as error:
        raise PatchworkUnreachable(item.server, str(error)) from error
    try:
        found = json.loads(data)
    except ValueError as error:
        raise PatchworkUnreachable(item.server, "the server did not return JSON") from error
    if not isinstance(found, dict):
        raise PatchworkUnreachable(item.server, "the server did not return a JSON object")
    return found


def _words(error: "requests.RequestException") -> str:
    import requests

    if isinstance(error, requests.Timeout):
        return "the server did not respond in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "TLS failed"
    inner: object = error
    for said in ("Connection refused", "Name or service not known", "Temporary failure in name resolution"):
        if said in str(inner):
            return said
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
