# SPDX-License-Identifier: GPL-2.0-or-later
"""What the files that a diff touches held before. Text in, blob ids out."""

import re

HUNK = re.compile(r"^@@ -\d+(?:,(\d{1,9}))? \+\d+(?:,(\d{1,9}))? @@")
_INDEX = re.compile(r"^index ([0-9a-f]{4,64})\.\.[0-9a-f]{4,64}(?: \d{6})?\s*$")
_ESCAPE = re.compile(r"\\([0-7]{3}|.)")
_PLAIN = {"n": "\n", "t": "\t", '"': '"', "\\": "\\", "a": "\a", "b": "\b", "f": "\f", "r": "\r", "v": "\v"}


def preimage_blobs(text: str) -> dict[str, str]:
    """Path before the patch -> abbreviated blob id of its content then, from `index` lines; new files are left out."""
    found: dict[str, str] = {}
    lines = text.split("\n")
    old_left = new_left = 0
    for number, line in enumerate(lines):
        if old_left > 0 or new_left > 0:
            old_left -= line[:1] in ("-", " ", "")
            new_left -= line[:1] in ("+", " ", "")
        elif line.startswith("diff --git "):
            header = lines[number + 1 : number + 12]
            ends = (at for at, below in enumerate(header) if below.startswith(("diff --git ", "@@ ", "GIT binary")))
            header = header[: next(ends, len(header))]
            blob = next((match[1] for below in header if (match := _INDEX.match(below))), "")
            path = _old_path(line[11:], header)
            if blob.strip("0") and path:
                found.setdefault(path, blob)
        elif match := HUNK.match(line):
            old_left, new_left = int(match[1] or 1), int(match[2] or 1)
    return found


def _old_path(names: str, header: list[str]) -> str:
    for below in header:
        for key, prefix in (("rename from ", ""), ("copy from ", ""), ("--- ", "a/")):
            if below.startswith(key):
                path = _unquoted(below[len(key) :].split("\t")[0].strip())
                return "" if path == "/dev/null" else path.removeprefix(prefix)
    return _same_name(names)


def _same_name(names: str) -> str:
    """The path of `a/X b/X`. Names may hold spaces; both are the same, so the middle divides them."""
    names = names.strip()
    if names.startswith('"'):
        return _unquoted(names[: _closing(names) + 1]).removeprefix("a/")
    middle = len(names) // 2
    left, right = names[:middle], names[middle + 1 :]
    if left[:2] == "a/" and right[:2] == "b/" and left[2:] == right[2:]:
        return left[2:]
    if left == right:  # --no-prefix
        return left
    return ""


def _closing(text: str) -> int:
    place = 1
    while place < len(text) and text[place] != '"':
        place += 2 if text[place] == "\\" else 1
    return place


def _unquoted(name: str) -> str:
    if not (name.startswith('"') and name.endswith('"') and len(name) > 1):
        return name

    def plain(match: re.Match[str]) -> str:
        code = match[1]
        return chr(int(code, 8)) if code.isdigit() else _PLAIN.get(code, code)

    text = _ESCAPE.sub(plain, name[1:-1])
    return text.encode("latin-1", errors="replace").decode("utf-8", errors="replace")
