# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls that a program makes less often, and what only happens when several processes make them."""

import contextlib
import ctypes
import errno
import fcntl
import itertools
import mmap as mapping
import os
import resource
import select
import shutil
import signal
import stat
import struct
import subprocess
import threading
import time
from collections.abc import Callable

from guest import FSTYP, Failed, NotRun, equal, expect, folder, mount, read, refused, supported, umount, write

from smoke.features import GETFLAGS, KEEP_SIZE, fallocate
from smoke.metadata import drop_caches
from smoke.waits import FLOCK

_GETVERSION, _SETVERSION, _EXTENTS = 0x80087601, 0x40087602, 0x80000
_STATX_BASIC, _STATX_BTIME = 0x7FF, 0x800
_SOON = 10.0
"""Seconds until a removed file is gone."""
_RACERS, _ROUNDS = 4, 25
_GROWN = 20
"""Names of 244 bytes: two blocks of 4 KiB."""


def open_files() -> None:
    """Files that are open or mapped while they are removed, replaced or cut; a program that is run."""
    os.chdir(folder("open-files"))
    write("f", b"kept while open")
    write("other", b"other")
    first, second = os.open("f", os.O_RDWR), os.open("f", os.O_RDONLY)
    os.unlink("f")
    os.close(first)
    equal(os.pread(second, 99, 0), b"kept while open", "a removed file, after one of two descriptors was closed")
    equal(os.fstat(second).st_nlink, 0, "link count of a removed file that is open")
    os.fchmod(second, 0o600)
    equal(stat.S_IMODE(os.fstat(second).st_mode), 0o600, "mode of a removed file after fchmod(2)")
    write("f", b"new")
    equal(
        (os.pread(second, 99, 0), read("f")), (b"kept while open", b"new"), "a removed file, and one of the same name"
    )
    os.close(second)
    equal(read("f"), b"new", "a file made in place of a removed one, after that was closed")
    handle = os.open("f", os.O_RDWR)
    with mapping.mmap(handle, 3) as view:
        os.rename("other", "f")
        view[:] = b"NEW"
        equal(
            (os.pread(handle, 9, 0), read("f")), (b"NEW", b"other"), "a replaced file that is mapped, and the new one"
        )
    os.ftruncate(handle, 1)
    equal((os.fstat(handle).st_size, os.stat("f").st_size), (1, 5), "sizes after ftruncate(2) of a replaced file")
    os.close(handle)
    shutil.copy("/bin/true", "program")
    equal(subprocess.run(["./program"], check=False).returncode, 0, "status of a program that is run from here")


def released() -> None:
    """Whatever was done with an open file: once it is closed, it can be removed, and is gone."""
    os.chdir(folder("released"))
    uses: dict[str, Callable[[int], object]] = {
        "read(2)": lambda handle: os.pread(handle, 100, 0),
        "a mapping": _map,
        "fsync(2)": os.fsync,
        "ftruncate(2)": lambda handle: os.ftruncate(handle, 10),
        "fchmod(2)": lambda handle: os.fchmod(handle, 0o600),
        "fallocate(2)": lambda handle: fallocate(handle, KEEP_SIZE, 0, 10_000),
        "SEEK_HOLE": lambda handle: os.lseek(handle, 0, os.SEEK_HOLE),
        "fsetxattr(2)": lambda handle: os.setxattr(handle, "user.a", b"a" * 2000),
        "copy_file_range(2)": lambda handle: os.copy_file_range(handle, handle, 100, 0, 5000),
        "flock(2)": lambda handle: fcntl.flock(handle, fcntl.LOCK_EX),
        "a lock of fcntl(2)": lambda handle: fcntl.lockf(handle, fcntl.LOCK_EX),
        "F_GETLK": lambda handle: fcntl.fcntl(handle, fcntl.F_GETLK, struct.pack(FLOCK, fcntl.F_WRLCK, 0, 0, 0, 0)),
        "an ioctl(2)": lambda handle: fcntl.ioctl(handle, GETFLAGS, bytes(8)),
        "poll(2)": _poll,
        "dup(2)": lambda handle: os.close(os.dup(handle)),
    }
    for size, (words, use) in itertools.product((5000, 0), uses.items()):
        write("f", b"x" * size)
        handle = os.open("f", os.O_RDWR)
        with contextlib.suppress(OSError, ValueError):  # where there is no such operation, others say so
            use(handle)
        os.close(handle)
        os.unlink("f")
        until = time.monotonic() + _SOON
        while (names := os.listdir(".")) and time.monotonic() < until:
            time.sleep(0.05)
        equal(names, [], f"names after a file of {size} bytes was closed and removed, after {words}")


