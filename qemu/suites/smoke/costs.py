# SPDX-License-Identifier: GPL-2.0-or-later
"""What each kind of operation costs, measured by doing it a hundred times: memory that stays, and time.

Says a line per kind, which `reviewbot.suites.costs` reads:
`cost NAME OPERATIONS SERVER_KIB STEADY_KIB KERNEL_KIB KERNEL_OBJECTS TIMES`, `-` for what is not known. TIMES is the
time of one operation as a multiple of what two processes of this machine take to exchange a byte: that does not depend
on how busy its host is.
"""

import contextlib
import fcntl
import functools
import glob
import itertools
import mmap as mapping
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence

import figures
from guest import SERVER, folder, read, write

from smoke.features import GETFLAGS, KEEP_SIZE, fallocate
from smoke.metadata import drop_caches

BATCHES, BATCH = 4, 25
"""The quickest batch counts for the time: others were disturbed."""
MORE = 64
"""Batches, of all kinds together, that are done when a kind seems to leak: a cache or a ring is full some time."""
SOME_KIB, SOME_OBJECTS = 16, 60
"""Growth per hundred operations that seems to be a leak, as in `reviewbot/verdict/figures.yaml`."""
HUGE = "/sys/kernel/mm/transparent_hugepage/enabled"
_COUNTED = ("kmalloc-*", "fuse_*", "filp", "file_lock*")
_OBJECTS = re.compile(r"^(kmalloc-(?!rcl)\S+|fuse_\S+|filp|file_lock\S*) +(\d+) ", re.MULTILINE)
"""Name and number of what is counted in /proc/slabinfo."""
Operation = Callable[[int], object]


def costs() -> None:
    """A hundred operations of each kind, one kind after the other."""
    os.chdir(folder("costs"))
    pong, more = Pong(), MORE
    with _without_huge_pages():
        for name, work in _operations().items():
            more -= _measure(name, work, pong, more)
    pong.end()


@contextlib.contextmanager
def _without_huge_pages() -> Iterator[None]:
    """A server's memory grows as it is used, not by 2 MiB now and then."""
    try:
        was = re.search(r"\[(\w+)\]", read(HUGE).decode())
        if was:
            write(HUGE, b"never")
    except OSError:
        was = None
    try:
        yield
    finally:
        if was:
            write(HUGE, was[1].encode())


def _operations() -> dict[str, Operation]:
    """Name -> what is done with a number that counts up; nothing is there afterwards that was not before."""
    os.mkdir("d")
    for number in range(BATCH):
        write(f"d/f{number}", b"x" * 4096)
    write("f", b"x" * 65536)
    os.symlink("t" * 100, "s")
    handle = os.open("f", os.O_RDWR)
    return {
        "lookup": lambda n: os.stat(f"d/f{n % BATCH}"),
        "absent": lambda n: os.path.exists(f"d/absent{n}"),
        "create": lambda n: (write("new", b""), os.unlink("new")),
        "mkdir": lambda n: (os.mkdir("new"), os.rmdir("new")),
        "symlink": lambda n: (os.symlink("t" * 100, "new"), os.readlink("new"), os.unlink("new")),
        "link": lambda n: (os.link("f", "new"), os.unlink("new")),
        "rename": lambda n: (os.rename("d/f0", "new"), os.rename("new", "d/f0")),
        "readdir": lambda n: os.listdir("d"),
        "chmod": lambda n: os.chmod("f", 0o600 + n % 64),
        "truncate": lambda n: (os.truncate("f", 65536 + n % 7 * 4096), os.truncate("f", 65536)),
        "open": lambda n: os.close(os.open("f", os.O_RDONLY)),
        "write": lambda n: os.pwrite(handle, b"w" * 4096, n % 16 * 4096),
        "read": lambda n: (os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED), os.pread(handle, 4096, 0)),
        "statfs": lambda n: os.statvfs("."),
        "xattr": _xattr,
        "fsync": lambda n: (os.pwrite(handle, b"s", 0), os.fsync(handle)),
        "seek": lambda n: os.lseek(handle, n % 16 * 4096, os.SEEK_HOLE),
        "allocate": lambda n: fallocate(handle, KEEP_SIZE, n % 16 * 4096, 4096),
        "locks": lambda n: (fcntl.lockf(handle, fcntl.LOCK_EX, 10, n), fcntl.lockf(handle, fcntl.LOCK_UN)),
        "flock": lambda n: (fcntl.flock(handle, fcntl.LOCK_EX), fcntl.flock(handle, fcntl.LOCK_UN)),
        "ioctl": lambda n: fcntl.ioctl(handle, GETFLAGS, bytes(8)),
        "mmap": _mmap,
        "removed": _removed,
        "refused": _refused,
    }


def _mmap(number: int) -> None:
    with open("f", "r+b") as file, mapping.mmap(file.fileno(), 0) as view:
        view[number % 16 * 4096] = 1


def _removed(number: int) -> None:
    """A file that is open while it is removed."""
    handle = os.open("new", os.O_CREAT | os.O_RDWR)
    os.unlink("new")
    os.pwrite(handle, b"x" * 100, 0)
    os.close(handle)


def _xattr(number: int) -> None:
    os.setxattr("f", "user.new", b"v" * 100)
    os.getxattr("f", "user.new")
    os.removexattr("f", "user.new")


