# SPDX-License-Identifier: GPL-2.0-or-later
"""Which files a diff touches. Text in, paths out."""

import re

_HUNK = re.compile(r"^@@ -\d+(?:,(\d{1,9}))? \+\d+(?:,(\d{1,9}))? @@")
_ESCAPE = re.compile(r"\\([0-7]{3}|.)")
_PLAIN = {"n": "\n", "t": "\t", '"': '"', "\\": "\\", "a": "\a", "b": "\b", "f": "\f", "r": "\r", "v": "\v"}


def touched_paths(text: str) -> tuple[str, ...]:
    """Paths in the order of the diff, relative to the tree's root; empty if there is no diff.

    Knows git's headers (renames, copies, mode changes, binary patches, quoted names) and plain unified diffs.
    A quoted diff in a reply (`> diff …`) is none.
    """
    found: dict[str, None] = {}
    lines = text.split("\n")
    old_left = new_left = 0
    pending = ""  # path of a `---` line that waits for its `+++`
    for number, line in enumerate(lines):
        if old_left > 0 or new_left > 0:
            old_left -= line[:1] in ("-", " ", "")
            new_left -= line[:1] in ("+", " ", "")
            continue
        if line.startswith("diff --git "):
            for path in _git_header(line[11:], lines[number + 1 : number + 12]):
                found[path] = None
        elif line.startswith("--- "):
            pending = line
        elif line.startswith("+++ ") and pending:
            for side, prefix in ((pending[4:], "a/"), (line[4:], "b/")):
                path = _unquoted(side.split("\t")[0].strip())
                if path != "/dev/null" and number + 1 < len(lines) and _HUNK.match(lines[number + 1]):
                    found[path.removeprefix(prefix)] = None
            pending = ""
        elif match := _HUNK.match(line):
            if found:
                old_left, new_left = int(match[1] or 1), int(match[2] or 1)
        else:
            pending = ""
    return tuple(found)


def _git_header(names: str, following: list[str]) -> list[str]:
    """Paths of `a/X b/Y`. Names may hold spaces: without a rename both are the same, so the middle divides them."""
    renamed = []
    for line in following:
        if line.startswith(("diff --git ", "@@ ")):
            break
        for key in ("rename from ", "rename to ", "copy to "):
            if line.startswith(key):
                renamed.append(_unquoted(line[len(key) :].strip()))
    if renamed:
        return renamed
    names = names.strip()
    if names.startswith('"'):
        return [_unquoted(names[: _closing(names) + 1]).removeprefix("a/")]
    middle = len(names) // 2
    left, right = names[:middle], names[middle + 1 :]
    if left[:2] == "a/" and right[:2] == "b/" and left[2:] == right[2:]:
        return [left[2:]]
    if left == right:  # --no-prefix
        return [left]
    return []  # the ---/+++ lines will tell


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