def _map(handle: int) -> None:
    with mapping.mmap(handle, 5000) as view:
        view[:3] = b"map"


def _poll(handle: int) -> None:
    poll = select.poll()
    poll.register(handle)
    poll.poll(0)


def ioctls() -> None:
    """The flags and the generation of a file and of a folder can be read, and a generation be set."""
    os.chdir(folder("ioctls"))
    write("f", b"")
    os.mkdir("d")
    for name in ("f", "d"):
        handle = os.open(name, os.O_RDONLY)
        with supported("FS_IOC_GETFLAGS", errno.ENOTTY, errno.EOPNOTSUPP, errno.ENOSYS):
            said = _number(handle, GETFLAGS)
        if "ext4" in FSTYP:
            expect(bool(said & _EXTENTS), f"lsattr(1) of {name} does not show that it has extents: 0x{said:x}")
        with supported("FS_IOC_GETVERSION", errno.ENOTTY, errno.EOPNOTSUPP, errno.ENOSYS):
            _number(handle, _GETVERSION)
        for number in (5, 0xFEDCBA98) if name == "f" else ():  # a folder's is part of checksums
            with contextlib.suppress(OSError):
                fcntl.ioctl(handle, _SETVERSION, struct.pack("Q", number))
                equal(hex(_number(handle, _GETVERSION)), hex(number), f"generation of {name} that was set")
        os.close(handle)


def _number(handle: int, request: int) -> int:
    """What an ioctl(2) answers: an `int`, though the request is for a `long`."""
    return int(struct.unpack("Q", fcntl.ioctl(handle, request, bytes(8)))[0]) & 0xFFFFFFFF


def options() -> None:
    """noexec counts for this mount, and no longer for the next one."""
    path = folder("options")
    shutil.copy("/bin/true", f"{path}/program")
    umount()
    mount(options="noexec")
    try:
        refused(errno.EACCES, "running a program on a mount with noexec", subprocess.run, [f"{path}/program"])
    finally:
        umount()
        mount()
    done = subprocess.run([f"{path}/program"], check=False)
    equal(done.returncode, 0, "status of a program on a mount without noexec")


def birth() -> None:
    """The time of birth is that at which a file was made, whatever happens to it."""
    os.chdir(folder("birth"))
    before = time.time()
    write("f", b"1")
    born = _birth("f")
    expect(
        before - 5 <= born <= time.time() + 5, f"the file is said to be made at {born:.0f}, which was at {before:.0f}"
    )
    os.utime("f", (1, 1))
    os.chmod("f", 0o600)
    os.rename("f", "g")
    write("g", b"2")
    drop_caches()
    equal(_birth("g"), born, "time of birth after other changes")


def _birth(path: str) -> float:
    """Raises NotRun where statx(2) does not know; the rest of its answer is that of stat(2), all the same."""
    buffer = ctypes.create_string_buffer(256)
    if ctypes.CDLL(None, use_errno=True).statx(-100, path.encode(), 0, _STATX_BASIC | _STATX_BTIME, buffer):
        raise OSError(ctypes.get_errno(), "statx(2)")
    told, now = struct.unpack_from("H", buffer, 28) + struct.unpack_from("Q", buffer, 40), os.stat(path)
    equal(told, (now.st_mode, now.st_size), "mode and size that statx(2) tells when it is asked for the time of birth")
    mask, seconds = struct.unpack_from("I", buffer)[0], struct.unpack_from("qI", buffer, 80)
    if not mask & _STATX_BTIME:
        raise NotRun("statx(2) does not know when a file was made")
    return float(seconds[0] + seconds[1] / 10**9)


