# SPDX-License-Identifier: GPL-2.0-or-later
"""Files by the hash of their content: put where others can fetch them, fetched from there, verified, kept with a limit.

A folder of them is `<two digits>/<SHA-256, 64 hex digits>`, so that any web server or object storage can serve a copy.
"""

import contextlib
import errno
import hashlib
import json
import os
import random
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import filelock

from reviewbot.host import cancel
from reviewbot.host.files import sha256_file, write_atomic
from reviewbot.host.locks import locked
from reviewbot.model.errors import InfraError, UsageError

if TYPE_CHECKING:
    import requests

DIGEST = re.compile(r"[0-9a-f]{64}")
LIMIT = 20 << 30
"""Bytes of objects that are kept, by default."""
_LONGEST = 64 << 30
"""Bytes of one object, at most."""
_BLOCK = 1 << 20
_TRUSTED = 24 * 3600.0
"""Seconds after which an object is read again, though nothing seems to have changed."""
_YOUNG = 6 * 3600.0
"""Seconds since its last use in which an object is not removed, whatever the limit says: a shard may run that long."""
_TRIES = 6
_PAUSE = 1.0
"""Seconds; the n-th pause is at random up to 2^n times as long, so that a hundred workers do not come back at once."""
_TIMEOUT = (10.0, 60.0)


class ObjectMissing(InfraError):
    """No source has it, or what they have is something else."""


class Objects:
    """The objects of one folder."""

    def __init__(self, root: Path, limit: int = LIMIT) -> None:
        self.root, self.limit = root, limit

    def path(self, digest: str) -> Path:
        """Where it is, or would be. Raises ValueError for what is no SHA-256."""
        if not DIGEST.fullmatch(digest):
            raise ValueError(f"not a SHA-256: {digest[:80]!r}")
        return self.root / digest[:2] / digest

    def put(self, source: Path, digest: str) -> Path:
        """Put a file there, by another name of it where that is possible. digest: of its content, which is believed."""
        target = self.path(digest)
        if not _used_again(target):
            with _new(target) as made:
                try:
                    os.link(source, made)
                except OSError:
                    _copied(source, made)
        return target

    def put_bytes(self, content: bytes) -> str:
        """Its SHA-256."""
        digest = hashlib.sha256(content).hexdigest()
        if not _used_again(target := self.path(digest)):
            write_atomic(target, content)
        return digest

    def get(self, digest: str, sources: Sequence[str]) -> Path:
        """The object, which is what its name says: from here, or fetched once from the first source that has it.

        sources: URLs and folders. Raises ObjectMissing, OSError, Stopping, UsageError for what is no URL.
        """
        target = self.path(digest)
        with self._lock(digest):
            read = self._verified(target, digest) if target.is_file() else 0.0
            if not read:
                self._fetch(target, digest, sources)
                read = time.time()
            with contextlib.suppress(OSError):
                os.utime(target)
                write_atomic(_noted(target), json.dumps({"stamp": _stamp(target), "time": read}))
        self.trim()
        return target

    def _lock(self, digest: str, timeout: float = -1) -> AbstractContextManager[None]:
        return locked(self.root / "locks" / f"{digest}.lock", timeout=timeout)

    def _fetch(self, target: Path, digest: str, sources: Sequence[str]) -> None:
        problems: list[str] = []
        for source in sources:
            try:
                with _new(target) as made:
                    if _from(source, digest, made) != digest:
                        raise OSError("returned other content")
                return
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise
                problems.append(f"{source}: {error.strerror or error}")
        raise ObjectMissing(
            f"object {digest[:12]} is unavailable: {'; '.join(problems) or 'no store was named'}",
            hint="`reviewbot store serve` on the host of the run serves it" if problems else "name a --store",
        )

    @staticmethod
    def _verified(path: Path, digest: str) -> float:
        """When its content was last seen to be what its name says: now, where it changed, each day and after each boot.

        0: it is something else, and gone.
        """
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            noted = json.loads(_noted(path).read_bytes())
            if noted["stamp"] == _stamp(path) and 0 <= time.time() - noted["time"] < _TRUSTED:
                return float(noted["time"])
        if sha256_file(path) != digest:
            path.unlink()
            return 0.0
        return time.time()

    def trim(self) -> None:
        """Remove what was not used for longest, until the rest is within the limit."""
        kept = [(path.stat(), path) for path in self]
        total = sum(found.st_blocks * 512 for found, _ in kept)
        for found, path in sorted(kept, key=lambda one: one[0].st_mtime):
            if total <= self.limit or time.time() - found.st_mtime < _YOUNG:
                return
            with contextlib.suppress(filelock.Timeout, FileNotFoundError), self._lock(path.name, timeout=0):
                if path.stat().st_mtime == found.st_mtime:  # nobody has taken it meanwhile
                    path.unlink()
                    total -= found.st_blocks * 512
                    _noted(path).unlink()

    def __iter__(self) -> Iterator[Path]:
        return (path for path in self.root.glob("??/*") if DIGEST.fullmatch(path.name))


