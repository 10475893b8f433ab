# SPDX-License-Identifier: GPL-2.0-or-later
"""What is printed for people: nothing that a mail, a build or a guest said commands the terminal.

`reviewbot.cli.guard` filters stdout and stderr; the consoles made here colour their output, and filter what they are
given before that.
"""

import sys

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.segment import Segment

from reviewbot.cli.guard import ReaderGone
from reviewbot.model.words import plain


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
