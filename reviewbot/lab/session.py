# SPDX-License-Identifier: GPL-2.0-or-later
"""An interactive shell in a VM: the last step of the job, connected to the user's terminal or to pipes.

`qemu/agent/terminal.py` is the guest's end and says what goes over the port.
"""

import contextlib
import fcntl
import os
import select
import signal
import socket
import struct
import termios
import threading
import tty
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from reviewbot.host.cancel import carried, current
from reviewbot.host.data import data_path
from reviewbot.lab.accel import Accelerator
from reviewbot.lab.job import run_job
from reviewbot.model.lab import GuestJob, GuestStep, JobReply, StepReply
from reviewbot.model.progress import Progress, silent

PORT = "terminal"
SHELL = "shell"
"""Name of the step."""
ESCAPE = b"\x1d"
"""Ctrl-]: ends the machine, even if the guest hangs."""
_LIMIT = 1e7
"""Seconds: a user takes as long as it takes."""
_BLOCK = 1 << 14


class Left(Exception):
    """The user ended the machine without waiting for its shell."""


@dataclass(frozen=True, slots=True)
class Ends:
    """File descriptors of the user."""

    keys: int = 0
    out: int = 1
    err: int = 2

    @property
    def interactive(self) -> bool:
        """Whether a person sits there, and no script."""
        return os.isatty(self.keys) and os.isatty(self.out)

    def window(self) -> bytes:
        """Rows and columns, as they go over the port."""
        return fcntl.ioctl(self.out, termios.TIOCGWINSZ, bytes(8))[:4]


def shell_step(env: Mapping[str, str], folder: str, ends: Ends) -> GuestStep:
    """The step that is a shell in `folder` of the guest."""
    mode = "tty" if ends.interactive else "pipe"
    text = data_path("qemu/agent/terminal.py").read_text()
    terminal = {"TERM": os.environ.get("TERM", "dumb")} if ends.interactive else {}
    return GuestStep(
        name=SHELL, argv=("python3", "-S", "-c", text, mode, folder), env={**env, **terminal}, timeout=_LIMIT
    )


def run_session(
    job: GuestJob,
    accelerator: Accelerator,
    folder: Path,
    ends: Ends,
    *,
    on_reply: Callable[[StepReply], None] | None = None,
    progress: Progress = silent,
) -> JobReply:
    """Boot the machine and keep the user at its shell (see `shell_step`) until that ends. Main thread only.

    Raises Left, and what `run_job` raises. The user's terminal is as it was when this returns or raises.
    """
    ours, theirs = socket.socketpair()
    # The user's signals come to the main thread; the machine can do with another.
    machine = _Machine(job.model_copy(update={"ports": (PORT,)}), accelerator, folder, on_reply, progress, theirs)
    thread = threading.Thread(target=carried(machine.run), name="machine")
    with ours, theirs:
        thread.start()
        try:
            Line(ours, ends).carry()
            thread.join()
        except BaseException:
            current().cancel()
            raise
        finally:
            thread.join()
    if machine.error:
        raise machine.error
    assert machine.reply
    return machine.reply


@dataclass(slots=True)
class _Machine:
    job: GuestJob
    accelerator: Accelerator
    folder: Path
    on_reply: Callable[[StepReply], None] | None
    progress: Progress
    port: socket.socket
    """QEMU's end; closed here once the machine is gone, which tells the other end."""
    reply: JobReply | None = None
    error: BaseException | None = None

    def run(self) -> None:
        try:
            self.reply = run_job(
                self.job,
                self.accelerator,
                self.folder,
                on_reply=self.on_reply,
                progress=self.progress,
                ports={PORT: self.port},
            )
        except BaseException as error:  # for the main thread to raise
            self.error = error
        finally:
            self.port.close()


@dataclass(slots=True)
class Line:
    """The port and the user's terminal."""

    port: socket.socket
    ends: Ends
    inbox: bytes = b""
    outbox: bytes = b""
    listening: bool = False
    """The shell is there; before that keys stay with the terminal, where Ctrl-C ends us."""
    resized: bool = True
    raw: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def carry(self) -> None:
        """Until the machine is gone, or has nothing more to say. Raises Left, BrokenPipeError."""
        self.port.setblocking(False)
        with self.raw:
            while True:
                if self.listening and self.resized and self.ends.interactive:
                    self.resized = False
                    self.send(b"z", self.ends.window())
                # A script may say more than the guest reads; a person must be able to leave a guest that reads nothing.
                reading = self.listening and (self.ends.interactive or not self.outbox)
                sources: list[int] = [self.port.fileno(), *([self.ends.keys] if reading else [])]
                sinks = [self.port.fileno()] if self.outbox else []
                ready, able, _ = select.select(sources, sinks, [], 0.2)
                if self.ends.keys in ready:
                    self.type()
                if able:
                    self.flush()
                if self.port.fileno() in ready and not self.hear():
                    return

    def send(self, kind: bytes, data: bytes = b"") -> None:
        self.outbox += kind + struct.pack(">H", len(data)) + data

    def flush(self) -> None:
        try:
            self.outbox = self.outbox[self.port.send(self.outbox) :]
        except BlockingIOError:
            return
        except OSError:  # the machine is gone, which `hear` finds out
            self.outbox = b""

    def type(self) -> None:
        keys = os.read(self.ends.keys, _BLOCK)
        before, escape, _ = keys.partition(ESCAPE) if self.ends.interactive else (keys, b"", b"")
        if before:
            self.send(b"k", before)
        if escape:
            raise Left
        if not keys:
            self.listening = False
            self.send(b"e")

    def hear(self) -> bool:
        """Take what the guest says; False when it is gone."""
        try:
            data = self.port.recv(1 << 16)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.inbox += data
        while len(self.inbox) >= 3:
            kind, length = self.inbox[:1], struct.unpack(">H", self.inbox[1:3])[0]
            if len(self.inbox) < 3 + length:
                break
            frame, self.inbox = self.inbox[3 : 3 + length], self.inbox[3 + length :]
            if kind == b"r" and not self.listening:
                self.raw.enter_context(_raw(self.ends, self._resize))
                self.listening = True
            elif kind in (b"o", b"e"):
                _write(self.ends.out if kind == b"o" else self.ends.err, frame)
        return bool(data)

    def _resize(self) -> None:
        self.resized = True


@contextlib.contextmanager
def _raw(ends: Ends, resized: Callable[[], None]) -> Iterator[None]:
    """Every key goes to the guest. Does nothing where no person sits."""
    if not ends.interactive:
        yield
        return

    def changed(_number: int, _frame: FrameType | None) -> None:
        resized()

    before, handler = termios.tcgetattr(ends.keys), signal.signal(signal.SIGWINCH, changed)
    try:
        tty.setraw(ends.keys)
        yield
    finally:
        termios.tcsetattr(ends.keys, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, handler)


def _write(end: int, data: bytes) -> None:
    """All of it. Raises BrokenPipeError when nobody reads it any more."""
    while data:
        try:
            data = data[os.write(end, data) :]
        except BlockingIOError:  # a terminal that another program left non-blocking
            select.select([], [end], [], 1.0)
