# SPDX-License-Identifier: GPL-2.0-or-later
"""Operations that a filesystem may lack: a check each, so that one which is no longer there shows as NOTRUN."""

import ctypes
import errno
import fcntl
import mmap as mapping
import os
import random
import socket
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from guest import NotRun, equal, expect, folder, read, refused, renameat2, supported, write

from smoke.metadata import drop_caches

KIB = 1 << 10
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16
_NOREPLACE = 1
GETFLAGS, _SETFLAGS = 0x80086601, 0x40086602
_IMMUTABLE, _NODUMP = 0x10, 0x40


def punch() -> None:
    """A punched hole reads as zeroes and uses no blocks; what is around it stays."""
    path = _filled("punch")
    with open(path, "r+b") as file:
        before = os.fstat(file.fileno()).st_blocks
        with supported("punching holes", errno.EOPNOTSUPP), _mapped(file.fileno(), 200 * KIB) as seen:
            fallocate(file.fileno(), PUNCH_HOLE | KEEP_SIZE, 100 * KIB + 5, 200 * KIB)
            expect(seen() == bytes(KIB), "what was punched out is still in a mapping")
        expect(os.pread(file.fileno(), KIB, 200 * KIB) == bytes(KIB), "what was punched out is still in the cache")
        os.fsync(file.fileno())
        now = os.fstat(file.fileno())
    expect(now.st_blocks < before, f"a file of {before} blocks has {now.st_blocks} after a hole was punched")
    _compare(path, _PATTERN[: 100 * KIB + 5] + bytes(200 * KIB) + _PATTERN[300 * KIB + 5 :])
    with open(f"{path}2", "w+b") as file:
        wrong = wrong_edges(file.fileno(), PUNCH_HOLE | KEEP_SIZE)
    os.unlink(f"{path}2")
    equal(wrong, "", "holes (start+length) that are more, or less, than that")


def wrong_edges(handle: int, mode: int) -> str:
    """Small holes, or zeroed ranges, that are more, or less, than was asked for: `0+1 8192+511`.

    handle: what it has is replaced.
    """
    content, found = _PATTERN[: 16 * KIB], []
    os.ftruncate(handle, 0)
    for start, length in _EDGES:
        os.pwrite(handle, content, 0)
        fallocate(handle, mode, start, length)
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        wanted = content[:start] + bytes(length) + content[start + length :]
        found += [] if os.pread(handle, 17 * KIB, 0) == wanted else [f"{start}+{length}"]
    return " ".join(found)


def zero() -> None:
    """FALLOC_FL_ZERO_RANGE makes zeroes, and nothing else."""
    path = _filled("zero")
    with open(path, "r+b") as file, _mapped(file.fileno(), 50 * KIB) as seen:
        with supported("FALLOC_FL_ZERO_RANGE", errno.EOPNOTSUPP):
            fallocate(file.fileno(), ZERO_RANGE, 33 * KIB, 40 * KIB)
        expect(seen() == bytes(KIB), "what was zeroed is still in a mapping")
        expect(os.pread(file.fileno(), KIB, 50 * KIB) == bytes(KIB), "what was zeroed is still in the cache")
    _compare(path, _PATTERN[: 33 * KIB] + bytes(40 * KIB) + _PATTERN[73 * KIB :])


def allocate() -> None:
    """fallocate(2) reserves blocks behind the end, which read as zeroes; with KEEP_SIZE the size stays."""
    path = _filled("allocate")
    size = len(_PATTERN)
    with open(path, "r+b") as file:
        with supported("fallocate(2)", errno.EOPNOTSUPP):
            fallocate(file.fileno(), 0, size, 100 * KIB)
        equal(os.fstat(file.fileno()).st_size, size + 100 * KIB, "size after fallocate(2)")
        fallocate(file.fileno(), KEEP_SIZE, size + 100 * KIB, 100 * KIB)
        now = os.fstat(file.fileno())
    equal(now.st_size, size + 100 * KIB, "size after fallocate(2) with KEEP_SIZE")
    expect(now.st_blocks * 512 >= size + 200 * KIB, f"only {now.st_blocks} blocks are reserved")
    with open(path, "r+b") as file:
        os.pwrite(file.fileno(), _PATTERN[: 30 * KIB], size + 40 * KIB)
    _compare(path, _PATTERN + bytes(40 * KIB) + _PATTERN[: 30 * KIB] + bytes(30 * KIB))
    with open(f"{path}2", "wb") as file:
        refused(errno.ENOSPC, "fallocate(2) of more than the disk has", fallocate, file.fileno(), 0, 0, 1 << 40)
    os.unlink(f"{path}2")


def holes() -> None:
    """SEEK_DATA and SEEK_HOLE find holes."""
    path = folder("holes") + "/f"
    with open(path, "w+b", buffering=0) as file:
        file.truncate(4 << 20)
        os.pwrite(file.fileno(), b"island" * KIB, 2 << 20)
        os.fsync(file.fileno())
        data = os.lseek(file.fileno(), 0, os.SEEK_DATA)
        expect(data <= 2 << 20, f"SEEK_DATA skips data: {data}")
        hole = os.lseek(file.fileno(), 2 << 20, os.SEEK_HOLE)
        expect(hole >= (2 << 20) + 6 * KIB, f"SEEK_HOLE finds a hole inside data: {hole}")
    if not data:
        raise NotRun("SEEK_DATA takes holes for data")


