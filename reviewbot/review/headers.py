# SPDX-License-Identifier: GPL-2.0-or-later
"""What C files define: macros, enumerators, structs. Text in, definitions out.

No compiler: comments, conditions and the layout of the text do not count; what stands under `#ifdef __KERNEL__` is
left out; of several definitions of one name the first counts.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

LARGEST = 2 << 20
"""Characters that are read of a file."""
_NESTED = 12
_SKIP = re.compile(r"//[^\n]*|/\*.*?\*/|/\*.*\Z|\"(?:\\.|[^\"\\\n])*\"?|'(?:\\.|[^'\\\n])*'?", re.DOTALL)
_TOKEN = re.compile(
    r"[A-Za-z_]\w*|0[xX][0-9a-fA-F]+\w*|\d[\w.]*|\"(?:\\.|[^\"\\])*\"?|'(?:\\.|[^'\\])*'?|"
    r"<<|>>|->|[<>=!]=|&&|\|\||\.\.\.|##|\S"
)
_DEFINE = re.compile(r"#\s*define\s+([A-Za-z_]\w*)(\([^)]*\))?\s*(.*)$", re.DOTALL)
_CONDITION = re.compile(r"#\s*(ifdef|ifndef|if|elif|else|endif)\b(.*)$", re.DOTALL)
_NAMES = {
    **{f"__u{n}": f"uint{n}_t" for n in (8, 16, 32, 64)},
    **{f"__s{n}": f"int{n}_t" for n in (8, 16, 32, 64)},
    **{f"u{n}": f"uint{n}_t" for n in (8, 16, 32, 64)},
    **{f"s{n}": f"int{n}_t" for n in (8, 16, 32, 64)},
    "u_int8_t": "uint8_t",
    "u_int16_t": "uint16_t",
    "u_int32_t": "uint32_t",
    "u_int64_t": "uint64_t",
}
"""Other names of the same types."""
Token = tuple[str, int]
"""Text and 1-based line."""
Kind = Literal["macro", "enumerator", "struct"]


@dataclass(frozen=True, slots=True)
class Member:
    """One declaration inside a struct, spelled the same way in every file."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Definition:
    """One name that a file defines."""

    kind: Kind
    name: str
    """`struct fuse_attr`, `union x` for those; else the bare name."""
    line: int
    value: str = ""
    """Of a macro or enumerator: its tokens with single blanks between them."""
    members: tuple[Member, ...] = ()
    source: str = ""
    """C text that defines it (an enumerator: its whole enum)."""

    @property
    def text(self) -> str:
        """One line for a reader."""
        if self.kind == "struct":
            return f"{self.name} {{ {' '.join(f'{member.text};' for member in self.members)} }}"
        return self.source if self.kind == "macro" else f"{self.name} = {self.value}"


Definitions = dict[str, Definition]


def definitions(text: str) -> Definitions:
    """All definitions of a file by name, in its order."""
    found: Definitions = {}
    code: list[Token] = []
    skipping = 0  # depth of conditions inside `#ifdef __KERNEL__`
    for words, line in _logical_lines(_without_comments(text[:LARGEST])):
        if match := _CONDITION.match(words):
            skipping = _next_depth(match[1], match[2].strip(), skipping)
        elif skipping:
            continue
        elif match := _DEFINE.match(words):
            name, parameters, value = match[1], match[2] or "", match[3]
            if value.strip():
                body = spelled(parameters + " " + value) if parameters else spelled(value)
                source = f"#define {name}{parameters} {' '.join(value.split())}"
                found.setdefault(name, Definition("macro", name, line, body, source=source))
        elif not words.startswith("#"):
            code += [(_NAMES.get(token, token), line) for token in _TOKEN.findall(words)]
    for definition in _in_code(code):
        found.setdefault(definition.name, definition)
    return found


def spelled(text: str) -> str:
    """Tokens with single blanks between them, and one name for each type."""
    return " ".join(_NAMES.get(token, token) for token in _TOKEN.findall(text))


