# SPDX-License-Identifier: GPL-2.0-or-later
"""What a cover or patch says of base, identity and prerequisites, in the places where git and b4 put it.

In a patch that is between `---` and the diff, and after the diff; never the commit message, a quoted line or a line
of the diff. In a cover it is any line. Formats: `git format-patch --base`, b4's cover template, `Based-on:` and
`Supersedes:` of patchew, `Depends-on:` of Patchwork.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from reviewbot.intake.diff import HUNK
from reviewbot.model.posting import Declared, PrerequisiteKind

_TRAILER = re.compile(
    r"^(base[- ]commit|change-id|prerequisite-(?:patch|change|message)-id|based-on|depends-on|supersedes):"
    r"[ \t]+(\S.*)$",
    re.IGNORECASE | re.MULTILINE,
)
_COMMIT = re.compile(r"[0-9a-f]{12,64}")
_SHORT = re.compile(r"[0-9a-f]{7,11}")
_REF = re.compile(r"(?!.*(?:\.\.|//|\.lock$))[A-Za-z0-9][\w./+-]{0,99}(?<![./])")
_CHANGE_ID = re.compile(r"[\w.+@-]+")
_ANGLED = re.compile(r"<([^<>\s]+@[^<>\s]+)>")
_IN_URL = re.compile(r"https?://\S*?/([^\s<>/?#]+(?:@|%40)[^\s<>/?#]+)")
_BARE = re.compile(r"(?<![\w/<])(?:id:)?([^\s<>/,;()\"']+@[^\s<>/,;()\"']+)")
_KINDS: dict[str, PrerequisiteKind] = {
    "prerequisite-patch-id": "patch-id", "prerequisite-change-id": "change-id",
    "prerequisite-message-id": "message-id", "based-on": "message-id", "depends-on": "message-id",
}  # fmt: skip
_SPELLED = {"based-on": "Based-on", "depends-on": "Depends-on"}


@dataclass(frozen=True, slots=True)
class Trailers:
    """What was found, in its order."""

    base_commit: str | None = None
    change_id: str | None = None
    declared: tuple[Declared, ...] = ()
    supersedes: tuple[str, ...] = ()
    """Message-IDs of older versions."""


def read_trailers(body: str, *, has_diff: bool) -> Trailers:
    """body: the mail's text, decoded, with plain newlines."""
    if _TRAILER.search(body) is None:
        return Trailers()
    text = "\n".join(_outside(body)) if has_diff else body
    base = change = None
    declared: dict[tuple[str, str], Declared] = {}
    supersedes: dict[str, None] = {}
    for match in _TRAILER.finditer(text):
        name, value = match[1].lower().replace(" ", "-"), match[2].strip()
        if name == "base-commit":
            base = base or _base(value)
        elif name == "change-id":
            change = change or (value if _CHANGE_ID.fullmatch(value) else None)
        elif name == "supersedes":
            supersedes |= dict.fromkeys(message_ids(value))
        elif name == "based-on" and not message_ids(value) and (commit := _base(value)):
            base = base or commit  # patchew's names a mail; people write a tag or a commit
        else:
            for wanted in _values(_KINDS[name], value):
                entry = Declared(kind=_KINDS[name], value=wanted, trailer=_SPELLED.get(name, name))
                declared.setdefault((entry.kind, entry.value), entry)
    return Trailers(base, change, tuple(declared.values()), tuple(supersedes))


def _base(value: str) -> str | None:
    """A commit, whole or shortened, whatever is said behind it; or a tag or branch that stands alone."""
    first, *more = (word.strip("<>()[]{},;\"'`") for word in value.split())
    if _COMMIT.fullmatch(first.lower()) or (not more and _SHORT.fullmatch(first.lower())):
        return first.lower()
    return first if not more and _REF.fullmatch(first) else None


def message_ids(value: str) -> list[str]:
    """All Message-IDs in `<…>`, in URLs of archives, or bare; `("a title")` beside them is none."""
    if angled := _ANGLED.findall(value):
        return [str(found) for found in angled]
    if urls := _IN_URL.findall(value):
        return [str(found).replace("%40", "@").replace("%2F", "/").replace("%2B", "+") for found in urls]
    return [str(found) for found in _BARE.findall(value)]


def _values(kind: PrerequisiteKind, value: str) -> list[str]:
    """What cannot be read stays as it was written: it must be named as missing, not be forgotten."""
    if kind == "message-id":
        return message_ids(value) or [value]
    return [value.lower() if kind == "patch-id" else value]


def _outside(body: str) -> Iterator[str]:
    """Lines of a patch mail that belong neither to the commit message nor to the diff's hunks."""
    started = False
    old_left = new_left = 0
    for line in body.split("\n"):
        if old_left > 0 or new_left > 0:
            old_left -= line[:1] in ("-", " ", "")
            new_left -= line[:1] in ("+", " ", "")
        elif not started:
            started = line.rstrip() == "---" or line.startswith(("diff --git ", "--- a/"))
        elif match := HUNK.match(line):
            old_left, new_left = int(match[1] or 1), int(match[2] or 1)
        else:
            yield line
