# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's ends of a machine's ports, and what it means when nothing comes."""

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qemu.qmp import EventListener, QMPClient, QMPError

from reviewbot.lab.channel import Frames, Lines, unpack

FIRST_WORD = 90.0
"""Seconds from QEMU's start to the agent's first word before the machine counts as lost."""
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
    return {"op": "hello", "nonce": nonce, "entropy": secrets.token_hex(64), "now": time.time()}


async def ended(process: Any) -> None:
    while process.poll() is None:
        await asyncio.sleep(0.05)


async def or_ended(work: Any, watch: "asyncio.Task[None]", limit: float, words: str) -> Any:
    """The result of `work`; Lost when QEMU ends first or the time is over."""
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait({task, watch}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
    if task in done:
        return task.result()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await task
    if watch in done:
        raise Ended("QEMU ended")
    raise Silent(f"{words} within {limit:.0f} s")


async def connect_qmp(client: QMPClient, path: Path) -> None:
    """QEMU makes its socket some 50 ms after it starts."""
    while True:
        try:
            while not path.exists():
                await asyncio.sleep(0.005)
            await client.connect(str(path))
            return
        except (QMPError, OSError):
            await asyncio.sleep(0.01)


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
                raise Ended("QEMU ended") from error
            if not data:
                await asyncio.sleep(0.2)  # let QEMU end, so that its status is known
                raise Ended("the machine went away")
            self.waiting += lines.feed(data)
        return self.waiting.pop(0)

    def forget(self) -> int:
        """Drop what came before it was asked for; how many messages that were."""
        count = len([message for message in self.waiting if message.get("t") != "alive"])
        self.waiting.clear()
        return count

    def close(self) -> None:
        self.writer.close()


class Files:
    """The results port: unpack what comes, as it comes."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, nonce: str, homes: Mapping[str, Path]
    ) -> None:  # fmt: skip
        """homes: step -> below which folder its own is."""
        self.frames = Frames(nonce)
        self.homes = homes
        self.refused = 0
        self.seen: dict[str, int] = {}
        """Step -> frames of it so far."""
        self.writer = writer
        self.news = asyncio.Event()
        self.task = asyncio.create_task(self._read(reader))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(1 << 20):
            for step, archive in self.frames.feed(data):
                self.refused += unpack(archive, self.homes[step], step) if step in self.homes else 1
                self.seen[step] = self.seen.get(step, 0) + 1
                self.news.set()

    async def arrived(self, step: str, frames: int) -> None:
        """Wait for a step's files, half a minute at most: the control port was faster."""
        until = time.monotonic() + 30.0
        while self.seen.get(step, 0) < frames and time.monotonic() < until:
            self.news.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.news.wait(), 1.0)

    def close(self) -> None:
        self.task.cancel()
        self.writer.close()


def guests_doing(shutdowns: EventListener) -> str:
    """Why QEMU ended, if it was the guest's doing: `guest-reset`, `guest-shutdown`, `guest-panic`; or empty."""
    data: list[Any] = [event.get("data") or {} for event in shutdowns.clear()]
    reasons = [str(words.get("reason", "")) for words in data]
    return next((reason for reason in reasons if reason.startswith("guest-")), "")