def descriptors() -> None:
    """Flags of open(2), calls with several buffers, private mappings, splice(2), limits, times and owners of links."""
    os.chdir(folder("descriptors"))
    content = bytes(range(256)) * 100
    write("f", content)
    os.mkdir("d")
    os.symlink("f", "link")
    refused(errno.ELOOP, "O_NOFOLLOW on a symbolic link", os.open, "link", os.O_RDONLY | os.O_NOFOLLOW)
    refused(errno.ENOTDIR, "O_DIRECTORY on a file", os.open, "f", os.O_RDONLY | os.O_DIRECTORY)
    refused(errno.EISDIR, "opening a folder to write", os.open, "d", os.O_WRONLY)
    handle = os.open("f", os.O_RDWR)
    parts = [bytearray(n) for n in (1, 4096, 100)]
    equal(os.preadv(handle, parts, 4000), 4197, "bytes that preadv(2) reads")
    expect(b"".join(parts) == content[4000:8197], "preadv(2) reads something else")
    equal(os.pwritev(handle, [b"a" * 3, b"", b"b" * 5000], 10_000), 5003, "bytes that pwritev(2) writes")
    content = content[:10_000] + b"aaa" + b"b" * 5000 + content[15_003:]
    os.lseek(handle, 0, os.SEEK_SET)
    with mapping.mmap(handle, 8192, access=mapping.ACCESS_COPY) as view:
        view[:100] = bytes(100)
        expect(read("f") == content, "a write to a private mapping is in the file")
    inside, outside = os.pipe()
    equal(os.splice(handle, outside, 3000, offset_src=5), 3000, "bytes that splice(2) takes from a file")
    with open("g", "wb") as target:
        target.write(b"g" * 10)
        target.flush()
        equal(os.splice(inside, target.fileno(), 3000, offset_dst=7), 3000, "bytes that splice(2) puts into a file")
    expect(read("g") == b"g" * 7 + content[5:3005], "splice(2) copies something else")
    os.close(inside)
    os.close(outside)
    appending = os.open("g", os.O_WRONLY | os.O_APPEND)
    os.pwrite(appending, b"end", 0)
    os.close(appending)
    equal(read("g")[-5:], content[3003:3005] + b"end", "the end of a file after pwrite(2) with O_APPEND")
    _too_large(handle)
    os.fsync(handle)
    os.close(handle)
    os.utime("link", ns=(10**18, 10**18), follow_symlinks=False)
    os.chown("link", 7, 8, follow_symlinks=False)
    drop_caches()
    now = os.lstat("link")
    equal((now.st_mtime_ns, now.st_uid, now.st_gid), (10**18, 7, 8), "mtime, owner and group of a symbolic link")
    equal(os.stat("f").st_uid, 0, "owner of the file behind the link")
    expect(read("f") == content, "wrong content at the end")


