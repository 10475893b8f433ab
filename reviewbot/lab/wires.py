# SPDX-License-Identifier: GPL-2.0-or-later
"""Sockets and pipes between the host and one machine. QEMU inherits its ends, so it opens no socket and no log file."""

import asyncio
import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reviewbot.lab.recorder import HEAD, SHORT, TAIL, Recorder

PORTS = ("control", "results", "qmp")
PIPE = 1 << 20
"""Capacity of a console's pipe. A UNIX socket would be full after some 300 writes of one byte, as a UART makes them."""
SAID = 1 << 20
"""Bytes of QEMU's own words that are kept."""


@dataclass(slots=True)
class Wires:
    """Our ends, and the numbers of QEMU's."""

    ports: dict[str, socket.socket] = field(default_factory=dict)
    """Connected: `control`, `results`, `qmp`."""
    serial: Recorder = field(init=False)
    console: Recorder = field(init=False)
    said: Recorder = field(init=False)
    """QEMU's stdout and stderr."""
    numbers: dict[str, int] = field(default_factory=dict)
    """Name -> descriptor that QEMU inherits: the ports and their guests, `early`, `console`, `keyboard`, `said`."""

    def consoles(self) -> tuple[Recorder, Recorder]:
        """Of the kernel: by virtio, and the serial one, which is there earlier."""
        return self.console, self.serial

    def recorders(self) -> tuple[Recorder, ...]:
        return self.console, self.serial, self.said

    def marks(self) -> list[int]:
        """How much the consoles have said by now."""
        for recorder in self.consoles():
            recorder.pump()
        return [recorder.seen for recorder in self.consoles()]

    def since(self, marks: Sequence[int]) -> list[str]:
        """What each of them said since then."""
        return [recorder.since(mark) for recorder, mark in zip(self.consoles(), marks, strict=True)]

    def kept(self) -> int:
        """Bytes of all logs."""
        return sum(recorder.kept for recorder in self.recorders())

    def notes(self) -> list[str]:
        """What is no longer in the logs."""
        cut = ((recorder.path.name, recorder.left_out) for recorder in self.recorders())
        return [f"{name}: {count / (1 << 20):.1f} MiB of it were left out" for name, count in cut if count]

    @property
    def disk_is_full(self) -> bool:
        """Of the host: the logs have no room."""
        errors = (recorder.error for recorder in self.recorders())
        return any(error and error.errno in (errno.ENOSPC, errno.EDQUOT) for error in errors)

    async def end(self, limit: float) -> None:
        """QEMU ended: take what it and its guest have said, for so many seconds at most."""
        for recorder in self.recorders():
            await recorder.end(limit)

    async def hear_out(self, watch: "asyncio.Task[None]", limit: float) -> None:
        """If QEMU ended, all that it said is on its way to the logs. watch: done when it has; it is cancelled here."""
        if watch.done():
            await self.end(limit)
        watch.cancel()

    @contextlib.asynccontextmanager
    async def recording(self) -> AsyncIterator[None]:
        """Take what comes, as it comes."""
        loop = asyncio.get_running_loop()

        def pump(recorder: Recorder) -> None:
            recorder.pump()
            if recorder.over:
                loop.remove_reader(recorder.fileno())

        for recorder in self.recorders():
            loop.add_reader(recorder.fileno(), pump, recorder)
        try:
            yield
        finally:
            for recorder in self.recorders():
                loop.remove_reader(recorder.fileno())


@contextlib.contextmanager
def wired(
    logs: Path,
    keyboard: Path,
    files: dict[str, int] | None = None,
    more: Mapping[str, socket.socket] | None = None,
    *,
    short: bool = False,
) -> Iterator[Wires]:
    """Wires for one machine, whose consoles are recorded in `logs`, shortly or not; all are closed at the end.

    keyboard: path of the socket at which keys can be typed. files: descriptors that QEMU is to inherit, too. more:
    QEMU's ends of further ports.
    """
    wires = Wires(numbers=files or {})
    head, tail, said = (SHORT, SHORT, SHORT) if short else (HEAD, TAIL, SAID)
    with contextlib.ExitStack() as stack:
        stack.callback(release, wires)
        for name in PORTS:
            ours, theirs = socket.socketpair()
            stack.enter_context(ours)
            wires.ports[name] = ours
            wires.numbers[name] = theirs.detach()
        wires.serial = stack.enter_context(_recorded(wires, "early", Recorder(logs / "serial.log", head, tail)))
        wires.console = stack.enter_context(_recorded(wires, "console", Recorder(logs / "console.log", head, tail)))
        wires.said = stack.enter_context(_recorded(wires, "said", Recorder(logs / "qemu.log", said, said)))
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(stack.enter_context(short_path(keyboard)))
        stack.callback(keyboard.unlink, missing_ok=True)
        listening.listen()
        wires.numbers["keyboard"] = listening.detach()
        wires.numbers |= {name: os.dup(end.fileno()) for name, end in (more or {}).items()}
        yield wires


@contextlib.contextmanager
def short_path(socket_: Path) -> Iterator[str]:
    """Another path of a socket, wherever its folder is: that of a socket has at most 107 bytes."""
    folder = os.open(socket_.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{socket_.name}"
    finally:
        os.close(folder)


def release(wires: Wires) -> None:
    """QEMU has its ends: close them here, so that the machine's end is seen."""
    while wires.numbers:
        os.close(wires.numbers.popitem()[1])


@contextlib.contextmanager
def _recorded(wires: Wires, name: str, recorder: Recorder) -> Iterator[Recorder]:
    ours, wires.numbers[name] = os.pipe()
    with contextlib.suppress(OSError):  # it stays small where its user has many pipes
        fcntl.fcntl(ours, fcntl.F_SETPIPE_SZ, PIPE)
    with recorder.from_pipe(ours):
        yield recorder
