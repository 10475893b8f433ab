# SPDX-License-Identifier: GPL-2.0-or-later
"""The only way out of a box.

What code in a box wrote is not opened, walked or removed by the host. A clean box, in which nothing of it runs, streams
it as a tar archive; the host reads the stream and nothing else. Plain files, folders, and links that stay inside are
written anew as the host's own, with modes and times that do not depend on what the box chose. Anything else is refused
as a whole.
"""

import hashlib
import os
import tarfile
import tempfile
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from reviewbot.host.limits import rules
from reviewbot.host.process import LimitExceeded
from reviewbot.host.sandbox import Bind, Sandbox
from reviewbot.host.tars import BadHeader, Header
from reviewbot.model.errors import DiskFull, InfraError

Why = Literal["kind", "bits", "leaves", "circle", "name", "depth", "number", "size", "unreadable", "twice", "missing"]
WORDS: Mapping[Why, str] = {
    "kind": "is neither a plain file nor a folder nor a link",
    "bits": "has a set-uid, set-gid or sticky bit",
    "leaves": "is a symlink that points outside",
    "circle": "is a symlink that points to itself",
    "name": "has a name that is too long or has invalid characters",
    "depth": "is nested too deeply",
    "number": "exceeds the maximum number of files",
    "size": "is too large, by itself or in total",
    "unreadable": "cannot be read",
    "twice": "exists twice",
    "missing": "is not there",
}
_COMPLAINTS: Mapping[str, Why] = {
    "socket ignored": "kind",
    "Permission denied": "unreadable",
    "No such file or directory": "missing",
}
"""Of tar, about what it could not put into the archive."""
_TIME = 0
"""Of all that is written, in seconds since 1970: two builds that made the same leave the same."""
_PER_ENTRY = 4 << 10
"""Bytes that the stream has per entry beside its content."""
_LINKS = 40
"""Links on the way to a file, as for the kernel."""
_LIMIT = 900.0
_OUT = "/out"


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one product."""

    size: int = 4 << 30
    """Bytes of all files."""
    number: int = 100_000
    """Files, folders and links."""
    depth: int = 64
    """Folders on the way to a file."""
    path: int = 1024
    """Bytes of a whole path."""


PRODUCT = Limits()


@dataclass(frozen=True, slots=True)
class File:
    """A plain file that was accepted."""

    size: int
    sha256: str
    """Hex."""
    executable: bool


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a box may hand over. Paths are relative, with `/` between their parts."""

    files: Mapping[str, File] = field(default_factory=dict)
    folders: frozenset[str] = frozenset()
    links: Mapping[str, str] = field(default_factory=dict)
    """Path -> target, relative to the folder of the link."""

    @property
    def paths(self) -> frozenset[str]:
        """Of all three."""
        return self.folders.union(self.files, self.links)


class Refused(InfraError):
    """A box wrote what may not come out. Nothing of it was kept."""

    def __init__(self, path: str, why: Why) -> None:
        super().__init__(f"{shown(path)} {WORDS[why]}")
        self.path, self.why = path, why


def shown(path: str) -> str:
    """A path as it may stand in a line: without control characters, and not too long."""
    plain = "".join(c if _printable(c) else f"\\x{ord(c):02x}" for c in path)
    return plain if len(plain) <= 160 else f"{plain[:80]}…{plain[-79:]}"


def take(
    box: Sandbox,
    source: Path,
    target: Path,
    limits: Limits = PRODUCT,
    *,
    names: Sequence[str] = (".",),
    absolute: str = "",
) -> Accepted:
    """Copy what a box wrote into `target`, as files of the host: modes 0644 or 0755, no owner of their own.

    box: of the build root that `source` was made in; a new one is started. target: not there, or a folder that has
    nothing of the same name. names: what of `source` is wanted. absolute: a folder of `source` that will be one of the
    root: if it is `stack`, links in it to `/stack/…` are written as relative ones, and those that leave it refused.
    Raises Refused, and then `target` is as before; InfraError, OSError.
    """
    # Below a folder that is the caller's already: what lies beside it may be swept as a leaving.
    with tempfile.TemporaryDirectory(prefix=".gate-", dir=target if target.is_dir() else target.parent) as room:
        stream = _stream(box, source, Path(room), limits, names)
        made = Path(room) / "taken"
        made.mkdir()
        made.chmod(0o755)
        with stream.open("rb") as file:
            accepted = _Taking(made, limits, absolute).read(file)
        stream.unlink()
        if not target.exists():
            made.rename(target)
            return accepted
        for entry in made.iterdir():
            if os.path.lexists(target / entry.name):
                raise Refused(entry.name, "twice")
        for entry in made.iterdir():
            entry.rename(target / entry.name)
    return accepted


