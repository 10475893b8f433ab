# SPDX-License-Identifier: GPL-2.0-or-later
"""A result and its logs as lines of text, for engines that bring back nothing but what a program printed."""

import base64
import errno
import gzip
import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from reviewbot.host.files import write_atomic
from reviewbot.host.tars import Header
from reviewbot.model.shard import ShardResult

BEGIN, END = "-----BEGIN REVIEWBOT RESULT-----", "-----END REVIEWBOT RESULT-----"
RESULT, LOGS, STATUS = "result.json", "result.logs", "status"
"""In the folder that a parcel is unpacked to: the result, its logs, and perhaps the exit status of `run-shard`."""
LOG = "log.txt"
"""What a worker printed, where an engine keeps that."""
LIMIT = 6 << 20
"""Bytes of a parcel before it becomes text; container logs are cut at ten MiB."""
_MOST = 512 << 20
"""Bytes that come out of one."""
_MOST_FILES = 50_000
_LINE = re.compile(r"[A-Za-z0-9+/=]{1,200}")
_WIDTH = 120
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Others take as much memory as the archive says."""
_CODECS = (tarfile.TarError, zipfile.BadZipFile, zlib.error)
"""What is raised of damaged archives that is no ValueError."""


class BadParcel(ValueError):
    """Text that no worker of ours printed."""


def pack(result: ShardResult, logs: Path) -> str:
    """Logs that do not fit are left out, the largest first."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz", format=tarfile.GNU_FORMAT) as tar:
        _add(tar, RESULT, result.model_dump_json().encode())
        files = [path for path in logs.rglob("*") if path.is_file() and not path.is_symlink()]
        for path in sorted(files, key=lambda path: path.stat().st_size):
            room = LIMIT - made.tell()
            content = path.read_bytes() if path.stat().st_size < 16 * LIMIT else b""
            if content and len(gzip.compress(content)) < room - (64 << 10):
                _add(tar, f"{LOGS}/{path.relative_to(logs)}", content)
    text = base64.b64encode(made.getvalue()).decode()
    lines = [text[place : place + _WIDTH] for place in range(0, len(text), _WIDTH)]
    return "\n".join((BEGIN, *lines, END, ""))


def unpack(text: str, folder: Path) -> Path:
    """The file of the result; its logs are beside it. Raises BadParcel, OSError."""
    inside = text.rpartition(BEGIN)[2].partition(END)
    if BEGIN not in text or not inside[1]:
        raise BadParcel("it returned no result")
    lines = [line.strip() for line in inside[0].splitlines()]
    try:
        data = base64.b64decode("".join(line for line in lines if _LINE.fullmatch(line)), validate=True)
        inner = _Bounded(gzip.GzipFile(fileobj=io.BytesIO(data)))
        with tarfile.open(fileobj=inner, mode="r|", tarinfo=Header) as tar:
            for name, content in _members(tar):
                write_atomic(folder / name, content)
    except (ValueError, EOFError, OSError, *_CODECS) as error:
        raise _bad(error) from error
    return folder / RESULT


def unzip(archive: Path, folder: Path) -> Path:
    """The same of an archive that has the files as they are. Raises BadParcel, OSError."""
    try:
        with zipfile.ZipFile(archive) as found:
            if any(one.compress_type not in _METHODS for one in found.infolist()):
                raise BadParcel("its result is not packed as reviewbot packs it")
            members = [one for one in found.infolist() if is_ours(one.filename) and not one.is_dir()]
            if len(members) > _MOST_FILES or sum(one.file_size for one in members) > _MOST:
                raise BadParcel("its result is too large")
            for one in members:
                # An entry may claim to be smaller than it is: no more is read than it says.
                with found.open(one) as file:
                    write_atomic(folder / one.filename, file.read(one.file_size))
    except (ValueError, EOFError, OSError, RuntimeError, *_CODECS) as error:
        raise _bad(error) from error
    return folder / RESULT


def is_ours(name: str) -> bool:
    """Whether a name in an archive is that of a result, or of a file among its logs: none leads out of the folder."""
    parts = PurePosixPath(name).parts
    plain = "/".join(parts) == name and ".." not in parts and "\0" not in name and len(name) < 400
    return plain and (name in (RESULT, STATUS) or (len(parts) > 1 and parts[0] == LOGS))


def _bad(error: Exception) -> Exception:
    """A full disk is not the worker's fault."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return error
    return error if isinstance(error, BadParcel) else BadParcel(f"its result cannot be unpacked: {str(error)[:100]}")


def _members(tar: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    for number, member in enumerate(tar):
        if number > _MOST_FILES:
            raise BadParcel("its result has too many files")
        # A sparse file is as large as it says, however little of it was sent.
        plain = member.isreg() and not member.issparse()
        file = tar.extractfile(member) if plain and is_ours(member.name) else None
        if file:
            yield member.name, file.read()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


class _Bounded(io.RawIOBase):
    """Reads no more than so much of what is inside."""

    def __init__(self, file: gzip.GzipFile) -> None:
        self._file, self._left = file, _MOST

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(self._left + 1 if size < 0 else size)
        self._left -= len(data)
        if self._left < 0:
            raise BadParcel("its result is too large")
        return data
