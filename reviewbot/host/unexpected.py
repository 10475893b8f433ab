# SPDX-License-Identifier: GPL-2.0-or-later
"""Exceptions that nobody expects become one error that names the file with the trace."""

import errno
import os
import tempfile
import time
import traceback
from collections.abc import Iterable
from pathlib import Path

from reviewbot.host.paths import cache_dir, data_dir
from reviewbot.model.errors import DiskFull, FolderUnusable, ReviewbotError, Unexpected

_FULL = (errno.ENOSPC, errno.EDQUOT)
_UNUSABLE = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST)
_PACKAGE = Path(__file__).parent.parent


def as_error(error: Exception, folders: Iterable[Path]) -> ReviewbotError:
    """What to tell of an exception; one of ours is returned as it is.

    folders: where its trace may be written, best first; the temporary folder is the last resort.
    """
    if isinstance(error, ReviewbotError):
        return error
    if isinstance(error, OSError):
        name = str(error.filename or "")
        if error.errno in _FULL:
            return DiskFull(name)
        if error.errno in _UNUSABLE and (variable := _variable(name)):
            return FolderUnusable(name, error.strerror or "cannot be used", variable)
    trace = _written("".join(traceback.format_exception(error)), (*folders, Path(tempfile.gettempdir())))
    return Unexpected(error, _place(error), trace)


def _variable(name: str) -> str:
    """The variable that moves the folder which a file of this name is in; empty: it is in none of ours."""
    for folder, variable in ((data_dir(), "REVIEWBOT_DATA"), (cache_dir(), "REVIEWBOT_CACHE")):
        if name and (Path(name).is_relative_to(folder) or folder.is_relative_to(name)):
            return variable
    return ""


def _place(error: Exception) -> str:
    """`reviewbot/store/runs.py:61`, the deepest line of ours."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename).is_relative_to(_PACKAGE):
            return f"reviewbot/{Path(frame.filename).relative_to(_PACKAGE)}:{frame.lineno}"
    return ""


def _written(trace: str, folders: Iterable[Path]) -> str:
    """Path of the file with the trace; empty if no folder takes one."""
    name = time.strftime(f"error-%Y%m%d-%H%M%S-{os.getpid()}.txt", time.gmtime())
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(trace, errors="replace")
        except OSError:
            continue
        return str(folder / name)
    return ""