def _too_large(handle: int) -> None:
    """A write beyond RLIMIT_FSIZE is refused, and changes nothing."""
    size = os.fstat(handle).st_size
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        refused(errno.EFBIG, "a write beyond RLIMIT_FSIZE", os.pwrite, handle, b"x" * 10, size)
        refused(errno.EFBIG, "ftruncate(2) beyond RLIMIT_FSIZE", os.ftruncate, handle, size + 1)
        try:
            fallocate(handle, 0, size, 10)
            raise Failed("fallocate(2) beyond RLIMIT_FSIZE succeeded")
        except OSError as error:
            expect(
                error.errno in (errno.EFBIG, errno.EOPNOTSUPP), f"fallocate(2) beyond RLIMIT_FSIZE: {error.strerror}"
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    equal(os.fstat(handle).st_size, size, "size after a write beyond RLIMIT_FSIZE")
    os.pwrite(handle, b"x" * 10, size)
    os.ftruncate(handle, size)


def attributes() -> None:
    """Extended attributes: flags of setxattr(2), longest names and values, other namespaces, symbolic links, moves."""
    os.chdir(folder("attributes"))
    write("f", b"")
    try:
        os.setxattr("f", "user.a", b"1", os.XATTR_CREATE)
    except OSError as error:
        raise NotRun(f"no user.* attributes here ({errno.errorcode.get(error.errno or 0)})") from None
    os.setxattr("f", "trusted.b", b"\0binary\0")
    os.setxattr("f", "user.empty", b"")
    longest = "user." + "n" * 250
    os.setxattr("f", longest, b"long")
    refused(errno.ERANGE, "an attribute with a name of 256 bytes", os.setxattr, "f", longest + "n", b"")
    refused(errno.ENODATA, "reading an attribute that never was", os.getxattr, "f", "user.never")
    os.rename("f", "g")
    os.link("g", "h")
    drop_caches(3)
    names = {"user.a", "trusted.b", "user.empty", longest}
    for path in ("g", "h"):
        equal(set(os.listxattr(path)) - {"system.data"}, names, f"attributes of {path}")
        found = [os.getxattr(path, name) for name in ("user.a", "trusted.b", "user.empty", longest)]
        equal(found, [b"1", b"\0binary\0", b"", b"long"], f"values of the attributes of {path}")
    for name in names:
        os.removexattr("h", name)
    equal(os.listxattr("h"), [], "attributes after all were removed")
    os.symlink("g", "link")
    refused(errno.EPERM, "a user.* attribute of a symbolic link", _set_of_link, "link")
    flags = [_refusal("h", os.XATTR_REPLACE)]
    os.setxattr("h", "user.flags", b"")
    flags.append(_refusal("h", os.XATTR_CREATE))
    equal(flags, ["ENODATA", "EEXIST"], "XATTR_REPLACE of what is not there, XATTR_CREATE of what is")


def _set_of_link(path: str) -> None:
    os.setxattr(path, "user.a", b"", follow_symlinks=False)


def _refusal(path: str, flags: int) -> str:
    """Name of the errno, or `success`."""
    try:
        os.setxattr(path, "user.flags", b"", flags)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "success"


def growing() -> None:
    """A folder grows by whatever puts names into it, and each name is there."""
    os.chdir(folder("growing"))
    write("source", b"")
    os.mkdir("many")
    ways: dict[str, Callable[[str], object]] = {
        "link(2)": lambda path: os.link("source", path),
        "mkdir(2)": os.mkdir,
        "symlink(2)": lambda path: os.symlink("x", path),
        "mknod(2)": lambda path: os.mknod(path, stat.S_IFREG | 0o644),
        "rename(2)": lambda path: os.rename(f"many/{os.path.basename(path)}", path),
    }
    wanted = [f"{number:03d}-{'long' * 60}" for number in range(_GROWN)]
    for name in wanted:
        os.mknod(f"many/{name}", stat.S_IFREG | 0o644)
    for words, way in ways.items():
        os.mkdir(words)
        for name in wanted:
            way(f"{words}/{name}")
    drop_caches()
    for words in ways:
        equal([name[:3] for name in sorted(os.listdir(words))], [name[:3] for name in wanted], f"names after {words}")
        equal([name for name in wanted if not os.path.lexists(f"{words}/{name}")], [], f"names not found after {words}")
    equal(os.listdir("many"), [], "names where all were moved away")
    equal(os.stat("source").st_nlink, 1 + len(wanted), "link count of a file of many names")


def races() -> None:
    """Of several threads that make, remove, link or rename the same name at once, exactly one succeeds."""
    os.chdir(folder("races"))
    handles: list[int] = []
    ways: dict[str, Callable[[int], object]] = {
        "open(2) with O_EXCL": lambda racer: handles.append(os.open("f", os.O_CREAT | os.O_EXCL | os.O_WRONLY)),
        "unlink(2)": lambda racer: os.unlink("f"),
        "mkdir(2)": lambda racer: os.mkdir("d"),
        "rename(2)": lambda racer: os.rename("d", f"moved{racer}"),
        "link(2)": lambda racer: os.link("source", "linked"),
    }
    write("source", b"source")
    for number in range(_ROUNDS):
        for words, way in ways.items():
            equal(_winners(way), 1, f"threads of {_RACERS} that succeed with {words} of one name, round {number}")
        while handles:
            os.close(handles.pop())
        os.unlink("linked")
        for name in os.listdir("."):
            if name.startswith("moved"):
                os.rmdir(name)
    drop_caches()
    equal(os.listdir("."), ["source"], "entries afterwards")
    equal(os.stat("source").st_nlink, 1, "link count afterwards")


def _winners(way: Callable[[int], object]) -> int:
    won: list[int] = []
    start = threading.Barrier(_RACERS)

    def race(racer: int) -> None:
        start.wait()
        with contextlib.suppress(FileExistsError, FileNotFoundError):
            way(racer)
            won.append(racer)

    threads = [threading.Thread(target=race, args=(racer,)) for racer in range(_RACERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(won)


CHECKS = {
    "open-files": open_files, "released": released, "ioctls": ioctls, "options": options, "birth": birth,
    "descriptors": descriptors, "attributes": attributes, "growing": growing, "races": races,
}  # fmt: skip
