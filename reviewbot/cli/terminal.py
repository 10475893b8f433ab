# SPDX-License-Identifier: GPL-2.0-or-later
"""What is printed for people: nothing that a mail, a build or a guest said commands the terminal.

`guarded` puts a filter before stdout and stderr for as long as a command runs, at a terminal and in a pipe; the
consoles made by `console` colour their output, and filter what they are given before that.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.segment import Segment

from reviewbot.model.words import plain


class ReaderGone(Exception):
    """Nobody reads stdout or stderr any more (`reviewbot plan … | head`)."""


class _Guard:
    """A text stream without control characters, but newlines and tabs. All else is the stream's own.

    Raises ReaderGone instead of BrokenPipeError, which a socket raises, too.
    """

    def __init__(self, stream: TextIO) -> None:
        self.unguarded = stream

    def write(self, text: str) -> int:
        try:
            self.unguarded.write(plain(text))
        except BrokenPipeError as error:
            raise ReaderGone from error
        return len(text)

    def flush(self) -> None:
        try:
            self.unguarded.flush()
        except BrokenPipeError as error:
            raise ReaderGone from error

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unguarded, name)


@contextmanager
def guarded() -> Iterator[None]:
    """Filter stdout and stderr."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, _Guard(cast(TextIO, stream))) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


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


class _Filter(RenderHook):
    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [Harmless(renderable) for renderable in renderables]


def console(*, stderr: bool = False, soft_wrap: bool = False) -> Console:
    """For stdout or stderr; what is printed is filtered, and coloured where there is a terminal."""
    stream = sys.stderr if stderr else sys.stdout
    made = _Console(file=getattr(stream, "unguarded", stream), highlight=False, soft_wrap=soft_wrap)
    made.push_render_hook(_Filter())
    return made
