# SPDX-License-Identifier: GPL-2.0-or-later
"""What the guest says on its ports, taken with distrust: it runs code under test."""

import errno
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, cast

from reviewbot.host.files import portable_name
from reviewbot.host.tars import Header
from reviewbot.lab.room import DEPTH, Room, StepRoom
from reviewbot.model.artifacts import Fact

MAX_LINE = 1 << 20
"""Bytes of one JSON line; a longer one is not ours."""
MAX_FILES = 64 << 20
"""Bytes of one frame."""
_OURS = ("output.txt", "dmesg.txt", "machine.txt")
"""Files of a step's folder that the host writes."""
_BAD_ARCHIVE = (tarfile.TarError, ValueError, EOFError, OverflowError, RecursionError)
"""What tarfile raises over what a stranger made."""


@dataclass(slots=True)
class Lines:
    """Bytes in, messages with the right nonce out; everything else is counted."""

    nonce: str
    rest: bytes = b""
    strange: int = 0
    """Lines that were no message of this job."""
    skipping: bool = False
    """Inside a line that is too long."""

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Whole messages in `data` and what was left of earlier data."""
        found = []
        *lines, self.rest = (self.rest + data).split(b"\n")
        if self.skipping and lines:
            del lines[0]  # its end; it was counted when it grew too long
            self.skipping = False
        if self.skipping or len(self.rest) > MAX_LINE:
            self.strange += not self.skipping
            self.rest, self.skipping = b"", True
        for line in lines:
            message = self._parse(line)
            if message is None:
                self.strange += len(line) > MAX_LINE or bool(line.strip())
            else:
                found.append(message)
        return found

    def _parse(self, line: bytes) -> dict[str, Any] | None:
        if len(line) > MAX_LINE:
            return None
        try:
            message = json.loads(line.decode(errors="replace"))
        except (ValueError, RecursionError):
            return None
        if not isinstance(message, dict) or message.get("nonce") != self.nonce:
            return None
        return cast(dict[str, Any], message)


@dataclass(slots=True)
class Frames:
    """Bytes of the results port in, one `(step, archive)` per frame out."""

    nonce: str
    buffer: bytearray = field(default_factory=bytearray)
    header: dict[str, Any] | None = None
    strange: int = 0
    """Lines that were no header."""
    skipping: bool = False
    """Inside a line that is too long."""

    def feed(self, data: bytes) -> list[tuple[str, bytes]]:
        """Whole frames so far. A frame that lies about its size spoils what follows, never us."""
        self.buffer += data
        found: list[tuple[str, bytes]] = []
        while True:
            if self.header is None:
                end = self.buffer.find(b"\n")
                if end < 0:
                    if self.skipping or len(self.buffer) > MAX_LINE:
                        self.strange += not self.skipping
                        self.buffer.clear()
                        self.skipping = True
                    return found
                line = bytes(self.buffer[:end])
                del self.buffer[: end + 1]
                if self.skipping:
                    self.skipping = False
                    continue
                self.header = self._header(line)
                if self.header is None:
                    self.strange += 1
                    continue
            if len(self.buffer) < self.header["size"]:
                return found
            found.append((self.header["step"], bytes(self.buffer[: self.header["size"]])))
            del self.buffer[: self.header["size"]]
            self.header = None

    def _header(self, line: bytes) -> dict[str, Any] | None:
        for message in Lines(self.nonce).feed(line + b"\n"):
            size = message.get("size")
            if isinstance(size, int) and 0 <= size <= MAX_FILES and isinstance(message.get("step"), str):
                return message
        return None


def text(message: Mapping[str, Any], key: str, limit: int = 64 << 10) -> str:
    """A string of a message, without what a terminal or XML would choke on; empty if it is none."""
    value = message.get(key)
    if not isinstance(value, str):
        return ""
    clean = "".join(c if c in "\n\t" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in value)
    return clean[-limit:]


def number(message: Mapping[str, Any], key: str) -> float:
    """A finite number of a message, or 0."""
    value = message.get(key)
    ok = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e12
    return float(cast(float, value)) if ok else 0.0


def facts(message: Mapping[str, Any]) -> dict[str, Fact]:
    """What a message states in strings and whole numbers, fit for JSON."""
    words = {text({"": key}, ""): value for key, value in message.items() if key not in ("t", "nonce")}
    return {k: text(words, k) if isinstance(v, str) else v for k, v in words.items() if isinstance(v, (str, int))}


def unpack(archive: bytes, folder: Path, step: str, room: StepRoom | None = None) -> int:
    """Write the plain files of one step's archive below `folder/step`; returns how many were refused.

    Links, devices, absolute names and `..` are refused, what is not of this step, names the host itself uses, what lies
    too deep, and what `room` has no room for.
    """
    refused, room = 0, room or StepRoom(Room())
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:", tarinfo=Header) as tar:
            for member in _members(tar):
                reader = tar.extractfile(member) if _plain(member, step) and room.take(member.size) else None
                target = _target(folder, step, member)
                refused += reader is None or not _written(target, reader.read())
    except _BAD_ARCHIVE:
        refused += 1
    return refused


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Its members. A negative size leads back to an earlier header, for ever (CVE-2025-8194)."""
    for member in tar:
        if tar.offset <= member.offset:
            raise tarfile.ReadError("a member ends before it begins")
        yield member


def _plain(member: tarfile.TarInfo, step: str) -> bool:
    """Whether it is a file below the step's folder. A sparse one is not: 512 bytes may stand for terabytes."""
    path, above = PurePosixPath(member.name), PurePosixPath(step).parts
    below = path.parts[len(above) :]
    inside = bool(above and below) and path.parts[: len(above)] == above and below[0] not in _OURS
    inside = inside and len(below) <= DEPTH  # programs that walk the logs may give up, or worse, where it is deep
    return member.isfile() and not member.issparse() and inside and not path.is_absolute() and ".." not in path.parts


def _target(folder: Path, step: str, member: tarfile.TarInfo) -> Path:
    """Where a step's file goes. What the guest called it below its step must be fit for any file system."""
    below = PurePosixPath(member.name).parts[len(PurePosixPath(step).parts) :]
    return folder.joinpath(step, *map(portable_name, below))


def _written(target: Path, content: bytes) -> bool:
    """False when no file can have this name here. Raises OSError when the disk is full."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        return False
    return True


def unpack_disk(disk: Path, folder: Path, steps: frozenset[str], room: Room | None = None) -> int:
    """Files of a results disk whose machine was lost; only of known steps. Returns how many files there were."""
    count, room = 0, room or Room()
    try:
        with tarfile.open(disk, mode="r:", tarinfo=Header) as tar:
            for member in _members(tar):
                step = next((step for step in steps if _plain(member, step)), None)
                if step is None:
                    continue
                reader = tar.extractfile(member)
                target = _target(folder, step, member)
                if reader and not os.path.lexists(target) and room.take(member.size):
                    count += _written(target, reader.read(MAX_FILES))
    except (*_BAD_ARCHIVE, OSError):
        return count
    return count
