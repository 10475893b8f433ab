# SPDX-License-Identifier: GPL-2.0-or-later
"""Small words that several steps say."""

import re
from collections.abc import Sequence

_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069"
    r"\u061c\u200b\u200e\u200f\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_PREFIXES = re.compile(r"^(?:\[[^]]*\]\s*)+")


def plain(text: str) -> str:
    """Without control characters, marks of direction and what nobody sees; newlines and tabs stay."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def flat(text: str) -> str:
    """`plain`, on one line: a newline or tab becomes a blank."""
    return re.sub(r"[\n\t]", " ", plain(text))


def one_line(text: str, limit: int = 200) -> str:
    """On one line, not longer than `limit`."""
    short = " ".join(plain(text).split())
    return short if len(short) <= limit else short[: limit - 1] + "…"


def counted(number: int, noun: str) -> str:
    """`1 patch`, `3 patches`, `0 parts`."""
    ending = "es" if noun.endswith(("s", "sh", "ch", "x")) else "s"
    return f"{number} {noun}" if number == 1 else f"{number} {noun}{ending}"


def test_name(suite: str, test: str) -> str:
    """`smoke/rename`, and `generic/001` of fstests, whose names have a folder already: as the command line takes it."""
    return test if suite == "fstests" else f"{suite}/{test}"


def patch_name(component: str, part: str, number: int, total: int, kind: str = "patch") -> str:
    """`kernel patch 3/10`, `kernel part 4/9 patch 3/33`: the one way to name a patch. kind: `commit`, …"""
    where = "" if part in ("", "1/1") else f"part {part} "
    return f"{component} {where}{kind} {number}/{total}"


def place(file: str, line: int = 0) -> str:
    """`fs/fuse/file.c:12`, `fs/fuse/file.c`, or nothing."""
    return f"{file}:{line}" if file and line else file


def split_place(text: str) -> tuple[str, int]:
    """File and line of what a tool printed as `file:line`; line 0 if there is none."""
    file, colon, line = text.rpartition(":")
    return (file, int(line)) if colon and line.isdigit() and len(line) < 10 else (text, 0)


def untagged(subject: str) -> str:
    """A subject without its bracketed prefixes, unless there is nothing else."""
    return _PREFIXES.sub("", subject) or subject


def about(seconds: float) -> str:
    """`40 s`, `48 min`, `2 h 10 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def sized(size: float) -> str:
    """Bytes as people read them: `3 KiB`, `139 MiB`, `5.2 GiB`."""
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


NAMED = 3
"""Names that a sentence has, before it counts the others."""


def listed(names: Sequence[str]) -> str:
    """`a, b, c and 4 more`."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"
