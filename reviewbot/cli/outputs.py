# SPDX-License-Identifier: GPL-2.0-or-later
"""Folders that the user names to be written into."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from reviewbot.model.errors import UsageError

_NO_PLACE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR, errno.EEXIST})


@contextlib.contextmanager
def written_into(folder: Path) -> Iterator[None]:
    """What cannot be written there is the user's mistake: raises UsageError. A full disk is not."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_PLACE:
            raise
        raise UsageError(f"{folder}: {error.strerror}", hint="name a writable folder") from error
