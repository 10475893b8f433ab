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

from guest import MNT, RUN, SERVER, NotRun, device, mount_line, read, run
from texts import write as told

from bench.files import ended, kill
from bench.rounds import LEG, Row, fresh

BLOCK, DIRTY = 65536, 1 << 20
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
    """Rows in this order, in s: until a writer stands still; sync(2); fsync(2) of pages that a mapping made dirty;
    from the abort until all of these have ended; umount(2) of a mount in which nothing is open. `window`: how long each
    is waited for.

    This process opens nothing there: its own close(2) would wait, too.
    """
    if not SERVER:
        raise NotRun("the kernel's own filesystem has no server that could stall")
    writing, syncing, fsyncing, aborting, unmounting = rows = [Row() for _ in order["rows"]]
    _under_writes(order, writing, syncing, fsyncing, aborting)
    _under_umount(order["window"], unmounting)
    return dict(zip(order["rows"], rows, strict=True))


def _under_writes(order: dict[str, Any], writing: Row, syncing: Row, fsyncing: Row, aborting: Row) -> None:
    server, connection = _started()
    progress = mmap.mmap(-1, 16)
    ready, go = os.pipe(), os.pipe()
    writer = Waiter(lambda: _write_on(f"{MNT}/written", progress))
    fsyncer = Waiter(lambda: _fsync(f"{MNT}/mapped", ready[1], go))
    os.close(ready[1])
    os.read(ready[0], 1)
    time.sleep(order["before"])
    os.kill(server, signal.SIGSTOP)
    stopped, done = time.monotonic(), _written(progress)[0]
    until = stopped + order["window"]
    os.close(go[1])
    fsyncer.began = stopped
    syncer = Waiter(os.sync)
    for row, waiter in ((syncing, syncer), (fsyncing, fsyncer)):
        _take(row, waiter, until)
    time.sleep(max(until - time.monotonic(), 0.0))
    blocks, last = _written(progress)
    writing.add(LEG, max(last - stopped, 0.0))
    writing.at_least = last > until - 0.5
    writing.note = f"{(blocks - done) * BLOCK >> 10} KiB more were taken after the server stopped"
    kill(writer.pid)
    killed = writer.over(time.monotonic() + 1.0)
    writing.note += f"; a waiting writer {'exits when killed' if killed else 'cannot be killed'}"
    _abort(connection, [writer, syncer, fsyncer], aborting)
    syncing.note, fsyncing.note = syncer.words, fsyncer.words
    _clear(server)


def _under_umount(window: float, unmounting: Row) -> None:
    server, connection = _started()
    os.kill(server, signal.SIGSTOP)
    unmount, row = Waiter(lambda: _umount(MNT)), Row()
    _take(unmounting, unmount, time.monotonic() + window)
    waited = unmount.status is None
    _abort(connection, [unmount], row)
    unmounting.note = f"{unmount.words}{f', {row.values[0]:.2f} s after the abort' if waited else ''}"
    _clear(server)


def _started() -> tuple[int, int]:
    """Pid of a server whose filesystem was just made, and the number of its connection."""
    fresh()
    pid = read(f"{RUN}/servers/{os.path.basename(device())}.pid")
    return int(pid), os.minor(os.stat(MNT).st_dev)


def _write_on(path: str, progress: mmap.mmap) -> None:
    """Never returns by itself: block after block into the same 16 MiB, and how far it is."""
    handle, count, block = os.open(path, os.O_CREAT | os.O_WRONLY), 0, b"w" * BLOCK
    while True:
        os.pwrite(handle, block, count % 256 * BLOCK)
        count += 1
        progress[:16] = struct.pack("qd", count, time.monotonic())


def _fsync(path: str, ready: int, go: tuple[int, int]) -> None:
    """Pages are dirty by a mapping, whether or not the server lets the kernel keep what is written."""
    os.close(go[1])
    handle = os.open(path, os.O_CREAT | os.O_RDWR)
    os.ftruncate(handle, DIRTY)
    pages = mmap.mmap(handle, DIRTY)
    pages[:] = b"d" * DIRTY
    os.write(ready, b"r")
    os.read(go[0], 1)
    os.fsync(handle)


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
