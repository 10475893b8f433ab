# SPDX-License-Identifier: GPL-2.0-or-later
"""Record a console into a file of bounded size: its beginning and its end are kept."""

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from reviewbot.lab.channel import text

HEAD, TAIL = 4 << 20, 4 << 20
"""Bytes of a console that are kept: so many of its beginning, and at least so many of its end."""
SHORT = 64 << 10
"""The same when guests have used up their room on the host."""
EXCERPT = 256 << 10
"""Bytes that `since` gives at most."""
_BLOCK = 1 << 16
_AT_ONCE = 2 << 20
"""Bytes that one `pump` takes: more than a pipe holds, so that all that was said before is in."""


@dataclass(slots=True)
class Recorder:
    """Reads a pipe into a file of `head` + 2 `tail` bytes at most, and a line that says how much was left out."""

    path: Path
    head: int = HEAD
    tail: int = TAIL
    seen: int = 0
    """Bytes that were said."""
    left_out: int = 0
    """Bytes that are no longer in the file."""
    over: bool = True
    """Nothing more can come."""
    error: OSError | None = None
    """Why nothing more was written."""
    _pipe: int = -1
    _file: IO[bytes] | None = None
    _size: int = 0
    _words: int = field(default=0)
    """Bytes of our line in the file."""

    @contextlib.contextmanager
    def from_pipe(self, pipe: int) -> Iterator[None]:
        """Take what comes by this descriptor, which is closed at the end, as the file is. Raises OSError."""
        os.set_blocking(pipe, False)
        self._pipe, self.over = pipe, False
        try:
            self._file = self.path.open("w+b", buffering=0)
            yield
        finally:
            self.pump()
            os.close(pipe)
            if self._file:
                self._file.close()
            self._pipe, self._file, self.over = -1, None, True

    @property
    def kept(self) -> int:
        """Bytes of the file."""
        return self._size

    def fileno(self) -> int:
        return self._pipe

    def pump(self) -> None:
        """Take what has been said by now; never waits."""
        taken = 0
        while not self.over and taken < _AT_ONCE:
            try:
                data = os.read(self._pipe, _BLOCK)
            except BlockingIOError:
                return
            self.over = not data
            taken += len(data)
            self._keep(data)

    async def end(self, limit: float) -> None:
        """Take what is there until the other end is closed, `limit` seconds at most."""
        until = time.monotonic() + limit
        while not self.over and time.monotonic() < until:
            self.pump()
            await asyncio.sleep(0.01)

    def since(self, mark: int) -> str:
        """The end of what was said since `seen` was `mark`, EXCERPT bytes of it at most, as text."""
        self.pump()
        wanted = min(self.seen - mark, EXCERPT)
        return last(self.path, wanted) if wanted > 0 else ""

    def _keep(self, data: bytes) -> None:
        self.seen += len(data)
        if self.error or not self._file:
            return
        try:
            self._file.write(data)
            self._size += len(data)
            if self._size - self._words > self.head + 2 * self.tail:
                self._cut(self._file)
        except OSError as error:
            self.error = error

    def _cut(self, file: IO[bytes]) -> None:
        """Keep the beginning and the end, with a line between that says how much is not there."""
        self.left_out += self._size - self.head - self._words - self.tail
        line = f"\n[reviewbot left out {self.left_out} bytes here]\n".encode()
        file.seek(self._size - self.tail)
        end = file.read(self.tail)
        file.seek(self.head)
        file.write(line + end)
        file.truncate()
        self._words, self._size = len(line), self.head + len(line) + len(end)


def last(path: Path, count: int = EXCERPT) -> str:
    """The last `count` bytes of a console's file, as text; empty when there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - count))
            data = file.read(count)
    except OSError:
        return ""
    return text({"t": data.decode(errors="replace").replace("\r", "")}, "t", count)
