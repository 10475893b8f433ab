# SPDX-License-Identifier: GPL-2.0-or-later
"""What `git request-pull` writes into a mail: text in, where to fetch from out.

The text is a stranger's. Only URLs that make git talk to a server over the network are taken, and only names that git
cannot take for an option.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlparse

# Mailers wrap these sentences anywhere and leave blanks at the ends of lines; `_lines` takes the latter away.
_START = re.compile(
    r"^[^\S\n]*The\s+following\s+changes\s+since\s+commit\s+([0-9a-f]{7,40})\b", re.MULTILINE | re.IGNORECASE
)
_WHERE = re.compile(
    r"^[^\S\n]*(?:are|is)\s+available\s+in\s+the\s+git\s+repository\s+at:\s+"
    r"(\S+)[ \t]*(\S[^\n]*)?(?:\n[ \t]*(\S+)(?=\n|\Z))?",
    re.MULTILINE | re.IGNORECASE,
)
_TIP = re.compile(
    r"^[^\S\n]*for\s+you\s+to\s+fetch\s+changes\s+up\s+to\s+([0-9a-f]{7,40})\b", re.MULTILINE | re.IGNORECASE
)
_BLANKS = re.compile(r"[^\S\n]+$", re.MULTILINE)
_STAT = re.compile(r"^ (\S.*?)\s+\|\s+(?:\d+|Bin\b|Unmerged)", re.MULTILINE)
_MODE = re.compile(r"^ (?:create|delete) mode \d{6} (\S.*)$", re.MULTILINE)
_RENAMED = re.compile(r"^(.*?)\{(.*?) => (.*?)\}(.*)$")
# A page about a branch, as cgit, GitHub and GitLab have it.
_PAGE = re.compile(
    r"(https?://\S{1,500}?)/(?:-/)?(?:tree|log|commits)/(?:\?h=)?([^?#]{0,200})(?:\?h=([^&#]{0,200}))?\Z"
)
_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+@=-]*")
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*(:\d{1,5})?")
_SCHEMES = ("https", "http", "git")


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A request to pull, as far as it can be read."""

    url: str
    ref: str
    """Branch or tag; empty when the request names none."""
    base: str
    """Commit that the changes start after, full or abbreviated; empty if it is not said."""
    tip: str
    """Commit that the ref must be, full or abbreviated; empty if it is not said."""
    paths: tuple[str, ...]
    """Of the diffstat, as far as they are written out in full."""
    refused: str = ""
    """Why nothing may be fetched from there; empty: it may."""


def parse_pull(body: str) -> PullRequest | None:
    """The first request in a mail's text, or None."""
    text = _BLANKS.sub("", body)
    where = _WHERE.search(text)
    if where is None:
        return None
    start = _START.search(text)
    tip = _TIP.search(text, where.end(1))
    # A ref on the line below the URL, which a mailer put there.
    below = where[3] if where[3] and _REF.fullmatch(where[3]) else ""
    url, ref = where[1], where[2] or below
    if page := _PAGE.match(url):
        url, ref = page[1], ref or page[3] or page[2]
    return PullRequest(
        url=url,
        ref=ref,
        base=start[1] if start else "",
        tip=tip[1] if tip else "",
        paths=_paths(text[where.end(1) :]),
        refused=why_refused(url, ref),
    )


def why_refused(url: str, ref: str) -> str:
    """Why a URL or ref out of a mail may not be given to git; empty if it may."""
    if url.startswith("-"):
        return f"{url} looks like an option"
    if re.match(r"[^/]+@[^/]+:", url) or url.startswith("ssh://"):
        return f"{url} needs an account (ssh)"
    try:
        place = urlparse(url)
        port_is_good = place.port is None or place.port > 0
    except ValueError:
        return f"{url} is not a URL"
    if place.scheme not in _SCHEMES or "::" in url.split("/", 1)[0]:
        return f"{url} is not fetched: only https://, http:// and git:// URLs are accepted from a mail"
    if not port_is_good or not _HOST.fullmatch(place.netloc) or not place.path.strip("/"):
        return f"{url} names no repository on a server"
    if re.search(r"[\x00-\x20\x7f\\]", url):
        return f"{url!r} has characters that are not valid in a repository URL"
    if ref and (not _REF.fullmatch(ref) or ".." in ref or "@{" in ref or ref.endswith((".lock", "/", "."))):
        return f"{ref!r} is no name of a branch or tag"
    return ""


def _paths(text: str) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for match in [*_STAT.finditer(text), *_MODE.finditer(text)]:
        name = match[1].strip()
        renamed = _RENAMED.match(name)
        if renamed:
            before, old, new, after = renamed.groups()
            names = [f"{before}{old}{after}", f"{before}{new}{after}"]
        else:
            names = name.split(" => ")
        for path in names:
            # A name too long for the terminal was cut in front: it tells no place.
            if path and not path.startswith("..."):
                found[path.replace("//", "/")] = None
    return tuple(found)
