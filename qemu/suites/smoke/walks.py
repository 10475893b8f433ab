# SPDX-License-Identifier: GPL-2.0-or-later
"""Random operations on one file, always the same ones, and what they must leave of its bytes."""

import contextlib
import errno
import mmap as mapping
import os
import random
from collections.abc import Callable, Iterator

from guest import Failed, folder

from smoke.features import KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE, fallocate, wrong_edges
from smoke.metadata import drop_caches

_SEED = 6
_PAGE = 4096
_LONGEST = 40 * _PAGE
"""Bytes that the file may have: few, so that operations meet."""
_COUNT = 300
"""Operations."""
_ALLOCATIONS = {
    "fallocate(2)": 0,
    "KEEP_SIZE": KEEP_SIZE,
    "PUNCH_HOLE": PUNCH_HOLE | KEEP_SIZE,
    "ZERO_RANGE": ZERO_RANGE,
    "ZERO_RANGE|KEEP_SIZE": ZERO_RANGE | KEEP_SIZE,
}
_HOLES = PUNCH_HOLE | ZERO_RANGE


def data() -> None:
    """Writes, cuts, mappings, O_DIRECT, allocation, holes and copies of one file: each byte is what a model says."""
    walk = take(folder("random-data") + "/f", _SEED, _COUNT)
    print(f"{_COUNT} operations on {len(walk.model)} bytes")


def take(path: str, seed: int, count: int) -> "_Walk":
    """So many operations on a file. Raises Failed."""
    walk = _Walk(path, random.Random(seed))
    try:
        for number in range(count):
            walk.step(number)
        walk.whole()
    finally:
        walk.close()
    return walk


