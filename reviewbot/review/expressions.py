# SPDX-License-Identifier: GPL-2.0-or-later
"""Values of integer constant expressions of C, without a compiler: 64-bit, two's complement, sizes of x86-64."""

import re
from collections.abc import Mapping

from reviewbot.review.headers import Definition

_WORD = (1 << 64) - 1
_TOKEN = re.compile(r"[A-Za-z_]\w*|0[xX][0-9a-fA-F]+\w*|\d\w*|'(?:\\.|[^'\\])'|<<|>>|[<>=!]=|&&|\|\||\S")
_DEPTH = 200
_LONGEST = 1000
_DIRECTIONS = {"_IO": 0, "_IOW": 1, "_IOR": 2, "_IOWR": 3}
_SIZES = {
    "char": 1, "short": 2, "int": 4, "long": 8, "long long": 8, "size_t": 8, "ssize_t": 8, "off_t": 8, "loff_t": 8,
    "signed": 4, "unsigned": 4, "_Bool": 1, "bool": 1, "uuid_t": 16, "uint8_t": 1, "uint16_t": 2, "uint32_t": 4,
    "uint64_t": 8, "int8_t": 1, "int16_t": 2, "int32_t": 4, "int64_t": 8, "__le16": 2, "__le32": 4, "__le64": 8,
    "__be16": 2, "__be32": 4, "__be64": 8, "__kernel_size_t": 8,
}  # fmt: skip
_BINARY = {"||": 1, "&&": 2, "|": 3, "^": 4, "&": 5, "==": 6, "!=": 6, "<": 7, ">": 7, "<=": 7, ">=": 7, "<<": 8,
           ">>": 8, "+": 9, "-": 9, "*": 10, "/": 10, "%": 10}  # fmt: skip


class Unknown(Exception):
    """The value cannot be told: a name that is not here, a construct that is not understood."""


class Known:
    """Definitions that expressions may name. Remembers each result, so that no definition is followed twice: names
    that double at each step would take for ever.
    """

    def __init__(self, definitions: Mapping[str, Definition]) -> None:
        self._definitions = definitions
        self._results: dict[str, tuple[int, int] | None] = {}

    def result(self, name: str, depth: int) -> tuple[int, int]:
        """Value and 0 of a constant, bytes and alignment of a struct. Raises Unknown."""
        if name not in self._results:
            self._results[name] = None  # also what a definition that needs itself finds
            definition = self._definitions.get(name)
            if definition is None or depth > _DEPTH:
                raise Unknown(name)
            if definition.kind == "struct":
                self._results[name] = _layout(definition, self, depth + 1)
            else:
                self._results[name] = evaluate(definition.value, self, depth + 1), 0
        if (found := self._results[name]) is None:
            raise Unknown(name)
        return found


def value_of(name: str, known: Known, depth: int = 0) -> int:
    """Of a macro or enumerator (`struct x`: its size in bytes). Raises Unknown."""
    return known.result(name, depth)[0]


def evaluate(text: str, known: Known, depth: int = 0) -> int:
    """Raises Unknown."""
    if len(text) > _LONGEST:
        raise Unknown(text[:40])
    reader = _Reader(_TOKEN.findall(text), known, depth)
    value = reader.expression(0)
    if reader.peek():
        raise Unknown(text)
    return value


def type_size(text: str, known: Known, depth: int = 0) -> int:
    """Bytes of a type name, `struct x [ 4 ]` included. Raises Unknown."""
    return _sized(text, known, depth)[0]


def _sized(text: str, known: Known, depth: int) -> tuple[int, int]:
    """Bytes and alignment."""
    if depth > _DEPTH:
        raise Unknown(text)
    base, *arrays = re.split(r"\s*\[\s*", text.strip())
    words = [word for word in base.replace("*", " * ").split() if word not in ("const", "volatile", "__user")]
    if "*" in words:
        size = align = 8
    elif words[:1] in (["struct"], ["union"]) and len(words) == 2:
        size, align = known.result(" ".join(words), depth + 1)
    else:
        numbers = [word for word in words if word not in ("signed", "unsigned")] or ["int"]
        if len(numbers) > 1 and "int" in numbers:
            numbers.remove("int")
        if (found := _SIZES.get(" ".join(numbers))) is None:
            raise Unknown(text)
        size = align = found
    for array in arrays:
        count = array.rstrip("] ")
        size = size * (evaluate(count, known, depth + 1) if count else 0) & _WORD
    return size, align


