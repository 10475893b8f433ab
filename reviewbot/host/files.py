# SPDX-License-Identifier: GPL-2.0-or-later
"""Write files so that a reader, or a crash, never sees half of one."""

import contextlib
import ctypes
import errno
import hashlib
import itertools
import os
import re
import shutil
import stat
import tempfile
from pathlib import Path
from typing import BinaryIO

from reviewbot.host.process import run
from reviewbot.host.rootless import as_root

_MANY = 200
"""Files: to sync more of them one by one takes longer than the whole file system."""
_libc = ctypes.CDLL(None, use_errno=True)


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


_PORTABLE = re.compile(rb"[A-Za-z0-9._+=,@~# -]")
_RESERVED = re.compile(r"(?i)(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)")
_LONGEST = 200
"""Bytes of a file's name."""


def portable_name(name: str) -> str:
    """A name that every file system and every uploader of artifacts takes, for one that a stranger chose.

    Other bytes than letters, digits and `._+=,@~# -` become `%XX`, and so does what must not stand at an end; a name
    that gets too long ends with a hash of the whole. Different names stay different, but for their case.
    """
    data = name.encode(errors="surrogateescape")
    made = "".join(chr(byte) if _PORTABLE.match(bytes((byte,))) else f"%{byte:02X}" for byte in data)
    made = re.sub(r"^[ ~-]|[. ]$", lambda found: f"%{ord(found[0]):02X}", made)
    if _RESERVED.match(made):
        made = f"%{ord(made[0]):02X}{made[1:]}"
    if len(made) > _LONGEST:
        made = f"{made[: _LONGEST - 17]}~{hashlib.sha256(data).hexdigest()[:16]}"
    return made


def read_regular(path: Path, limit: int = 16 << 20) -> str:
    """Text of a file that something untrusted wrote: no link is followed, at most `limit` bytes are read.

    Raises OSError when it is not there or anything but a plain file.
    """
    return read_regular_bytes(path, limit).decode(errors="replace")


def read_regular_bytes(path: Path, limit: int) -> bytes:
    """As `read_regular`, undecoded."""
    with _open_regular(path) as file:
        return file.read(limit)


def copy_regular(source: Path, target: Path, limit: int) -> None:
    """The same into a file, whose folder is made; little of it is in memory at once."""
    with _open_regular(source) as file:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as copy:
            while block := file.read(min(limit, 1 << 20)):
                copy.write(block)
                limit -= len(block)


def _open_regular(path: Path) -> BinaryIO:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "not a plain file", str(path))
    return os.fdopen(handle, "rb")


def sync_tree(folder: Path) -> None:
    """Return when all that is below a folder is on the disk. Raises OSError."""
    paths = [Path(above) / name for above, _, names in os.walk(folder) for name in ("", *names)]
    try:
        if len(paths) < _MANY:
            for path in paths:
                if not path.is_symlink() and (path.is_file() or path.is_dir()):
                    sync(path)
            return
    except PermissionError:  # of another owner, in a Debian root
        pass
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _libc.syncfs(handle):
            raise OSError(ctypes.get_errno(), "cannot be written to the disk", str(folder))
    finally:
        os.close(handle)


def sync(path: Path) -> None:
    """Return when a file, or the names in a folder, are on the disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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
    """Remove a folder, however deep it is and however its permissions were left; nothing happens if it is not there.

    No link in it is followed, so it may come from something untrusted that does not run any more.
    """
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    try:
        _flatten(path)
    except PermissionError:
        if not (words := as_root()):
            raise
        run([*words, "rm", "-rf", "--", path])  # files of a Debian root have several owners


def _flatten(top: Path) -> None:
    """Remove a folder; one inside another is moved up first, so that no path gets long and nothing recurs."""
    names = (f".removed-{number}" for number in itertools.count())
    left = [top]
    while left:
        folder = left[-1]
        folder.chmod(0o700)
        moved = []
        for entry in list(os.scandir(folder)):
            if not entry.is_dir(follow_symlinks=False):
                Path(entry).unlink()
            elif folder != top:
                Path(entry).chmod(0o700)  # a folder that changes its parent is written to
                moved.append(Path(entry).rename(next(top / name for name in names if not os.path.lexists(top / name))))
            else:
                moved.append(Path(entry))
        if moved:
            left += moved
        else:
            left.pop()
            folder.rmdir()
