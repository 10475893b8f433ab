# SPDX-License-Identifier: GPL-2.0-or-later
"""What people type or paste to name a series: text in, a Message-ID or a Patchwork number out.

Nothing here asks anybody; `reviewbot.intake.patchwork` turns a number into a Message-ID.
"""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import ParseResult, parse_qs, unquote, urlparse

from reviewbot.model.errors import UsageError

_ID = re.compile(r"[^\s<>@/]+[^\s<>@]*@[^\s<>@/]+")
# As search boxes (`id:`, `rfc822msgid:`), RFC 2392 (`mid:`), and headers and trailers that were copied whole.
_PREFIX = re.compile(
    r"^\s*(id|mid|msgid|rfc822msgid|message-id|in-reply-to|link|closes|patch\.msgid\.link)\s*:\s*(?!//)", re.I
)
_SCHEMELESS = re.compile(r"^[a-z0-9-]+(\.[a-z0-9-]+)+/\S", re.I)
_ANCHOR = re.compile(r"^m([0-9a-f]{40})$")
_NUMBERED = re.compile(
    r"^(?P<base>.*?)(/project/[^/]+)?/(?P<kind>patch|cover|series|patches|covers)/(?P<id>\d{1,12})(/|$)"
)
_API = re.compile(r"/api(/\d+\.\d+)?$")
_LIST = re.compile(r"^(?P<base>.*?)/project/[^/]+/list/?$")
# Hosts that lead to lore by redirections and are no archives themselves.
_REDIRECTORS = ("lore.kernel.org", "msgid.link")

PatchworkKind = Literal["patches", "covers", "series"]
_KINDS: dict[str, PatchworkKind] = {
    "patch": "patches", "patches": "patches", "cover": "covers", "covers": "covers", "series": "series",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class MessageId:
    """One mail."""

    id: str
    """Without angle brackets, percent-decoded."""
    anchor: str = ""
    """SHA-1 of the Message-ID of the mail that a thread page's `#m…` points to, in hex."""
    inbox: str = ""
    """Base URL of the public-inbox in whose URL it was named, if that is not lore."""


@dataclass(frozen=True, slots=True)
class PatchworkItem:
    """Something that a Patchwork server knows by its number."""

    server: str
    """Base URL, without a slash at the end."""
    kind: PatchworkKind
    number: int


Name = MessageId | PatchworkItem


class NotAName(UsageError):
    """The text names no mail and no series."""

    def __init__(self, text: str, why: str = "is not a Message-ID") -> None:
        super().__init__(
            f"{text!r} {why}",
            hint="a Message-ID looks like 20260223224617.GA2390314@example.org; lore and Patchwork URLs work, too",
        )
        self.text = text


def parse_name(text: str) -> Name:
    """A bare id, `<id>`, `id:…`, or the URL of a mail in a public-inbox or Patchwork. Raises NotAName."""
    given = text.strip().strip('"').strip()
    while match := _PREFIX.match(given):
        given = given[match.end() :]
    given = given.strip().removeprefix("<").removesuffix(">")
    if _SCHEMELESS.match(given) and "@" not in given.split("/", 1)[0]:
        given = f"https://{given}"
    if "://" in given:
        return _of_url(given, text)
    for candidate in (given, unquote(given)):
        if _ID.fullmatch(candidate):
            return MessageId(candidate)
    raise NotAName(text)


def _of_url(url: str, text: str) -> Name:
    try:
        place = urlparse(url)
        host = place.hostname or ""
    except ValueError as error:
        raise NotAName(text, f"is not a URL: {error}") from error
    if place.scheme not in ("http", "https", "nntp", "imap", "imaps"):
        raise NotAName(text, f"names no mail: {place.scheme}:// URLs do not point to mail")
    segments = place.path.split("/")
    for number, segment in enumerate(segments):
        found = unquote(segment).strip().removeprefix("<").removesuffix(">")
        if _ID.fullmatch(found):
            anchor = _ANCHOR.match(place.fragment)
            return MessageId(found, anchor[1] if anchor else "", _inbox(place, host, segments[:number]))
    item = _numbered(place)
    if item is None:
        raise NotAName(text, "names no mail: it contains neither a Message-ID nor a Patchwork number")
    return item


def _inbox(place: ParseResult, host: str, before: list[str]) -> str:
    redirects = any(host == name or host.endswith(f".{name}") for name in _REDIRECTORS)
    if redirects or place.scheme not in ("http", "https") or {"patch", "cover"} & set(before):
        return ""
    return f"{place.scheme}://{place.netloc}{'/'.join(before)}"


def _numbered(place: ParseResult) -> PatchworkItem | None:
    root = f"{place.scheme}://{place.netloc}"
    if place.scheme not in ("http", "https"):
        return None
    if match := _LIST.match(place.path):
        series = parse_qs(place.query).get("series", [""])[0]
        return PatchworkItem(root + match["base"], "series", int(series)) if re.fullmatch(r"\d{1,12}", series) else None
    if match := _NUMBERED.match(place.path):
        return PatchworkItem(root + _API.sub("", match["base"]), _KINDS[match["kind"]], int(match["id"]))
    return None
