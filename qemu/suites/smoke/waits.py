# SPDX-License-Identifier: GPL-2.0-or-later
"""Locks of ranges that one process holds, another asks for, and a third waits for."""

import errno
import fcntl
import os
import signal
import struct
import time
from collections.abc import Callable

from guest import NotRun, equal, expect, folder, write

FLOCK = "hhqqi"
"""struct flock: type, whence, start, length, process."""
_SOON = 10.0
"""Seconds that a process which is to wake up may take."""


def waits() -> None:
    """Locks of ranges: who asks is told who holds which, who waits gets the lock when it is free, or is interrupted."""
    path = folder("waits") + "/f"
    write(path, b"x" * 300)
    with open(path, "r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX, 100, 0)
        except OSError as error:
            raise NotRun(f"no fcntl(2) locks here ({errno.errorcode.get(error.errno or 0)})") from None
        fcntl.lockf(file, fcntl.LOCK_UN, 20, 40)
        fcntl.lockf(file, fcntl.LOCK_SH, 50, 200)
        for start, length, wanted in (
            (0, 10, (fcntl.F_WRLCK, 0, 40)),
            (40, 20, (fcntl.F_UNLCK, 40, 20)),
            (50, 30, (fcntl.F_WRLCK, 60, 40)),
            (100, 100, (fcntl.F_UNLCK, 100, 100)),
            (210, 1, (fcntl.F_RDLCK, 200, 50)),
        ):
            equal(_asked(path, start, length), wanted, f"type, start and length of a lock (F_GETLK, {start}+{length})")
        woken = _waiter(path, 0)
        fcntl.lockf(file, fcntl.LOCK_UN, 100, 0)
        equal(woken(), b"got it", "what became of a process that waited for a lock (F_SETLKW)")
        fcntl.lockf(file, fcntl.LOCK_EX, 100, 0)
        interrupted = _waiter(path, 0, alarm=True)
        equal(interrupted(), b"EINTR", "what became of a process that got a signal while it waited for a lock")
    woken = _holder_dies(path)
    equal(woken(), b"got it", "what became of a process that waited for a lock of one that died")


def _asked(path: str, start: int, length: int) -> tuple[int, int, int]:
    """What F_GETLK says to another process that wants to write there: type, start, length."""

    def ask() -> bytes:
        with open(path, "r+b") as file:
            return fcntl.fcntl(file, fcntl.F_GETLK, struct.pack(FLOCK, fcntl.F_WRLCK, 0, start, length, 0))

    said = _forked(ask)()
    expect(len(said) == struct.calcsize(FLOCK), f"F_GETLK of {start}+{length} failed: {said.decode(errors='replace')}")
    kind, _, first, count, _ = struct.unpack(FLOCK, said)
    return kind, first, count


def _waiter(path: str, start: int, *, alarm: bool = False) -> Callable[[], bytes]:
    """A process that waits for a lock. alarm: and gets a signal meanwhile."""

    def wait() -> bytes:
        signal.signal(signal.SIGALRM, _raise)
        signal.setitimer(signal.ITIMER_REAL, 0.3 if alarm else _SOON)
        with open(path, "r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX, 10, start)
        return b"got it"

    answer = _forked(wait)
    time.sleep(0.2)
    return answer


def _raise(number: int, frame: object) -> None:
    raise InterruptedError(errno.EINTR, "a signal")


def _holder_dies(path: str) -> Callable[[], bytes]:
    """A process that waits for the lock of another, which is killed."""
    inside, outside = os.pipe()
    holder = os.fork()
    if not holder:
        with open(path, "r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            os.write(outside, b"+")
            time.sleep(60)
            os._exit(0)
    os.read(inside, 1)
    woken = _waiter(path, 0)
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)
    os.close(inside)
    os.close(outside)
    return woken


def _forked(work: Callable[[], bytes]) -> Callable[[], bytes]:
    """Begin this in another process; the result waits for what it answers, the name of an errno when it fails."""
    inside, outside = os.pipe()
    child = os.fork()
    if not child:
        try:
            answer = work()
        except OSError as error:
            answer = errno.errorcode.get(error.errno or 0, "an error").encode()
        finally:
            os.write(outside, answer)
            os._exit(0)
    os.close(outside)

    def result() -> bytes:
        said = os.read(inside, 1000)
        os.close(inside)
        os.waitpid(child, 0)
        return said

    return result


CHECKS = {"waits": waits}
