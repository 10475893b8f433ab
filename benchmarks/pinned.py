# SPDX-License-Identifier: GPL-2.0-or-later
"""Run a command on one core of this host that no other such command uses, as if it had a machine of one core.

`python -m benchmarks.pinned FOLDER COMMAND…`: a lock for each core is in FOLDER.
"""

import fcntl
import os
import sys
from pathlib import Path


def pin(folder: Path) -> int:
    """The core. Its lock is held until this process, and what it becomes, ends. Raises OSError when none is free."""
    for core in sorted(os.sched_getaffinity(0)):
        lock = os.open(folder / f"core{core}", os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        os.set_inheritable(lock, True)
        os.sched_setaffinity(0, {core})
        return core
    raise OSError(f"every core of this host is in use by another command: {folder}")


if __name__ == "__main__":
    pin(Path(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
