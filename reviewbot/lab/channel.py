# SPDX-License-Identifier: GPL-2.0-or-later
"""What the guest says on its ports, taken with distrust: it runs code under test."""

import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, cast

MAX_LINE = 1 << 20
"""Bytes of one JSON line; a longer one is not ours."""
MAX_FILES = 64 << 20
"""Bytes of one step's files."""


@dataclass(slots=True)
class Lines:
    """Bytes in, messages with the right nonce out; everything else is counted."""

    nonce: str
    rest: bytes = b""
    strange: int = 0
    """Lines that were no message of this job."""

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Whole messages in `data` and what was left of earlier data."""
        found = []
        *lines, self.rest = (self.rest + data).split(b"\n")
        if len(self.rest) > MAX_LINE:
            self.rest, self.strange = b"", self.strange + 1
        for line in lines:
            message = self._parse(line)
            if message is None:
                self.strange += bool(line.strip())
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

    def feed(self, data: bytes) -> list[tuple[str, bytes]]:
        """Whole frames so far. A frame that lies about its size spoils what follows, never us."""
        self.buffer += data
        found: list[tuple[str, bytes]] = []
        while True:
            if self.header is None:
                end = self.buffer.find(b"\n")
                if end < 0:
                    if len(self.buffer) > MAX_LINE:
                        self.buffer.clear()
                        self.strange += 1
                    return found
                line = bytes(self.buffer[:end])
                del self.buffer[: end + 1]
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


def unpack(archive: bytes, folder: Path, step: str) -> int:
    """Write the plain files of one step's archive below `folder/step`; returns how many were refused.

    Links, devices, absolute names and `..` are refused, and what is not of this step.
    """
    refused = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
            for member in tar:
                path = PurePosixPath(member.name)
                inside = path.parts[: len(PurePosixPath(step).parts)] == PurePosixPath(step).parts
                if not member.isfile() or path.is_absolute() or ".." in path.parts or not inside:
                    refused += 1
                    continue
                reader = tar.extractfile(member)
                target = folder.joinpath(*(part[:200] for part in path.parts))
                try:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(reader.read() if reader else b"")
                except (FileExistsError, NotADirectoryError, IsADirectoryError, ValueError):
                    refused += 1
    except (tarfile.TarError, ValueError, EOFError):
        refused += 1
    return refused


def unpack_disk(disk: Path, folder: Path, steps: frozenset[str]) -> int:
    """Files of a results disk whose machine was lost; only of known steps. Returns how many files there were."""
    count = 0
    try:
        with tarfile.open(disk, mode="r:") as tar:
            for member in tar:
                step = next((s for s in steps if member.name.startswith(s + "/")), None)
                if step is None or not member.isfile() or ".." in PurePosixPath(member.name).parts:
                    continue
                reader = tar.extractfile(member)
                target = folder / member.name
                if reader and not target.exists():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(reader.read(MAX_FILES))
                    count += 1
    except (tarfile.TarError, ValueError, EOFError, OSError):
        return count
    return count
