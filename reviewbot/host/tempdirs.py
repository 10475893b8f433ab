# SPDX-License-Identifier: GPL-2.0-or-later
"""A folder for all temporary files of a process, so that what a killed one left is known as such."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from reviewbot.host.files import remove_tree

_PREFIX = "reviewbot-"
_LOCK = ".lock"


@contextlib.contextmanager
def own_temp() -> Iterator[Path]:
    """While this lasts, the temporary files of this process are below the folder; afterwards it is gone.

    Its owner holds a flock(2) on a file in it, which the kernel drops when the owner is killed.
    """
    base, before = Path(tempfile.mkdtemp(prefix=_PREFIX)), tempfile.tempdir
    base.chmod(0o711)  # what is bound into a box is reached by another user
    with (base / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        tempfile.tempdir = str(base)
        try:
            yield base
        finally:
            tempfile.tempdir = before
            remove_tree(base)


def abandoned_temp() -> Iterator[Path]:
    """Such folders of this user whose process is gone. Each may be removed until the next is asked for."""
    for folder in sorted(Path(tempfile.gettempdir()).glob(f"{_PREFIX}*")):
        try:
            if folder.is_symlink() or folder.lstat().st_uid != os.geteuid():
                continue
            with (folder / _LOCK).open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield folder
        except OSError:  # in use, gone meanwhile, or of another kind
            continue