def take_text(box: Sandbox, source: Path, name: str, limit: int = 16 << 20) -> str:
    """One small file that a box wrote into `source`. Raises Refused, InfraError, OSError."""
    with tempfile.TemporaryDirectory(prefix="reviewbot-") as room:
        taken = Path(room) / "taken"
        accepted = take(box, source, taken, Limits(size=limit, number=8), names=(name,))
        if name not in accepted.files:
            raise Refused(name, "kind")
        return (taken / name).read_text(errors="replace")


def _stream(box: Sandbox, source: Path, room: Path, limits: Limits, names: Sequence[str]) -> Path:
    """The archive, made by the build root's own tar in a box of its own."""
    stream, said = room / "stream", room / "said"
    most = limits.size + limits.number * _PER_ENTRY + (1 << 20)
    try:
        done = box.run(
            ["tar", "--create", "--file=-", "--format=gnu", "--sort=name", "--hard-dereference", "--numeric-owner",
             "--no-xattrs", "--no-acls", "--no-selinux", "--quoting-style=escape", f"--directory={_OUT}", "--", *names],
            binds={_OUT: Bind(source)}, cwd="/", log=said, stdout=stream, log_limit=1 << 20, file_size=most,
            timeout=_LIMIT, check=False,
            limits=replace(rules().limits, output=most + (1 << 20)),
        )  # fmt: skip
    except LimitExceeded as error:  # of the host's making: nothing of the build runs there
        raise InfraError(f"the build result could not be read from the sandbox: {error}") from error
    if stream.stat().st_size >= most:
        raise Refused(str(names[0]), "size")
    words = said.read_text(errors="replace") if said.exists() else ""
    for line in words.splitlines():
        _complain(line)
    if done.status or words:
        raise InfraError(
            f"the build result cannot be read from the sandbox: {words.strip() or f'status {done.status}'}"
        )
    return stream


def _complain(line: str) -> None:
    """Raises Refused for what the build is to blame for, DiskFull, or nothing."""
    name, _, what = line.removeprefix("tar: ").rpartition(": ")
    if line.startswith("tar: -: ") and what == "No space left on device":
        raise DiskFull("tar")
    name = name.removesuffix(": Cannot open").removesuffix(": Cannot stat").removeprefix("./")
    if line.startswith("tar: ") and what in _COMPLAINTS:
        raise Refused(name, _COMPLAINTS[what])


