# SPDX-License-Identifier: GPL-2.0-or-later
"""The diff inside a mail, as `git am` would see it, and what its headers say. Bytes in, values out."""

import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Literal

from reviewbot.host.git import CLEAN
from reviewbot.host.process import run

_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_INDEX = re.compile(rb"index ([0-9a-f]{4,64})\.\.([0-9a-f]{4,64})(?: (\d{6}))?\s*$")
_MODE = re.compile(rb"(old|new|deleted file|new file) mode (\d{6})\s*$")
_MOVED = re.compile(rb"(rename|copy) (from|to) (.+)$")
_BARE = re.compile(rb"Binary files (.+) and (.+) differ\s*$")
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
_PLAIN = {b"n": b"\n", b"t": b"\t", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"r": b"\r", b"v": b"\v"}


@dataclass(frozen=True, slots=True)
class FileDiff:
    """What a diff says of one file. Paths are relative to the tree's root, bytes that are not UTF-8 as surrogates."""

    old: str
    """Path before; empty if the file is new."""
    new: str
    """Path after; empty if the file goes away."""
    blob: str = ""
    """Abbreviated id of the content before; empty if the diff does not say or the file is new."""
    mode: str = ""
    """Mode after, as far as the diff says one."""
    binary: Literal["", "data", "missing"] = ""
    """missing: the diff only says that binary files differ."""

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(path for path in (self.old, self.new) if path))


@dataclass(frozen=True, slots=True)
class Hunk:
    """One hunk: path before the patch, first line (1-based) in that file, and the hunk's lines with their signs."""

    path: str
    line: int
    header: str
    """The `@@` line."""
    lines: tuple[str, ...]

    @property
    def before(self) -> tuple[str, ...]:
        """Lines that the old file must have."""
        return tuple(text[1:] for text in self.lines if text[:1] in (" ", "-", ""))


def mail_diff(mail: bytes) -> bytes:
    """The body with transfer encoding undone and line ends as `git am` makes them; what precedes the diff stays.

    git's own mailinfo decodes what is not plain text.
    """
    text = mail.replace(b"\r\n", b"\n")
    headers = BytesHeaderParser().parsebytes(text[: 1 << 16])
    encoding = str(headers.get("content-transfer-encoding", "8bit")).strip().lower()
    if headers.get_content_type() == "text/plain" and encoding in ("7bit", "8bit", "binary"):
        return text.partition(b"\n\n")[2]
    with tempfile.TemporaryDirectory(prefix="mailinfo-") as name:
        diff = Path(name) / "diff"
        done = run(
            ["git", "mailinfo", "--encoding=UTF-8", Path(name) / "message", diff], cwd=Path(name), env=CLEAN,
            stdin=text, check=False, split=True,
        )  # fmt: skip
        return diff.read_bytes() if done.status == 0 and diff.exists() else b""


def files_of(diff: bytes) -> tuple[FileDiff, ...]:
    """Every file of the diff, in its order. A quoted diff (`> diff …`) is none."""
    return tuple(found for found, _ in _scan(diff))


def hunks_of(diff: bytes) -> tuple[Hunk, ...]:
    """Every hunk, with the path of its file before the patch (after it, for a new file)."""
    return tuple(
        Hunk(file.old or file.new, line, header, tuple(text.decode(errors="replace") for text in lines))
        for file, hunks in _scan(diff)
        for line, header, lines in hunks
    )


_Hunks = list[tuple[int, str, list[bytes]]]


def _scan(diff: bytes) -> Iterator[tuple[FileDiff, _Hunks]]:
    lines = diff.split(b"\n")
    current: FileDiff | None = None
    hunks: _Hunks = []
    old_left = new_left = 0
    for number, line in enumerate(lines):
        if old_left > 0 or new_left > 0:
            old_left -= line[:1] in (b"-", b" ", b"")
            new_left -= line[:1] in (b"+", b" ", b"")
            hunks[-1][2].append(line)
        elif line.startswith(b"diff --git "):
            if current:
                yield current, hunks
            current, hunks = _named(line[11:].rstrip()), []
        elif line.startswith(b"--- ") and (traditional := _traditional(lines[number : number + 3])):
            if current and (hunks or not current.paths or not _same_file(current, traditional)):
                if current.paths:
                    yield current, hunks
                current, hunks = traditional, []
            elif current is None:
                current = traditional
            else:  # /dev/null on one side tells more than `diff --git` does
                current = replace(current, old=traditional.old, new=traditional.new)
        elif current is not None and (match := _HUNK.match(line)):
            old_left, new_left = (int(match[n]) if match[n] is not None else 1 for n in (2, 4))
            hunks.append((int(match[1]), line.decode(errors="replace"), []))
        elif current is not None and not hunks:
            current = _header(current, line)
    if current and current.paths:
        yield current, hunks


def _same_file(one: FileDiff, other: FileDiff) -> bool:
    return all(not other_path or other_path in one.paths for other_path in (other.old, other.new))


def _header(current: FileDiff, line: bytes) -> FileDiff:
    if match := _INDEX.match(line):
        made = not match[1].strip(b"0")
        return replace(
            current, blob="" if made else match[1].decode(), mode=match[3].decode() if match[3] else current.mode
        )
    if match := _MODE.match(line):
        if match[1] == b"new file":
            return replace(current, old="", mode=match[2].decode())
        if match[1] == b"deleted file":
            return replace(current, new="")
        return replace(current, mode=match[2].decode()) if match[1] == b"new" else current
    if match := _MOVED.match(line):
        path = _text(_unquoted(match[3].rstrip(b"\r")))
        return replace(current, old=path) if match[2] == b"from" else replace(current, new=path)
    if line.startswith(b"GIT binary patch"):
        return replace(current, binary="data")
    if _BARE.match(line):
        return replace(current, binary="missing")
    return current


def _named(names: bytes) -> FileDiff:
    """`a/X b/Y`: without a rename both are the same, so the middle divides them; else later lines tell."""
    if names.startswith(b'"'):
        path = _stripped(_unquoted(names[: _closing(names) + 1]))
        return FileDiff(path, path)
    middle = len(names) // 2
    left, right = names[:middle], names[middle + 1 :]
    if left.partition(b"/")[2] == right.partition(b"/")[2]:
        return FileDiff(_stripped(left), _stripped(left))
    return FileDiff("", "")


def _traditional(lines: Sequence[bytes]) -> FileDiff | None:
    if len(lines) < 3 or not lines[1].startswith(b"+++ ") or not _HUNK.match(lines[2]):
        return None
    sides = []
    for line in lines[:2]:
        name = _unquoted(line[4:].split(b"\t")[0].rstrip(b"\r"))
        sides.append("" if name == b"/dev/null" else _stripped(name))
    return FileDiff(sides[0], sides[1])


def _stripped(name: bytes) -> str:
    """Without its first component, as `git apply -p1` does."""
    return _text(name.partition(b"/")[2] or name)


def _text(name: bytes) -> str:
    return name.decode("utf-8", errors="surrogateescape")


def _closing(text: bytes) -> int:
    place = 1
    while place < len(text) and text[place : place + 1] != b'"':
        place += 2 if text[place : place + 1] == b"\\" else 1
    return place


def _unquoted(name: bytes) -> bytes:
    if not (name.startswith(b'"') and name.endswith(b'"') and len(name) > 1):
        return name

    def plain(match: re.Match[bytes]) -> bytes:
        code = match[1]
        return bytes([int(code, 8) & 0xFF]) if code.isdigit() else _PLAIN.get(code, code)

    return _ESCAPE.sub(plain, name[1:-1])
