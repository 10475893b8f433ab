# SPDX-License-Identifier: GPL-2.0-or-later
"""Make text from the guest and from mails harmless for where it goes."""

import html
import itertools
import re
import shlex
import textwrap

from rich.cells import cell_len, chop_cells

from reviewbot.model.words import counted, one_line, plain

_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~$])")
_BLOCK = re.compile(r"^(?=::|[#+-])|^(\d{1,9})(?=[.)](?:\s|$))")  # a heading, list, rule, or workflow command begins
_COMMAND = re.compile(r"^(\s*)::|##(?=\[)", re.MULTILINE)  # both ways to write a workflow command of GitHub
_TRAILER = re.compile(r"^(\s*)(\w\S+):\s+\S")
_WRAPPED = re.compile(r"^\S+:\s+[\da-f]+\s+\(")
_IMPERSONAL = frozenset(("link", "buglink", "closes", "fixes", "obsoleted-by", "change-id", "base-commit"))
_URL = re.compile(r"((?:[a-z][a-z+.-]*://|\bwww\.)[^\s|`()<>\[\]\"',@#]*[^\s|`()<>\[\]\"',@#.:;!?])", re.IGNORECASE)
"""GitHub makes a link of it, escaped or not, and a reader of results from others shall not follow a stranger's."""
_MENTION = re.compile(r"([@#])(?=\w)")  # GitHub makes links and mail of these, escaped or not


def markdown(text: str, limit: int = 200) -> str:
    """One line that Markdown takes literally, also inside a table, and that mentions, links to and commands nothing."""
    pieces = _URL.split(one_line(text, limit))
    literal = "".join(code_span(piece) if number % 2 else _literal(piece) for number, piece in enumerate(pieces))
    return _BLOCK.sub(r"\1\\", literal)


def _literal(text: str) -> str:
    return _MENTION.sub(r"\1<!-- -->", _MARKDOWN.sub(r"\\\1", text).replace("&", "&amp;"))


def html_text(text: str, limit: int = 300) -> str:
    """One line inside an HTML element, that mentions, links to and commands nothing."""
    pieces = (html.escape(piece, quote=False) for piece in _URL.split(one_line(text, limit)))
    literal = "".join(f"<code>{piece}</code>" if number % 2 else piece for number, piece in enumerate(pieces))
    return _MENTION.sub(r"\1<!-- -->", literal).replace("##[", "##&lsqb;")


def code_span(text: str) -> str:
    """Words within a line that are shown as code."""
    return "`" + one_line(text).replace("`", "").replace("##[", "## [") + "`"


def code_block(text: str, limit: int = 3000) -> str:
    """A fenced block that its content cannot end; no line of it is a workflow command of GitHub."""
    body = _COMMAND.sub(lambda found: "# #" if found[1] is None else f"{found[1]}: :", plain(text).strip("\n")[:limit])
    longest = max((len(run) for run in re.findall(r"`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{body}\n{fence}"


def wrapped(text: str, indent: str = "", hanging: str | None = None, width: int = 72) -> str:
    """A paragraph for mail. hanging: indent of all lines but the first [the same]. A word that is wider is broken."""
    return textwrap.fill(
        one_line(text, 2000),
        width,
        initial_indent=indent,
        subsequent_indent=indent if hanging is None else hanging,
        break_on_hyphens=False,
    )


def quoted(text: str, limit: int = 12, width: int = 72) -> str:
    """Some lines of evidence for mail, each indented so that none is taken for a header, a signature or a diff. A line
    that is wider is folded, with more indent; at most three of it are shown.
    """
    lines = plain(text).strip("\n").split("\n")
    shown = [("    " + piece).rstrip() for line in lines[:limit] for piece in _folded(line.expandtabs(8), width)]
    more = [f"    [… {counted(len(lines) - limit, 'more line')}]"] if len(lines) > limit else []
    return "\n".join([*shown, *more])


def _folded(line: str, width: int) -> list[str]:
    if len(line) <= width:
        return [line]
    fold = textwrap.TextWrapper(width, subsequent_indent="  ", break_on_hyphens=False, replace_whitespace=False)
    found = fold.wrap(line[: 4 * width].rstrip()) or [""]
    cut = len(found) > 3 or len(line) > 4 * width
    return [*found[:2], *(f"{one[: width - 2]} …" for one in found[2:3])] if cut else found


def fitted(text: str, width: int = 78) -> str:
    """No line takes more columns of a terminal; what is wrapped by characters may, for some take two columns."""
    lines = (chop_cells(line, width) if cell_len(line) > width else [line] for line in text.split("\n"))
    return "\n".join(itertools.chain.from_iterable(lines))


def without_trailers(body: str) -> str:
    """The body of a reply in which b4 and git find no trailer: what strangers wrote would be harvested from it.

    A line that could be one gets a bar in front. b4 joins a name with the address on the next line, takes indented
    lines too, and wants either an address or one of a few names that need none.
    """
    lines = body.split("\n")
    for number, line in enumerate(lines):
        if (found := _TRAILER.match(line)) and (
            found[2].lower() in _IMPERSONAL or "@" in line or _joins(lines, number)
        ):
            lines[number] = f"{found[1]}| {line[len(found[1]) :]}"
    return "\n".join(lines)


def _joins(lines: list[str], number: int) -> bool:
    """Whether b4 takes the next line, with an address, for the rest of this one."""
    following = lines[number + 1] if number + 1 < len(lines) else ""
    return "@" in following and (following.startswith("<") or bool(_WRAPPED.match(lines[number])))


def shell(text: str) -> str:
    """One word of a shell command that a reader may paste; a placeholder for one that no mail can hold. A word that is
    wider than a line has no quotes but those around it, so that it can be cut anywhere.
    """
    word = shlex.quote(one_line(text, 900))
    wide = len(word) > 60 and ("'" in word[1:-1] or not word.isascii())
    return "MESSAGE-ID" if wide or len(word) > 900 else word
