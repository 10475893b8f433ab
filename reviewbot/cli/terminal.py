# SPDX-License-Identifier: GPL-2.0-or-later
"""What is printed for people: nothing that a mail, a build or a guest said commands the terminal.

`reviewbot.cli.guard` filters stdout and stderr; the consoles made here colour their output, and filter what they are
given before that.
"""

import os
import re
import sys
import textwrap
from typing import Any, TextIO, cast

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from reviewbot.cli.guard import ReaderGone
from reviewbot.model.words import flat, plain

_ENDLESS = 10_000
"""Columns."""


class Harmless:
    """A rich renderable without the control characters of its text. Its styles stay."""

    def __init__(self, content: ConsoleRenderable) -> None:
        self.content = content

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self.content, options):
            yield segment if segment.control else Segment(plain(segment.text), segment.style)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """rich ends the process with status 1, which says that the series is at fault."""
        raise ReaderGone


class _Trimmed:
    """A text stream for a pipe: no line ends with the blanks that fill a column."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Filter(RenderHook):
    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [Harmless(renderable) for renderable in renderables]


def console(*, stderr: bool = False) -> Console:
    """For stdout or stderr; what is printed is filtered, and coloured where there is a terminal.

    Nothing is wrapped in a pipe, unless $COLUMNS says how wide it is: a line stays one line for grep.
    """
    stream = sys.stderr if stderr else sys.stdout
    file = getattr(stream, "unguarded", stream)
    width = None if file.isatty() or os.environ.get("COLUMNS") else _ENDLESS
    made = _Console(file=file if file.isatty() else cast(TextIO, _Trimmed(file)), highlight=False, width=width)
    made.push_render_hook(_Filter())
    return made


def say(out: Console, words: str, *, indent: int = 0, style: str = "") -> None:
    """One paragraph, wrapped between words; a path or URL that is longer than a line is not broken."""
    blanks = " " * indent
    text = textwrap.fill(
        flat(words),
        max(40, out.width),
        initial_indent=blanks,
        subsequent_indent=blanks,
        break_long_words=False,
        break_on_hyphens=False,
    )
    out.print(Text(text, style=style), soft_wrap=True)


def markdown(text: str) -> None:
    """A report of ours in Markdown, as a terminal shows it; GitHub's folding becomes bold lines."""
    shown = re.sub(r"<details><summary>(.*?)</summary>", r"**\1**", text).replace("</details>", "")
    from rich.markdown import Markdown  # 0.2 s that only a report at a terminal is worth

    console().print(Markdown(shown.replace("<!-- -->", ""), hyperlinks=False))


def beside(console: Console, name: Text, words: str, *, width: int) -> None:
    """A name, and words that stay beside it at a terminal when they need several lines; elsewhere one line for grep."""
    if not console.is_terminal:
        console.print(Text.assemble(name, " ", words), soft_wrap=True)
        return
    grid = Table.grid()
    grid.add_column(min_width=width + 1, no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(name, Text(words))
    console.print(grid)