def _next_depth(word: str, condition: str, depth: int) -> int:
    """Depth of nesting below `#ifdef __KERNEL__`; 0: the code counts."""
    if depth == 0:
        return int(word in ("ifdef", "if") and condition in ("__KERNEL__", "defined(__KERNEL__)"))
    if word in ("ifdef", "ifndef", "if"):
        return depth + 1
    if word == "endif" or (depth == 1 and word in ("else", "elif")):
        return depth - 1
    return depth


def _without_comments(text: str) -> str:
    """Each comment becomes a blank and its line ends."""

    def kept(match: re.Match[str]) -> str:
        said = match[0]
        return " " + "\n" * said.count("\n") if said.startswith("/") else said

    return _SKIP.sub(kept, text)


def _logical_lines(text: str) -> Iterator[Token]:
    """Lines without leading blanks, directives joined over their backslashes, with the number of the first."""
    lines = text.split("\n")
    number = 0
    while number < len(lines):
        first, words = number, [lines[number].strip()]
        while words[-1].endswith("\\") and number + 1 < len(lines):
            number += 1
            words[-1] = words[-1][:-1].rstrip()
            words.append(lines[number].strip())
        number += 1
        if any(words):
            yield " ".join(words), first + 1


def _in_code(code: Sequence[Token]) -> Iterator[Definition]:
    """Structs, unions and enums with a body, at whatever depth they stand, as far as that is sane."""
    ends: list[int] = []
    place = -1
    while (place := place + 1) < len(code):
        while ends and ends[-1] < place:
            ends.pop()
        word, line = code[place]
        if word not in ("struct", "union", "enum") or place + 2 >= len(code) or len(ends) >= _NESTED:
            continue
        name = code[place + 1][0]
        start = place + (1 if name == "{" else 2)
        if code[start][0] != "{":
            continue
        end = _closing(code, start)
        body = code[start + 1 : end]
        tail = _attributes(code[end + 1 : _until(code, end + 1)])
        source = " ".join(token for token, _ in (*code[place : end + 1], *tail)) + ";"
        if word == "enum":
            yield from _enumerators(body, source)
            place = end
            continue
        ends.append(end)
        if name != "{":
            yield Definition("struct", f"{word} {name}", line, members=_members(body), source=source)


def _closing(code: Sequence[Token], start: int) -> int:
    depth = 0
    for place in range(start, len(code)):
        depth += {"{": 1, "}": -1}.get(code[place][0], 0)
        if depth == 0:
            return place
    return len(code)


def _until(code: Sequence[Token], start: int) -> int:
    return next((place for place in range(start, len(code)) if code[place][0] in (";", "{", "}")), len(code))


def _attributes(tail: Sequence[Token]) -> Sequence[Token]:
    """`__attribute__((…))` or `__packed` behind a body; not the names of variables."""
    return tail if tail and tail[0][0].startswith("__") else ()


def _split(code: Iterable[Token], mark: str) -> Iterator[list[Token]]:
    """Pieces between marks that no bracket encloses."""
    piece: list[Token] = []
    depth = 0
    for token in code:
        depth += (token[0] in ("{", "(", "[")) - (token[0] in ("}", ")", "]"))
        if token[0] == mark and depth == 0:
            if piece:
                yield piece
            piece = []
        else:
            piece.append(token)
    if piece:
        yield piece


def _members(body: Sequence[Token]) -> tuple[Member, ...]:
    return tuple(Member(" ".join(token for token, _ in piece), piece[0][1]) for piece in _split(body, ";"))


def _enumerators(body: Sequence[Token], source: str) -> Iterator[Definition]:
    before, steps = "0", 0
    for piece in _split(body, ","):
        (name, line), rest = piece[0], [token for token, _ in piece[1:]]
        if rest[:1] == ["="]:
            before, steps = " ".join(rest[1:]), 0
        value = (
            before if steps == 0 else (str(int(before) + steps) if before.isdecimal() else f"( {before} ) + {steps}")
        )
        steps += 1
        yield Definition("enumerator", name, line, value, source=source)