class _Taking:
    """Writes what is allowed of a stream into an empty folder."""

    def __init__(self, target: Path, limits: Limits, absolute: str) -> None:
        self.target, self.limits, self.absolute = target, limits, absolute
        self.files: dict[str, File] = {}
        self.folders: set[str] = {""}
        self.links: dict[str, str] = {}
        self.left = limits.size

    def read(self, stream: "tarfile._Fileobj") -> Accepted:
        for archive, entry in _entries(stream):
            self._take(archive, entry)
        self._follow()
        for name, link in self.links.items():
            (self.target / name).symlink_to(link)
            os.utime(self.target / name, (_TIME, _TIME), follow_symlinks=False)
        for name in sorted(self.folders, reverse=True):
            os.utime(self.target / name, (_TIME, _TIME))
        return Accepted(self.files, frozenset(self.folders - {""}), self.links)

    def _follow(self) -> None:
        """Raises Refused for a link that leaves the folder, or the one named `absolute` if it is in there."""
        top = f"{self.absolute}/"
        inside = {name.removeprefix(top): link for name, link in self.links.items() if name.startswith(top)}
        for name in self.links:
            try:
                if name.startswith(top):
                    follow(name.removeprefix(top), inside)
                else:
                    follow(name, self.links)
            except Refused as refused:
                raise Refused(name, refused.why) from None

    def _take(self, archive: tarfile.TarFile, entry: tarfile.TarInfo) -> None:
        name = entry.name.removeprefix("./")
        if name in ("", "."):
            return
        self._check(name)
        if entry.isdir():
            self.folders.add(name)
            (self.target / name).mkdir()
            (self.target / name).chmod(0o755)
        elif entry.issym():
            self.links[name] = self._relative(name, entry.linkname)
        elif entry.isreg() and not entry.issparse():
            if entry.mode & 0o7000:
                raise Refused(name, "bits")
            self.files[name] = self._copy(archive, entry, name)
        else:
            raise Refused(name, "kind")

    def _check(self, name: str) -> None:
        """Whether there may be something of this name."""
        if len(self.files) + len(self.folders) + len(self.links) > self.limits.number:
            raise Refused(name, "number")
        parts = name.split("/")
        if len(parts) > self.limits.depth:
            raise Refused(name, "depth")
        if not _named(name, self.limits.path):
            raise Refused(name, "name")
        if name in self.files or name in self.folders or name in self.links:
            raise Refused(name, "twice")
        if "/".join(parts[:-1]) not in self.folders:  # below a link, or below what is not wanted
            for number in range(1, len(parts)):
                above = "/".join(parts[:number])
                if above in self.files or above in self.links:
                    raise Refused(name, "leaves")
                if above not in self.folders:
                    self.folders.add(above)
                    (self.target / above).mkdir()
                    (self.target / above).chmod(0o755)

    def _copy(self, archive: tarfile.TarFile, entry: tarfile.TarInfo, name: str) -> File:
        if entry.size > self.left:
            raise Refused(name, "size")
        self.left -= entry.size
        source = archive.extractfile(entry)
        assert source is not None
        digest, executable = hashlib.sha256(), bool(entry.mode & 0o111)
        handle = os.open(self.target / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
        with os.fdopen(handle, "wb") as file:
            while chunk := source.read(1 << 20):
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fchmod(handle, 0o755 if executable else 0o644)
            os.utime(handle, (_TIME, _TIME))
        return File(entry.size, digest.hexdigest(), executable)

    def _relative(self, name: str, link: str) -> str:
        """The target as it is written. Raises Refused for an absolute one that leads elsewhere."""
        if not _printed(link, self.limits.path):
            raise Refused(name, "name")
        if not link.startswith("/"):
            return link
        parts = [part for part in link.split("/") if part not in ("", ".")]
        if not self.absolute or parts[:1] != [self.absolute] or ".." in parts:
            raise Refused(name, "leaves")
        if name.startswith(f"{self.absolute}/"):
            return "/".join([*[".."] * (name.count("/") - 1), *parts[1:]]) or "."
        return "/".join([*[".."] * name.count("/"), *parts])


def follow(name: str, links: Mapping[str, str]) -> str:
    """Where a path leads when every link on the way is followed, whether there is anything or not.

    links: path -> relative target. Raises Refused for one that leaves, or never ends.
    """
    left, followed = name.split("/")[::-1], 0
    at: list[str] = []
    while left:
        part = left.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if not at:
                raise Refused(name, "leaves")
            at.pop()
            continue
        at.append(part)
        if (target := links.get("/".join(at))) is not None:
            followed += 1
            if followed > _LINKS:
                raise Refused(name, "circle")
            if target.startswith("/"):
                raise Refused(name, "leaves")
            at.pop()
            left += target.split("/")[::-1]
    return "/".join(at)


def _entries(stream: "tarfile._Fileobj") -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Raises Refused for a stream that is no archive."""
    try:
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=Header, encoding="utf-8") as archive:
            for entry in archive:
                yield archive, entry
    except BadHeader as error:
        raise Refused(error.name, "name") from error
    except (tarfile.TarError, UnicodeError, ValueError) as error:
        raise Refused("", "unreadable") from error


def _named(path: str, most: int) -> bool:
    """Whether every file system, terminal and archive takes it."""
    parts = path.split("/")
    return _printed(path, most) and not {"", ".", ".."} & set(parts) and all(len(p.encode()) <= 255 for p in parts)


def _printed(text: str, most: int) -> bool:
    """Whether it is text of so many bytes."""
    return len(text) <= most and all(map(_printable, text)) and len(text.encode()) <= most


def _printable(character: str) -> bool:
    return unicodedata.category(character)[0] not in "CZ" or character == " "