def copy() -> None:
    """copy_file_range(2) copies, within a file, too."""
    path = _filled("copy")
    with open(path, "r+b") as source, open(f"{path}2", "w+b") as target, supported("copy_file_range(2)"):
        equal(os.copy_file_range(source.fileno(), target.fileno(), 50 * KIB, 7, 0), 50 * KIB, "bytes that were copied")
        equal(os.copy_file_range(source.fileno(), source.fileno(), 9 * KIB, 0, 300 * KIB), 9 * KIB, "bytes in one file")
    _compare(f"{path}2", _PATTERN[7 : 7 + 50 * KIB])
    _compare(path, _PATTERN[: 300 * KIB] + _PATTERN[: 9 * KIB] + _PATTERN[309 * KIB :])


def nodes() -> None:
    """Pipes, sockets and device nodes are what they were made as, also when they are looked up anew."""
    os.chdir(folder("nodes"))
    kinds = {"fifo": stat.S_IFIFO, "character": stat.S_IFCHR, "block": stat.S_IFBLK}
    with supported("mknod(2)", errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
        for name, kind in kinds.items():
            os.mknod(name, kind | 0o640, os.makedev(260, 70000) if kind != stat.S_IFIFO else 0)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
    drop_caches()
    for name, kind in {**kinds, "socket": stat.S_IFSOCK}.items():
        now = os.lstat(name)
        equal(stat.S_IFMT(now.st_mode), kind, f"type of a {name}")
        if kind in (stat.S_IFCHR, stat.S_IFBLK):
            equal((os.major(now.st_rdev), os.minor(now.st_rdev)), (260, 70000), f"number of a {name} device")
    os.mkdir("directory")
    os.symlink("directory", "link")
    for entry in os.scandir("."):  # what readdir(3) says of the type, where it says something
        seen = (entry.is_dir(follow_symlinks=False), entry.is_symlink())
        equal(seen, (entry.name == "directory", entry.name == "link"), f"what readdir(3) says of {entry.name}")


def noreplace() -> None:
    """RENAME_NOREPLACE renames, and refuses to replace."""
    os.chdir(folder("noreplace"))
    write("a", b"a")
    write("b", b"b")
    with supported("RENAME_NOREPLACE", errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
        renameat2("a", "c", _NOREPLACE)
    refused(errno.EEXIST, "RENAME_NOREPLACE onto a file", renameat2, "b", "c", _NOREPLACE)
    equal((read("b"), read("c"), sorted(os.listdir("."))), (b"b", b"a", ["b", "c"]), "after RENAME_NOREPLACE")


def tmpfile() -> None:
    """A file without a name is written and read, and may get a name."""
    os.chdir(folder("tmpfile"))
    with supported("O_TMPFILE", errno.EOPNOTSUPP, errno.EISDIR):
        handle = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600)
    os.write(handle, b"nameless")
    equal(os.listdir("."), [], "names after O_TMPFILE")
    os.link(f"/proc/self/fd/{handle}", "named", src_dir_fd=handle)  # with a folder given, Python follows links
    os.close(handle)
    equal(read("named"), b"nameless", "content of a file that got its name later")


def flags() -> None:
    """Inode flags (lsattr, chattr) are set, shown and cleared."""
    path = folder("flags") + "/f"
    write(path, b"")
    with open(path, "rb") as file:
        with supported("inode flags", errno.ENOTTY, errno.EOPNOTSUPP, errno.ENOSYS):
            before = _flags(file.fileno())
            fcntl.ioctl(file.fileno(), _SETFLAGS, struct.pack("l", before | _NODUMP))
        equal(_flags(file.fileno()), before | _NODUMP, "flags after chattr +d")
        fcntl.ioctl(file.fileno(), _SETFLAGS, struct.pack("l", before | _IMMUTABLE))
        equal(_flags(file.fileno()), before | _IMMUTABLE, "flags after chattr +i")
        expect(not _may_write(path), "an immutable file can be opened to be written")
        fcntl.ioctl(file.fileno(), _SETFLAGS, struct.pack("l", before))
        equal(_flags(file.fileno()), before, "flags after chattr -d -i")
    expect(_may_write(path), "a file that is no longer immutable cannot be written")


def _may_write(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_WRONLY))
    except PermissionError:
        return False
    return True


def nanoseconds() -> None:
    """Times are kept to the nanosecond."""
    os.chdir(folder("nanoseconds"))
    write("f", b"")
    atime, mtime = 1_700_000_000_987_654_321, 1_700_000_001_123_456_789
    os.utime("f", ns=(atime, mtime))
    drop_caches()
    now = os.stat("f")
    if now.st_mtime_ns == mtime // 10**9 * 10**9:
        raise NotRun("times are kept to the second")
    equal((now.st_atime_ns, now.st_mtime_ns), (atime, mtime), "times")


