# SPDX-License-Identifier: GPL-2.0-or-later
"""Locks between processes, released by the kernel when their holder dies."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock


@contextmanager
def locked(path: Path, *, timeout: float = -1) -> Iterator[None]:
    """Hold an exclusive flock(2) on `path`. timeout: seconds, -1 waits for ever.

    Raises filelock.Timeout. The file stays; the lock does not.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(path, timeout=timeout):
        yield
