# SPDX-License-Identifier: GPL-2.0-or-later
"""Locks between processes, released by the kernel when their holder dies."""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from reviewbot.host import cancel

Waiting = Callable[[str], None]
"""Told once, before waiting for a lock: who holds it and what for; empty when that is not known."""
_POLL = 0.1
_LONGEST = 300
"""Bytes of what a holder says of itself."""


@contextmanager
def locked(path: Path, *, timeout: float = -1, who: str = "", waiting: Waiting | None = None) -> Iterator[None]:
    """Hold an exclusive flock(2) on `path`. timeout: seconds, -1 waits for ever.

    who: what others are told who wait for it: `run 20261129-0512, which builds kernel`. waiting: told of the holder.
    Raises filelock.Timeout, Stopping. The file stays; the lock does not.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path, timeout=timeout)
    with contextlib.ExitStack() as stack:
        if waiting is not None and timeout != 0:
            try:
                stack.enter_context(lock.acquire(timeout=0))
            except filelock.Timeout:
                waiting(holder(path))
                stack.enter_context(_acquired(lock, timeout))
        else:
            stack.enter_context(_acquired(lock, timeout))
        stack.enter_context(_introduced(path, who))
        yield


def _acquired(lock: filelock.BaseFileLock, timeout: float) -> contextlib.AbstractContextManager[object]:
    """Raises filelock.Timeout, Stopping."""
    end = time.monotonic() + timeout if timeout >= 0 else float("inf")
    while True:
        try:
            return lock.acquire(timeout=max(0.0, min(_POLL, end - time.monotonic())))
        except filelock.Timeout:
            cancel.check()
            if time.monotonic() >= end:
                raise


@contextmanager
def shared(path: Path, *, waiting: Waiting | None = None) -> Iterator[None]:
    """Hold a shared flock(2) on `path`: with others who do, and never while somebody has it `locked`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        while not _share(handle):
            if waiting is not None:
                waiting(holder(path))
                waiting = None
            cancel.check()
            time.sleep(_POLL)
        yield
    finally:
        os.close(handle)


def _share(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def holder(path: Path) -> str:
    """What the holder of a lock says of itself; empty if nothing."""
    try:
        with _card(path).open("rb") as file:
            return file.read(_LONGEST).decode(errors="replace").strip()
    except OSError:
        return ""


@contextmanager
def _introduced(path: Path, who: str) -> Iterator[None]:
    with contextlib.suppress(OSError):  # a full disk: it is only what others are told
        if who:
            _card(path).write_text(who)
        else:
            _card(path).unlink()  # of a holder that was killed
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            _card(path).unlink()


def _card(path: Path) -> Path:
    return path.with_name(f"{path.name}.holder")
