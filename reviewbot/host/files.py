# SPDX-License-Identifier: GPL-2.0-or-later
"""Write files so that a reader, or a crash, never sees half of one."""

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import tempfile
from pathlib import Path

from reviewbot.host.process import run
from reviewbot.host.rootless import as_root


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write beside `path`, flush to disk, rename. Raises OSError (ENOSPC: nothing changed)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def read_regular(path: Path, limit: int = 16 << 20) -> str:
    """Text of a file that something untrusted wrote: no link is followed, at most `limit` bytes are read.

    Raises OSError when it is not there or anything but a plain file.
    """
    return read_regular_bytes(path, limit).decode(errors="replace")


def read_regular_bytes(path: Path, limit: int) -> bytes:
    """As `read_regular`, undecoded."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "not a plain file", str(path))
        return file.read(limit)


def copy_tree(source: Path, target: Path) -> None:
    """Copy a folder into another, which may be there. Raises OSError with its errno, which shutil forgets."""
    try:
        shutil.copytree(source, target, dirs_exist_ok=True)
    except shutil.Error as error:
        for number in (errno.ENOSPC, errno.EDQUOT):
            if os.strerror(number) in str(error):
                raise OSError(number, os.strerror(number), str(target)) from error
        raise


def sha256_file(path: Path) -> str:
    """Hex digest of the content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove_tree(path: Path) -> None:
    """Remove a folder, however its permissions were left; nothing happens if it is not there."""

    def _unlock(function: object, name: str, _error: object) -> None:
        Path(name).parent.chmod(0o700)
        with contextlib.suppress(IsADirectoryError, PermissionError):
            Path(name).chmod(0o700)
        Path(name).rmdir() if Path(name).is_dir() and not Path(name).is_symlink() else Path(name).unlink()

    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        try:
            shutil.rmtree(path, onerror=_unlock)
        except PermissionError:
            if not (words := as_root()):
                raise
            run([*words, "rm", "-rf", "--", path])  # files of a Debian root have several owners
