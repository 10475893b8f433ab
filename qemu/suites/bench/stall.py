# SPDX-License-Identifier: GPL-2.0-or-later
"""A server that stands still under dirty data: who waits, for how long, and what an abort of its connection does."""

import contextlib
import errno
import mmap
import os
import signal
import struct
import time
from collections.abc import Callable
from typing import Any

from guest import MNT, RUN, SERVER, NotRun, device, mount_line, read, run, write
from texts import write as told

from bench.files import ended, kill
from bench.rounds import LEG, YARD, Row, fresh

BLOCK = 65536
CONNECTIONS = "/sys/fs/fuse/connections"
ABORTED = f"{RUN}/aborted"
RELEASED = 20.0
"""Seconds that waiters have after the abort, on an emulated machine."""


class Waiter:
    """A process that does one thing; what it ended with, and when."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.began = time.monotonic()
        self.pid = os.fork()
        if self.pid == 0:
            number = 1
            try:
                work()
                number = 0
            except OSError as error:
                number = error.errno or 1
            finally:
                os._exit(number)
        self.status: int | None = None
        self.seconds = 0.0

    def over(self, until: float) -> bool:
        """Whether it has ended by then."""
        if self.status is None and (status := ended(self.pid, until)) is not None:
            self.status, self.seconds = status, time.monotonic() - self.began
        return self.status is not None

    @property
    def words(self) -> str:
        """`ended well`, `ECONNABORTED`, `killed by signal 9`, `still waits`."""
        if self.status is None:
            return "still waits"
        if self.status < 0:
            return f"killed by signal {-self.status}"
        return errno.errorcode.get(self.status, f"status {self.status}") if self.status else "ended well"


def stall(order: dict[str, Any]) -> dict[str, Row]:
    """Rows in this order, in s: until a writer stands still; sync(2); fsync(2); umount(2); from the abort until all of
    these have ended. `window`: how long each is waited for.
    """
    if not SERVER:
        raise NotRun("the kernel's own filesystem has no server that could stand still")
    fresh()
    rows = {name: Row() for name in order["rows"]}
    writing, syncing, fsyncing, unmounting, aborting = rows.values()
    server = int(read(f"{RUN}/servers/{os.path.basename(device())}.pid"))
    connection = os.minor(os.stat(MNT).st_dev)
    progress = mmap.mmap(-1, 16)
    write(f"{MNT}/synced", b"x")
    os.makedirs(f"{YARD}/other", exist_ok=True)
    write(f"{YARD}/other/file", b"dirty")
    write(f"{MNT}/fsynced", b"dirty")
    handle = os.open(f"{MNT}/fsynced", os.O_WRONLY)
    writer = Waiter(lambda: _write_on(f"{MNT}/written", progress))
    time.sleep(order["before"])
    os.kill(server, signal.SIGSTOP)
    stopped, done = time.monotonic(), _written(progress)[0]
    waiters = {
        "sync": (Waiter(os.sync), syncing),
        "fsync": (Waiter(lambda: os.fsync(handle)), fsyncing),
    }
    until = stopped + order["window"]
    for waiter, row in waiters.values():
        _take(row, waiter, until)
    while time.monotonic() < until:
        time.sleep(0.02)
    blocks, last = _written(progress)
    writing.add(LEG, max(last - stopped, 0.0))
    writing.at_least = last > until - 0.5
    writing.note = f"{(blocks - done) * BLOCK >> 10} KiB more were taken after the server stopped"
    kill(writer.pid)
    killed = writer.over(time.monotonic() + 1.0)
    writing.note += f"; a writer that waits {'ends when it is killed' if killed else 'cannot be killed'}"
    os.close(handle)
    unmount = Waiter(lambda: _umount(MNT))
    _take(unmounting, unmount, time.monotonic() + order["window"])
    _abort(connection, [writer, unmount, *(waiter for waiter, _ in waiters.values())], aborting)
    syncing.note, fsyncing.note = waiters["sync"][0].words, waiters["fsync"][0].words
    unmounting.note = f"{unmount.words}; umount(2), once the writer had been killed"
    _clear(server)
    return rows


def _write_on(path: str, progress: mmap.mmap) -> None:
    """Never returns by itself: MiB after MiB into the same 16 MiB, and how far it is."""
    handle, count, block = os.open(path, os.O_CREAT | os.O_WRONLY), 0, b"w" * BLOCK
    while True:
        os.pwrite(handle, block, count % 256 * BLOCK)
        count += 1
        progress[:16] = struct.pack("qd", count, time.monotonic())


def _written(progress: mmap.mmap) -> tuple[int, float]:
    """(blocks, when the last of them was written)."""
    count, at = struct.unpack("qd", progress[:16])
    return count, at


def _take(row: Row, waiter: Waiter, until: float) -> None:
    over = waiter.over(until)
    row.add(LEG, waiter.seconds if over else time.monotonic() - waiter.began)
    row.at_least = not over


def _umount(place: str) -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.umount2(os.fsencode(place), 0):
        raise OSError(ctypes.get_errno(), "umount2")


def _abort(connection: int, waiters: list[Waiter], row: Row) -> None:
    """The server does not move; what waits for it is to be free."""
    told(ABORTED, "")  # the end of a server over this is no death
    waiting = sum(not waiter.over(0.0) for waiter in waiters)
    began = time.monotonic()
    there = told(f"{CONNECTIONS}/{connection}/abort", "1")
    until = began + RELEASED
    free = [waiter.over(until) for waiter in waiters]
    row.add(LEG, time.monotonic() - began)
    row.at_least = not all(free)
    row.note = f"{waiting} waited" if there else f"{waiting} waited, and the connection was gone"


def _clear(server: int) -> None:
    kill(server, signal.SIGCONT)
    until = time.monotonic() + 2.0
    while os.path.exists(f"/proc/{server}") and time.monotonic() < until:
        time.sleep(0.02)
    kill(server)
    status = f"{RUN}/servers/{os.path.basename(device())}.status"
    while not os.path.exists(status) and time.monotonic() < until + 10:
        time.sleep(0.02)
    if mount_line() is not None:
        run("umount", "-i", "-l", MNT, check=False)
    with contextlib.suppress(OSError):
        os.unlink(ABORTED)
