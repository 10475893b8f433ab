# SPDX-License-Identifier: GPL-2.0-or-later
"""File names in the headers of a diff, as `git apply -p1` reads them."""

import re

NULL = "/dev/null"
_LONGEST = 16 << 10
"""Characters of a line with names; no file system takes a name of half of it, four characters for each byte."""
_ESCAPE = re.compile(r"\\([0-7]{3}|.)", re.DOTALL)
_PLAIN = {"n": "\n", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "r": "\r", "v": "\v"}


def both_sides(names: str) -> str:
    """The path in `a/X b/X`, without its first folder; empty if the sides differ. X may hold spaces."""
    if len(names) > 2 * _LONGEST:
        return ""
    if names.startswith('"'):
        end = _closing(names)
        first, second = _unquoted(names[: end + 1]), _unquoted(names[end + 1 :].strip())
        return _stripped(first, 1) if _stripped(first, 1) == _stripped(second, 1) else ""
    if names.endswith('"'):
        first, _, second = names.partition(' "')
        return _stripped(first, 1) if _stripped(first, 1) == _stripped(_unquoted('"' + second), 1) else ""
    for place in (match.start() for match in re.finditer("[ \t]", names)):
        left, right = _stripped(names[:place], 1), _stripped(names[place + 1 :], 1)
        if left and left == right:
            return left
    return ""


def git_name(text: str, strip: int) -> str:
    """A name up to a tab, of a `---`, `+++` or rename line."""
    if len(text) > _LONGEST:
        return ""
    name = _unquoted(text[: _closing(text) + 1]) if text.startswith('"') else text.split("\t")[0]
    return name if name == NULL else _stripped(name, strip)


def plain_name(text: str, strip: int) -> str:
    """A name of a diff that is not git's; a date may follow."""
    name = git_name(text, 0)
    if "\t" not in text and not text.startswith('"'):
        name = re.split(r"  | (?=\d{4}-\d\d-\d\d )", name)[0].rstrip()
    return name if name == NULL else _stripped(name, strip)


def _stripped(name: str, count: int) -> str:
    """Without so many leading folders; empty if there are fewer."""
    for _ in range(count):
        _, slash, name = name.partition("/")
        if not slash:
            return ""
    return re.sub("/+", "/", name)


def _closing(text: str) -> int:
    place = 1
    while place < len(text) and text[place] != '"':
        place += 2 if text[place] == "\\" else 1
    return place


def _unquoted(name: str) -> str:
    if not (name.startswith('"') and name.endswith('"') and len(name) > 1):
        return name

    found, last, inner = b"", 0, name[1:-1]
    for match in _ESCAPE.finditer(inner):
        found += inner[last : match.start()].encode(errors="surrogateescape")
        code = match[1]
        found += bytes([int(code, 8) & 0xFF]) if len(code) == 3 else _PLAIN.get(code, code).encode()
        last = match.end()
    return (found + inner[last:].encode(errors="surrogateescape")).decode(errors="surrogateescape")
