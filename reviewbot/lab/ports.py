# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's ends of a machine's ports, and what it means when nothing comes."""

import asyncio
import contextlib
import json
import secrets
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qemu.qmp import QMPClient, QMPError

from reviewbot.lab.channel import Frames, Lines, unpack
from reviewbot.lab.room import Room, StepRoom
from reviewbot.model import protocol

FIRST_WORD = 90.0
"""Seconds from QEMU's start to the agent's first word before the machine counts as lost."""
LAST_WORDS = 10.0
"""Seconds, on a host that is busy, from QEMU's end until all that it said has been read; it ends early."""
FILES_LIMIT = 120.0
"""Seconds that a step's files may take to arrive when its answer was faster, as long as some come."""
RESTORED_WORD = 20.0
"""The same for a machine that was restored, before it is given up and another is booted."""


class Lost(Exception):
    """The machine is of no more use; the words say why."""


class Silent(Lost):
    """QEMU runs, and the agent does not answer."""


class NotRestored(Exception):
    """A restored machine never spoke; nothing was asked of it."""


class Ended(Lost):
    """QEMU ended by itself."""


def greeting(nonce: str) -> dict[str, Any]:
    """First words to an agent. Its machine may be one of many copies, so it gets its random numbers and the time."""
    return {"op": protocol.HELLO, "nonce": nonce, "entropy": secrets.token_hex(64), "now": time.time()}


async def ended(process: Any) -> None:
    while process.poll() is None:
        await asyncio.sleep(0.05)


async def or_ended(work: Any, watch: "asyncio.Task[None]", limit: float, words: str) -> Any:
    """The result of `work`; Lost when QEMU ends first or the time is over."""
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait({task, watch}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
    if watch in done and task not in done:  # what it said last may still be on its way to us
        done, _ = await asyncio.wait({task}, timeout=LAST_WORDS)
    if task in done:
        return task.result()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await task
    if watch.done():
        raise Ended("QEMU exited")
    raise Silent(f"{words} within {limit:.0f} s")


async def connect_qmp(client: QMPClient, end: socket.socket) -> None:
    """Raises Ended when QEMU closes it without a word: it did not start."""
    try:
        await client.connect(end)
    except (QMPError, OSError, EOFError) as error:
        raise Ended("QEMU exited") from error


async def disconnect(client: QMPClient) -> None:
    with contextlib.suppress(QMPError, OSError, asyncio.TimeoutError):
        await asyncio.wait_for(client.execute("quit"), 2.0)
    with contextlib.suppress(QMPError, OSError, EOFError, asyncio.TimeoutError):
        await asyncio.wait_for(client.disconnect(), 2.0)


@dataclass(slots=True)
class Port:
    """The control port."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    watch: "asyncio.Task[None]"
    waiting: list[dict[str, Any]] = field(default_factory=list)

    def say(self, message: dict[str, Any]) -> None:
        self.writer.write(json.dumps(message).encode() + b"\n")

    async def next(self, lines: Lines, limit: float, words: str) -> dict[str, Any]:
        """The next message of this job. Raises Lost."""
        until = time.monotonic() + limit
        while not self.waiting:
            left = until - time.monotonic()
            if left <= 0:
                raise Silent(f"{words} within {limit:.0f} s")
            try:
                data = await or_ended(self.reader.read(65536), self.watch, left, words)
            except ConnectionError as error:
                raise Ended("QEMU exited") from error
            if not data:
                await asyncio.wait({self.watch}, timeout=LAST_WORDS)  # let QEMU end, so that its status is known
                raise Ended("the machine disappeared")
            self.waiting += lines.feed(data)
        return self.waiting.pop(0)

    def forget(self) -> int:
        """Drop what came before it was asked for; how many messages that were."""
        count = len([message for message in self.waiting if message.get("t") != protocol.ALIVE])
        self.waiting.clear()
        return count

    def close(self) -> None:
        self.writer.close()


class Files:
    """The results port: unpack what comes, as it comes."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        nonce: str,
        homes: Mapping[str, Path],
        room: Room | None = None,
    ) -> None:
        """homes: step -> below which folder its own is. room: what all of them may leave."""
        self.frames = Frames(nonce)
        self.homes = homes
        leg = room or Room()
        self.rooms = {step: StepRoom(leg) for step in homes}
        self.refused = 0
        self.seen: dict[str, int] = {}
        """Step -> frames of it so far."""
        self.received = 0
        """Bytes."""
        self.writer = writer
        self.news = asyncio.Event()
        self.task = asyncio.create_task(self._read(reader))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(1 << 20):
            self.received += len(data)
            for step, archive in self.frames.feed(data):
                if step not in self.homes:
                    self.refused += 1
                    continue
                self.refused += unpack(archive, self.homes[step], step, self.rooms[step])
                self.seen[step] = self.seen.get(step, 0) + 1
            self.news.set()

    @property
    def crowded_out(self) -> int:
        """Files of all steps for which there was no room."""
        return sum(room.refused for room in self.rooms.values())

    async def arrived(self, step: str, frames: int) -> bool:
        """Wait for a step's files, which the control port was faster than; False: they did not come.

        As long as any come, FILES_LIMIT seconds at most; a quarter of that when nothing does.
        """
        started = last = time.monotonic()
        received = self.received
        while self.seen.get(step, 0) < frames:
            now = time.monotonic()
            if self.received != received:
                received, last = self.received, now
            if self.task.done() or now - started > FILES_LIMIT or now - last > FILES_LIMIT / 4:
                return False
            self.news.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.news.wait(), 1.0)
        return True

    def close(self) -> None:
        self.task.cancel()
        self.writer.close()
