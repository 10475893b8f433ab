# SPDX-License-Identifier: GPL-2.0-or-later
"""Both ends of `reviewbot shell` without a machine: the guest's program runs here, with a socket as its port."""

import fcntl
import os
import pty
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from reviewbot.host.data import data_path
from reviewbot.lab.session import Ends, Left, Line

GUEST = """
import sys; sys.path.insert(0, {folder!r})
import terminal; sys.exit(terminal.Session({port}, {tty}, "/").serve())
"""


@dataclass
class Guest:
    """The guest's program, and the host's end of its port."""

    tty: bool = False
    port: socket.socket = field(init=False)
    process: "subprocess.Popen[bytes]" = field(init=False)

    def __enter__(self) -> "Guest":
        self.port, theirs = socket.socketpair()
        folder = str(data_path("qemu/agent/terminal.py").parent)
        text = GUEST.format(folder=folder, port=theirs.fileno(), tty=self.tty)
        env = {"PATH": os.environ["PATH"], "PS1": "guest> ", "TERM": "dumb", "PYTHONDONTWRITEBYTECODE": "1"}
        self.process = subprocess.Popen([sys.executable, "-c", text], pass_fds=[theirs.fileno()], env=env)
        theirs.close()
        return self

    def __exit__(self, *_: object) -> None:
        self.port.close()
        self.process.kill()
        self.process.wait()


def script(words: bytes) -> tuple[int, bytes, bytes]:
    """Exit status, stdout and stderr of a shell that reads these words."""
    with tempfile.TemporaryFile() as keys, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        keys.write(words)
        keys.seek(0)
        with Guest() as guest:
            Line(guest.port, Ends(keys.fileno(), out.fileno(), err.fileno())).carry()
            status = guest.process.wait(60)
        out.seek(0)
        err.seek(0)
        return status, out.read(), err.read()


def test_a_script_has_its_stdin_stdout_stderr_and_status() -> None:
    assert script(b"echo out; echo err >&2; read x; echo $x\nhello\nexit 3\n") == (3, b"out\nhello\n", b"err\n")
    assert script(b"") == (0, b"", b"")
    assert script(b"echo last; kill -9 $$") == (137, b"last\n", b"")


def test_much_goes_through_unchanged_both_ways() -> None:
    junk = bytes(range(256)) * 8192
    assert script(b"exec cat\n" + junk) == (0, junk, b"")
    words = b"while read -r -N 10000 x; do head -c 100000 /dev/zero; done\n" + 1_000_000 * b"x"
    assert script(words) == (0, bytes(10_000_000), b"")


def test_input_that_nobody_reads_and_output_that_comes_late_are_no_obstacle() -> None:
    assert script(b"exec 0</dev/null; echo over; exit 4\n" + b"x" * 500_000)[:2] == (4, b"over\n")
    assert script(b"(sleep 0.3; echo late) & sleep 0.1; exit 0\n")[0] == 0


class Person:
    """Who types at the other end of the terminal, and sees what comes."""

    def __init__(self, end: int) -> None:
        self.end = end
        self.seen = b""

    def wait(self, words: bytes) -> None:
        until = time.monotonic() + 60
        while words not in self.seen:
            assert time.monotonic() < until, self.seen
            self.seen += os.read(self.end, 65536)
        self.seen = self.seen.partition(words)[2]

    def type(self, keys: bytes) -> None:
        os.write(self.end, keys)


@contextmanager
def person(act: "list[tuple[bytes, bytes]]") -> Iterator[Ends]:
    """A terminal of 20 rows and 50 columns. act: what is waited for, and typed then."""
    end, slave = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 50, 0, 0))
    before = termios.tcgetattr(slave)
    somebody = Person(end)

    def sit() -> None:
        for words, keys in act:
            somebody.wait(words)
            somebody.type(keys)

    thread = threading.Thread(target=sit, daemon=True)
    thread.start()
    try:
        yield Ends(slave, slave, slave)
        thread.join(60)
        assert not thread.is_alive(), somebody.seen
        assert termios.tcgetattr(slave) == before, "the terminal is as it was"
    finally:
        os.close(slave)
        os.close(end)


def test_a_person_has_a_terminal_whose_keys_all_go_to_the_guest() -> None:
    act = [
        (b"guest> ", b"stty size; sh -c 'echo be\"\"gun; exec sleep 1000'\r"),
        (b"20 50\r\nbegun", b"\x03"),
        (b"guest> ", b"echo status=$?\r"),
        (b"status=130", b"exit 6\r"),
    ]
    with person(act) as ends, Guest(tty=True) as guest:
        Line(guest.port, ends).carry()
        assert guest.process.wait(60) == 6


def test_the_escape_key_leaves_a_guest_that_is_deaf() -> None:
    act = [(b"guest> ", b"trap '' INT; echo de''af; sleep 1000\r"), (b"deaf", b"\x03\x1d")]
    with person(act) as ends, Guest(tty=True) as guest, pytest.raises(Left):
        Line(guest.port, ends).carry()


def test_a_machine_that_goes_away_gives_the_terminal_back() -> None:
    with person([(b"guest> ", b"kill -9 $PPID\r")]) as ends, Guest(tty=True) as guest:
        Line(guest.port, ends).carry()
        assert guest.process.wait(60) == -9