def years() -> None:
    """Times before 1970 and after 2038 are kept."""
    path = folder("years") + "/f"
    write(path, b"")
    for year, seconds in ((1960, -315_619_200), (2040, 2_208_988_800), (2100, 4_102_444_800)):
        os.utime(path, (seconds, seconds + 1))
        drop_caches()
        now = os.stat(path)
        equal((int(now.st_atime), int(now.st_mtime)), (seconds, seconds + 1), f"times in {year}")


def atime() -> None:
    """Reading a file sets its time of access, when that is older than its mtime, and when it is old."""
    path = folder("atime") + "/f"
    write(path, b"read me")
    old = 10**18
    for words, mtime in (("older than its mtime", old + 10**9), ("years old", old - 10**9)):
        os.utime(path, ns=(old, mtime))
        drop_caches(3)
        read(path)
        drop_caches()
        if os.stat(path).st_atime_ns == old:
            raise NotRun(f"reading does not set a time of access that is {words}")


def direct() -> None:
    """O_DIRECT writes and reads the same bytes as the page cache."""
    path = _filled("direct")
    with supported("O_DIRECT", errno.EINVAL):
        handle = os.open(path, os.O_RDWR | os.O_DIRECT)
    buffer = mapping.mmap(-1, 64 * KIB)
    equal(os.preadv(handle, [buffer], 64 * KIB), 64 * KIB, "bytes read with O_DIRECT")
    equal(buffer[:] == _PATTERN[64 * KIB : 128 * KIB], True, "content read with O_DIRECT is the file's")
    buffer[:] = bytes(reversed(buffer[:]))
    equal(os.pwritev(handle, [buffer], 128 * KIB), 64 * KIB, "bytes written with O_DIRECT")
    os.close(handle)
    turned = _PATTERN[64 * KIB : 128 * KIB][::-1]
    wanted = _PATTERN[: 128 * KIB] + turned + _PATTERN[192 * KIB :]
    expect(read(path) == wanted, "the page cache has what was there before a write with O_DIRECT")
    _compare(path, wanted)


def locks() -> None:
    """flock(2) and fcntl(2) locks keep other processes out, by range."""
    path = _filled("locks")
    with open(path, "r+b") as file:
        with supported("flock(2)", errno.ENOSYS, errno.EOPNOTSUPP):
            fcntl.flock(file, fcntl.LOCK_EX)
        expect(not _locked_by_another(path, fcntl.flock), "two processes hold a flock(2) of one file")
        fcntl.flock(file, fcntl.LOCK_UN)
        expect(_locked_by_another(path, fcntl.flock), "flock(2) of a file that nobody holds is refused")
        fcntl.lockf(file, fcntl.LOCK_EX, 100, 0)
        expect(not _locked_by_another(path, fcntl.lockf, 10, 50), "two processes lock one range")
        expect(_locked_by_another(path, fcntl.lockf, 10, 100), "a range that nobody has locked is refused")
    expect(_locked_by_another(path, fcntl.lockf), "a lock is still held after its file was closed")


_EDGES = ((0, 1), (0, 4095), (1, 4095), (4093, 5), (5000, 100), (8192, 511), (4000, 4192), (100, 8092), (8192, 8192))
_PATTERN = random.Random(384).randbytes(384 * KIB + 12)
"""No two blocks are alike, and there is a tail."""


def _filled(name: str) -> str:
    path = folder(name) + "/f"
    write(path, _PATTERN)
    return path


def _compare(path: str, wanted: bytes) -> None:
    """What is on the disk, not what is cached."""
    drop_caches(3)
    got = read(path)
    equal(len(got), len(wanted), "size")
    for place in range(0, len(wanted), 512):
        expect(got[place : place + 512] == wanted[place : place + 512], f"wrong bytes in the 512 from {place}")


@contextmanager
def _mapped(handle: int, place: int) -> Iterator[Callable[[], bytes]]:
    """What a mapping, which has looked at the KiB from `place` before, has there."""
    with mapping.mmap(handle, 0, prot=mapping.PROT_READ) as view:
        expect(view[place : place + KIB] == _PATTERN[place : place + KIB], "a mapping does not have what was written")
        yield lambda: view[place : place + KIB]


def fallocate(handle: int, mode: int, start: int, length: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.fallocate(handle, mode, ctypes.c_long(start), ctypes.c_long(length)):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _flags(handle: int) -> int:
    return int(struct.unpack("l", fcntl.ioctl(handle, GETFLAGS, struct.pack("l", 0)))[0]) & 0xFFFFFFFF


def _locked_by_another(path: str, lock: Callable[..., None], *words: int) -> bool:
    """Whether another process gets the lock."""
    child = os.fork()
    if child == 0:
        with open(path, "r+b") as file:
            try:
                lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB, *words)
            except BlockingIOError:
                os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


CHECKS = {
    "punch": punch, "zero": zero, "allocate": allocate, "holes": holes, "copy": copy, "nodes": nodes,
    "noreplace": noreplace, "tmpfile": tmpfile, "flags": flags, "nanoseconds": nanoseconds, "years": years,
    "atime": atime, "direct": direct, "locks": locks,
}  # fmt: skip