def _refused(number: int) -> None:
    """What fails, each in a way of its own."""
    for call in (
        lambda: os.open("f", os.O_CREAT | os.O_EXCL),
        lambda: os.mkdir("d"),
        lambda: os.rmdir("d"),
        lambda: os.unlink("d"),
        lambda: os.rename("f", "d"),
        lambda: os.link("f", "s"),
        lambda: os.symlink("x", "f"),
        lambda: os.readlink("f"),
        lambda: os.getxattr("f", "user.absent"),
        lambda: os.setxattr("f", "user.absent", b"", os.XATTR_REPLACE),
        lambda: os.truncate("f", 1 << 62),
        lambda: os.stat("n" * 300),
        lambda: os.listdir("f"),
    ):
        with contextlib.suppress(OSError):
            call()
    with open("f", "rb") as file, contextlib.suppress(OSError):
        os.lseek(file.fileno(), 1 << 40, os.SEEK_DATA)


def _measure(name: str, work: Operation, pong: "Pong", most: int) -> int:
    """How many batches were done beyond the usual ones, at most `most`."""
    try:
        work(0)
    except OSError as error:
        print(f"{name}: {error}")  # a check of its own says what is wrong
        return 0
    _batch(work, 0)  # caches of the server are filled
    kernel, memory, objects, times = kernel_kib(), [server_kib()], [kernel_objects()], []
    for number in range(BATCHES):
        times.append((_batch(work, number * BATCH), pong.seconds()))
        memory.append(server_kib())
        objects.append(kernel_objects())
    pace = min(seconds for seconds, _ in times) / min(seconds for _, seconds in times)
    server, slabs, more = _grown(memory[0], memory[-1]), _grown(kernel, kernel_kib()), 0
    while more < most and (_at_least(_steady(memory), SOME_KIB) or _at_least(_more(objects), SOME_OBJECTS)):
        _batch(work, (BATCHES + more) * BATCH)
        memory, objects = [*memory[1:], server_kib()], [*objects[1:], kernel_objects()]
        more += 1
    print(f"cost {name} {BATCHES * BATCH} {server} {_steady(memory)} {slabs} {_more(objects)} {pace:.2f}")
    return more


def _at_least(grown: str, limit: int) -> bool:
    return grown.isdigit() and int(grown) >= limit


def _grown(was: int | None, now: int | None) -> str:
    return "-" if was is None or now is None else str(max(now - was, 0))


def _more(seen: list[dict[str, int]]) -> str:
    """Of the cache that grew most."""
    names = set(seen[0]).intersection(*seen[1:])
    return str(max(int(_steady([one[name] for one in seen])) for name in names)) if names else "-"


def _steady(seen: Sequence[int | None]) -> str:
    """Growth over all batches, as the second smallest growth of one says.

    A leak shows in each batch; what else the kernel and a server's allocator do shows in one or two.
    """
    known = [one for one in seen if one is not None]
    if len(known) < len(seen):
        return "-"
    return str(max(0, BATCHES * sorted(after - before for before, after in itertools.pairwise(known))[1]))


def _batch(work: Operation, first: int) -> float:
    """Seconds per operation."""
    drop_caches()
    started = time.monotonic()
    for number in range(first, first + BATCH):
        work(number)
    return (time.monotonic() - started) / BATCH


class Pong:
    """Another process, which sends back each byte that it gets."""

    def __init__(self) -> None:
        (inside, self.to), (self.back, outside) = os.pipe(), os.pipe()
        self.child = os.fork()
        if self.child == 0:
            os.close(self.to)
            while byte := os.read(inside, 1):
                os.write(outside, byte)
            os._exit(0)
        os.close(inside)

    def seconds(self) -> float:
        """That one exchange takes now."""
        started = time.monotonic()
        for _ in range(BATCH):
            os.write(self.to, b"x")
            os.read(self.back, 1)
        return (time.monotonic() - started) / BATCH

    def end(self) -> None:
        os.close(self.to)
        os.waitpid(self.child, 0)


def server_kib() -> int | None:
    """Memory that belongs to the servers alone; None without a server, or when it is not known."""
    if not SERVER:
        return None
    try:
        texts = [read(f"/proc/{pid}/smaps_rollup").decode() for pid in figures.servers()]
    except OSError:
        return None
    found = [re.findall(r"^Private_(?:Clean|Dirty): +(\d+) kB", text, re.MULTILINE) for text in texts]
    return sum(int(kib) for one in found for kib in one) if found else None


def kernel_kib() -> int | None:
    """Slabs that nobody can reclaim, without caches."""
    drop_caches(3)
    found = re.search(r"^SUnreclaim: +(\d+) kB", read("/proc/meminfo").decode(), re.MULTILINE)
    return int(found[1]) if found else None


@functools.cache
def _caches() -> list[str]:
    """Files by which the caches are shrunk whose objects are counted."""
    found = [path for name in _COUNTED for path in glob.glob(f"/sys/kernel/slab/{name}/shrink")]
    return [path for path in found if "/kmalloc-rcl" not in path]


def kernel_objects() -> dict[str, int]:
    """Cache of kmalloc(9), of FUSE, or of open files -> objects in use; empty when that is not known.

    Caches are shrunk first, as objects that a CPU keeps at hand count as in use.
    """
    for path in _caches():
        with contextlib.suppress(OSError), open(path, "w") as file:
            file.write("1")
    try:
        said = read("/proc/slabinfo").decode()
    except OSError:
        return {}
    return {name: int(used) for name, used in _OBJECTS.findall(said)}


CHECKS = {"costs": costs}