@contextlib.contextmanager
def lacking() -> Iterator[None]:
    """A filesystem that does not have an operation says so in one of these ways; any other refusal is a failure."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
            raise


class _Walk:
    def __init__(self, path: str, dice: random.Random) -> None:
        self.path, self.dice, self.model = path, dice, bytearray()
        self.handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
        self.reader = os.open(path, os.O_RDONLY)
        self.log: list[tuple[str, int, int]] = []
        """What was done, from and to which byte."""
        self.ways: list[Callable[[int, int], str]] = [self._append, self._map, self._map, self._cut, self._cut]
        self.ways += [
            *[self._write] * 4,
            self._copy,
            self._sync,
            self._reopen,
            *self._direct_ways(),
            *self._allocations(),
        ]

    def close(self) -> None:
        os.close(self.handle)
        os.close(self.reader)

    def step(self, number: int) -> None:
        """One operation, and a look at some of the file."""
        start = self.dice.choice((0, self.dice.randrange(_LONGEST), self.dice.randrange(_LONGEST) & -_PAGE))
        if len(self.model) < _LONGEST and not self.dice.randrange(3):
            start = len(self.model)
        length = self.dice.choice((1, 511, _PAGE, 2 * _PAGE, 1 + self.dice.randrange(5 * _PAGE)))
        end = min(start + length, _LONGEST)
        if start < end:
            self.log.append((self.dice.choice(self.ways)(start, end - start), start, end))
        size = os.fstat(self.reader).st_size
        if size != len(self.model):
            self._wrong(f"the size is {size}, expected {len(self.model)}", min(size, len(self.model)))
        self._look(self.dice.randrange(_LONGEST), 3 * _PAGE)
        if number % 20 == 19:
            drop_caches(3)
            self.whole()

    def whole(self) -> None:
        self._look(0, 2 * _LONGEST)

    def _look(self, at: int, length: int) -> None:
        self._same("read(2)", os.pread(self.reader, length, at), at, at + length)

    def _same(self, how: str, got: bytes, at: int, end: int) -> None:
        """Raises Failed when what was got from one byte to another is not that of the model."""
        wanted = self.model[at:end]
        if got == wanted:
            return
        ends = min(len(got), len(wanted))
        here = next((n for n in range(ends) if got[n] != wanted[n]), ends)
        if here < ends:
            words = f"has {got[here]:#04x} at byte {at + here}, expected {wanted[here]:#04x}"
        else:
            words = f"from byte {at} on has {len(got)} bytes, expected {len(wanted)}"
        self._wrong(f"{how} {words}", at + here)

    def _wrong(self, what: str, at: int) -> None:
        """Raises Failed with the last operations, and the last of those on this byte."""
        done = [f"{words} {start}-{end}" for words, start, end in self.log]
        touched = [line for line, (_, start, end) in zip(done, self.log, strict=True) if start <= at < end]
        raise Failed(
            f"{what}, after {len(done)} operations; the last: {', '.join(done[-3:])}; "
            f"the last there: {', '.join(touched[-3:]) or 'none'}"
        )

    def _put(self, start: int, content: bytes) -> None:
        if start > len(self.model):
            self.model += bytes(start - len(self.model))
        self.model[start : start + len(content)] = content

    def _write(self, start: int, length: int) -> str:
        content = self.dice.randbytes(length)
        os.pwrite(self.handle, content, start)
        self._put(start, content)
        return "write(2)"

    def _append(self, start: int, length: int) -> str:
        content = self.dice.randbytes(min(length, _LONGEST - len(self.model)))
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        os.write(handle, content)
        os.close(handle)
        self._put(len(self.model), content)
        return "O_APPEND"

    def _map(self, start: int, length: int) -> str:
        """Through a mapping, of what the file has there."""
        end = min(start + length, len(self.model))
        if start >= end:
            return self._write(start, length)
        content = self.dice.randbytes(end - start)
        with mapping.mmap(self.handle, len(self.model)) as seen:
            self._same("a mapping", seen[start:end], start, end)
            seen[start:end] = content
        self._put(start, content)
        return "mmap(2)"

    def _cut(self, start: int, length: int) -> str:
        os.truncate(self.path, start)
        del self.model[start:]
        self.model += bytes(start - len(self.model))
        return "truncate(2)"

    def _copy(self, start: int, length: int) -> str:
        """From elsewhere in the file, which does not overlap."""
        source = self.dice.randrange(max(1, len(self.model)))
        length = min(length, len(self.model) - source, abs(start - source))
        done = 0
        while done < length:
            step = os.copy_file_range(self.handle, self.handle, length - done, source + done, start + done)
            if not step:
                raise Failed(f"copy_file_range(2) of {length} bytes ends after {done}")
            done += step
        if length > 0:
            self._put(start, bytes(self.model[source : source + length]))
        return "copy_file_range(2)"

    def _sync(self, start: int, length: int) -> str:
        self.dice.choice((os.fsync, os.fdatasync))(self.handle)
        return "fsync(2)"

    def _reopen(self, start: int, length: int) -> str:
        self.close()
        self.handle, self.reader = os.open(self.path, os.O_RDWR), os.open(self.path, os.O_RDONLY)
        return "open(2)"

    def _direct_ways(self) -> list[Callable[[int, int], str]]:
        found: list[Callable[[int, int], str]] = []
        with lacking():
            os.close(os.open(self.path, os.O_RDWR | os.O_DIRECT))
            found += [self._direct, self._direct]
        return found

    def _direct(self, start: int, length: int) -> str:
        """Whole pages, which are read as well."""
        start, length = start & -_PAGE, max(_PAGE, length & -_PAGE)
        handle = os.open(self.path, os.O_RDWR | os.O_DIRECT)
        with mapping.mmap(-1, length) as buffer:
            got = os.preadv(handle, [buffer], start)
            self._same("O_DIRECT", buffer[:got], start, start + length)
            buffer[:] = content = self.dice.randbytes(length)
            os.pwritev(handle, [buffer], start)
        os.close(handle)
        self._put(start, content)
        return "O_DIRECT"

    def _allocations(self) -> list[Callable[[int, int], str]]:
        """Those kinds of fallocate(2) that the filesystem has; of whole pages where it gets others wrong (`punch`)."""
        found: list[Callable[[int, int], str]] = []
        for words, mode in _ALLOCATIONS.items():
            with lacking():
                fallocate(self.handle, mode, 0, _PAGE)
                found.append(
                    self._allocation(words, mode, whole=bool(mode & _HOLES and wrong_edges(self.handle, mode)))
                )
        os.ftruncate(self.handle, 0)
        return found

    def _allocation(self, words: str, mode: int, *, whole: bool) -> Callable[[int, int], str]:
        def act(start: int, length: int) -> str:
            if whole:
                start, length = start & -_PAGE, max(_PAGE, length & -_PAGE)
            fallocate(self.handle, mode, start, length)
            if not mode & KEEP_SIZE and start + length > len(self.model):
                self.model += bytes(start + length - len(self.model))
            if mode & _HOLES:
                end = min(start + length, len(self.model))
                self.model[start:end] = bytes(max(0, end - start))
            return words

        return act


CHECKS = {"random-data": data}
