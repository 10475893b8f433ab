# SPDX-License-Identifier: GPL-2.0-or-later
"""Words of strangers, made fit to be shown."""

import unicodedata

LINE = 300
"""Longest message, characters."""
DETAIL_LINES = 12
_DIRECTION = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


def plain(text: str) -> str:
    """Without control characters, which steer terminals, and without those that turn the order of the text.

    Tabs and line ends stay; what goes leaves a replacement character.
    """
    text = text.replace("\r\n", "\n")
    return "".join(
        c if c in "\n\t" or not (unicodedata.category(c) in ("Cc", "Cs") or c in _DIRECTION) else "\ufffd" for c in text
    )


def one_line(text: str, limit: int = LINE) -> str:
    """Plain, with blanks of all kinds as single spaces, at most `limit` characters."""
    line = " ".join(plain(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def some_lines(text: str, count: int = DETAIL_LINES) -> str:
    """Plain, at most `count` lines of at most LINE characters."""
    lines = [line if len(line) <= LINE else line[: LINE - 1] + "…" for line in plain(text).strip("\n").split("\n")]
    if len(lines) > count:
        lines = [*lines[: count - 1], f"… {len(lines) - count + 1} more lines"]
    return "\n".join(line.rstrip() for line in lines)