def check_source(source: str) -> None:
    """Raises UsageError for what is neither a URL that we speak nor a folder."""
    if "://" in source and not source.startswith(("http://", "https://")):
        raise UsageError(f"not a store: {source}", hint="http://HOST:PORT, https://… or a folder")


@contextlib.contextmanager
def _new(target: Path) -> Iterator[Path]:
    """Path beside the target of a file that gets its name when the block ends without raising."""
    target.parent.mkdir(parents=True, exist_ok=True)
    made = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        yield made
        made.replace(target)
    finally:
        made.unlink(missing_ok=True)


def _from(source: str, digest: str, made: Path) -> str:
    """Fill a file from one source. Its SHA-256. Raises OSError."""
    check_source(source)
    if "://" not in source:
        return _copied(Path(source) / digest[:2] / digest, made)
    import requests  # 50 ms that only a worker without the object pays

    pauses = 0
    while True:
        cancel.check()
        try:
            with requests.get(f"{source.rstrip('/')}/{digest[:2]}/{digest}", stream=True, timeout=_TIMEOUT) as answer:
                if answer.status_code == 200:
                    return _received(answer, made)
                problem = f"status {answer.status_code}"
                if answer.status_code not in (408, 425, 429) and answer.status_code < 500:
                    raise OSError(problem)
        except requests.RequestException as error:
            problem = type(error).__name__
        pauses += 1
        if pauses == _TRIES:
            raise OSError(problem)
        time.sleep(random.uniform(0, _PAUSE * 2**pauses))


def _received(answer: "requests.Response", made: Path) -> str:
    """Raises OSError when it is longer than anything of ours."""
    with made.open("wb") as file:
        return _written(answer.iter_content(_BLOCK), file.fileno(), made)


def _copied(source: Path, made: Path) -> str:
    with source.open("rb") as given, made.open("wb") as file:
        return _written(iter(lambda: given.read(_BLOCK), b""), file.fileno(), made)


def _written(blocks: Iterator[bytes], handle: int, made: Path) -> str:
    """Write blocks to a file, those of nothing but zeros as holes. SHA-256 of all. Raises OSError."""
    digest, length = hashlib.sha256(), 0
    for block in blocks:
        digest.update(block)
        if block.count(0) != len(block):
            os.pwrite(handle, block, length)
        length += len(block)
        if length > _LONGEST:
            raise OSError("it has no end")
    os.truncate(handle, length)
    os.fsync(handle)
    return digest.hexdigest()


def _used_again(path: Path) -> bool:
    """Whether it is there; a file of our own is as good as new then, for whoever removes what is old."""
    try:
        if path.stat().st_nlink == 1:
            os.utime(path)
    except FileNotFoundError:
        return False
    return True


def _noted(path: Path) -> Path:
    """What is known of an object's content."""
    return path.with_name(f"{path.name}.ok")


def _stamp(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ino]
