# SPDX-License-Identifier: GPL-2.0-or-later
"""The filter before stdout and stderr: no control characters but newlines and tabs, at a terminal and in a pipe."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

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
