# SPDX-License-Identifier: GPL-2.0-or-later
"""Make text from the guest and from mails harmless for where it goes."""

import re
import textwrap

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069]")
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~$])")
_MENTION = re.compile(r"([@#])(?=\w)")  # GitHub makes links and mail of these, escaped or not


def plain(text: str) -> str:
    """Without control characters and direction overrides; newlines and tabs stay."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def one_line(text: str, limit: int = 200) -> str:
    """On one line, not longer than `limit`."""
    flat = " ".join(plain(text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def markdown(text: str, limit: int = 200) -> str:
    """One line that Markdown takes literally, also inside a table, and that mentions nobody."""
    return _MENTION.sub(r"\1<!-- -->", _MARKDOWN.sub(r"\\\1", one_line(text, limit)).replace("&", "&amp;"))


def code_block(text: str, limit: int = 3000) -> str:
    """A fenced block that its content cannot end; no line of it is a workflow command of GitHub."""
    body = re.sub(r"^(\s*)::", r"\1: :", plain(text).strip("\n")[:limit], flags=re.MULTILINE)
    longest = max((len(run) for run in re.findall(r"`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{body}\n{fence}"


def wrapped(text: str, indent: str = "", width: int = 72) -> str:
    """A paragraph for mail."""
    return textwrap.fill(one_line(text, 2000), width, initial_indent=indent, subsequent_indent=indent,
                         break_long_words=False, break_on_hyphens=False)  # fmt: skip


def quoted(text: str, limit: int = 12, width: int = 100) -> str:
    """Some lines of evidence for mail, each indented so that none is taken for a header, a signature or a diff."""
    lines = plain(text).strip("\n").split("\n")
    shown = ["    " + line.expandtabs(8)[:width].rstrip() for line in lines[:limit]]
    more = [f"    [… {len(lines) - limit} more lines]"] if len(lines) > limit else []
    return "\n".join([*shown, *more])
