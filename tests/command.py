# SPDX-License-Identifier: GPL-2.0-or-later
"""Run `reviewbot` as its users do, many times a second.

Half of what a short command costs is Python and its imports. So one process imports all of it once, and each call is a
fork of that process: its own arguments, environment, folder, standard files and exit status, and nothing kept between
two calls. What is about the start itself, or about signals, starts a Python of its own.
"""

import atexit
import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import click

from reviewbot.cli.entry import run
from reviewbot.cli.group import reviewbot

ROOT = Path(__file__).resolve().parents[1]
_STANDARD = 3
"""Standard input, output and errors."""
_HEAD = 9
"""Bytes of the number that says how long a request is."""


def called(
    *arguments: str,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    said: bytes = b"",
    timeout: float = 600,
) -> subprocess.CompletedProcess[str]:
    """`reviewbot ARGUMENTS`; said: its standard input. env: all of its environment (default: ours).

    Raises subprocess.TimeoutExpired after `timeout` seconds; the process is killed then.
    """
    done = called_bytes(*arguments, cwd=cwd, env=env, said=said, timeout=timeout)
    texts = (io.TextIOWrapper(io.BytesIO(part), encoding="utf-8").read() for part in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(done.args, done.returncode, *texts)


def called_bytes(
    *arguments: str,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    said: bytes = b"",
    timeout: float = 600,
) -> subprocess.CompletedProcess[bytes]:
    """The same in bytes."""
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        stdin.write(said)
        stdin.seek(0)
        asked = {"arguments": arguments, "cwd": str(cwd or Path.cwd()), "env": dict(os.environ if env is None else env)}
        status = _server().call(json.dumps(asked), [f.fileno() for f in (stdin, stdout, stderr)], timeout)
        stdout.seek(0)
        stderr.seek(0)
        return subprocess.CompletedProcess(["reviewbot", *arguments], status, stdout.read(), stderr.read())


class _Server:
    """The process that forks; one call at a time, as tests of one pytest process are."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.command", str(theirs.fileno())], cwd=ROOT, pass_fds=[theirs.fileno()]
            )
        self._socket, self._lock = ours, threading.Lock()
        atexit.register(self._end)

    def call(self, asked: str, files: list[int], timeout: float) -> int:
        with self._lock:
            socket.send_fds(self._socket, [f"{len(asked.encode()):0{_HEAD}}".encode()], files)
            self._socket.sendall(asked.encode())
            pid = int(_line(self._socket))
            if select.select([self._socket], [], [], timeout)[0]:
                return int(_line(self._socket))
            os.kill(pid, signal.SIGKILL)
            _line(self._socket)
            raise subprocess.TimeoutExpired("reviewbot", timeout)

    def _end(self) -> None:
        self._socket.close()
        self._process.wait()


@cache
def _server() -> _Server:
    return _Server()


def _line(connection: socket.socket) -> str:
    line = b""
    while not line.endswith(b"\n"):
        got = connection.recv(1)
        assert got, f"the process that runs commands is gone after {line!r}"
        line += got
    return line.decode()


def _serve(connection: socket.socket) -> None:
    """Fork once for each call, until the caller is gone. Raises SystemExit in each child, at its command's end."""
    context = click.Context(reviewbot)
    for name in reviewbot.list_commands(context):
        reviewbot.get_command(context, name)  # imports it
    while True:
        head, files, _flags, _address = socket.recv_fds(connection, _HEAD, _STANDARD)
        if not head:
            return
        asked = b""
        while len(asked) < int(head):
            asked += connection.recv(int(head) - len(asked))
        pid = os.fork()
        if not pid:
            connection.close()
            _become(json.loads(asked), files)
        for file in files:
            os.close(file)
        connection.sendall(f"{pid}\n".encode())
        _pid, status = os.waitpid(pid, 0)
        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def _become(asked: dict[str, Any], files: list[int]) -> NoReturn:
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(asked["env"])
    os.chdir(asked["cwd"])
    time.tzset()
    sys.argv = ["reviewbot", *asked["arguments"]]
    sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w")
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace")
    sys.exit(run(asked["arguments"]))


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