def _layout(definition: Definition, known: Known, depth: int) -> tuple[int, int]:
    """Bytes and alignment of a struct or union of plain members."""
    if re.search(r"packed|aligned|__attribute__", definition.source):
        raise Unknown(definition.name)
    union = definition.name.startswith("union ")
    size, align = 0, 1
    for member in definition.members:
        if len(member.text) > _LONGEST:
            raise Unknown(definition.name)
        match = re.fullmatch(r"(.*?)\s*\b(\w+)\s*((?:\[.*\])?)", member.text)
        if match is None or re.search(r"[{}():,]", member.text):
            raise Unknown(f"{definition.name}: {member.text}")
        width, wanted = _sized(match[1] + match[3], known, depth)
        size = max(size, width) if union else -(-size // wanted) * wanted + width
        align = max(align, wanted)
    return -(-size // align) * align, align


class _Reader:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, tokens: list[str], known: Known, depth: int) -> None:
        self.tokens, self.known, self.depth, self.place = tokens, known, depth, 0

    def peek(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def take(self, wanted: str = "") -> str:
        token = self.peek()
        if not token or (wanted and token != wanted):
            raise Unknown(" ".join(self.tokens))
        self.place += 1
        return token

    def expression(self, level: int) -> int:
        self.depth += 1
        if self.depth > _DEPTH:
            raise Unknown("too deep")
        left = self.unary()
        while (rank := _BINARY.get(self.peek(), 0)) > level:
            operator = self.take()
            left = _apply(operator, left, self.expression(rank))
        self.depth -= 1
        return left

    def unary(self) -> int:
        token = self.take()
        if token in ("-", "~", "+", "!"):
            self.depth += 1
            if self.depth > _DEPTH:
                raise Unknown("too deep")
            value = self.unary()
            self.depth -= 1
            return {"-": -value, "~": ~value, "+": value, "!": int(not value)}[token] & _WORD
        if token == "(":
            return self.parenthesis()
        if token[0].isdigit():
            return _number(token)
        if token.startswith("'"):
            return _character(token)
        if token in _DIRECTIONS and self.peek() == "(":
            return self.ioctl(_DIRECTIONS[token])
        if token == "sizeof" and self.peek() == "(":
            self.take("(")
            return type_size(self.until(")"), self.known, self.depth)
        if self.peek() == "(":
            raise Unknown(token)
        return value_of(token, self.known, self.depth)

    def parenthesis(self) -> int:
        """A cast or an inner expression."""
        start = self.place
        try:
            size = type_size(self.until(")"), self.known, self.depth)
        except Unknown:
            self.place = start
            value = self.expression(0)
            self.take(")")
            return value
        return self.unary() & ((1 << 8 * size) - 1)

    def ioctl(self, direction: int) -> int:
        self.take("(")
        kind = self.expression(0)
        self.take(",")
        number = self.expression(0)
        size = 0
        if direction:
            self.take(",")
            size = type_size(self.until(")"), self.known, self.depth)
        else:
            self.take(")")
        return direction << 30 | (size & 0x3FFF) << 16 | (kind & 0xFF) << 8 | number & 0xFF

    def until(self, mark: str) -> str:
        """Tokens up to the mark that closes this bracket."""
        start, depth = self.place, 0
        while (token := self.take()) != mark or depth:
            depth += (token == "(") - (token == ")")
        return " ".join(self.tokens[start : self.place - 1])


def _number(token: str) -> int:
    digits = token.rstrip("uUlL")
    try:
        return int(digits, 8 if re.fullmatch(r"0[0-7]+", digits) else 0) & _WORD
    except ValueError:
        raise Unknown(token) from None


def _character(token: str) -> int:
    inner = token[1:-1]
    if len(inner) == 1 and inner.isascii():
        return ord(inner)
    raise Unknown(token)


def _apply(operator: str, left: int, right: int) -> int:
    if operator in ("/", "%") and right == 0:
        raise Unknown("division by zero")
    if operator in ("<<", ">>") and right > 63:
        raise Unknown("shift")
    match operator:
        case "+":
            value = left + right
        case "-":
            value = left - right
        case "*":
            value = left * right
        case "/":
            value = left // right
        case "%":
            value = left % right
        case "<<":
            value = left << right
        case ">>":
            value = left >> right
        case "&":
            value = left & right
        case "|":
            value = left | right
        case "^":
            value = left ^ right
        case "&&":
            value = int(bool(left and right))
        case "||":
            value = int(bool(left or right))
        case "==":
            value = int(left == right)
        case "!=":
            value = int(left != right)
        case "<":
            value = int(left < right)
        case ">":
            value = int(left > right)
        case "<=":
            value = int(left <= right)
        case _:
            value = int(left >= right)
    return value & _WORD
