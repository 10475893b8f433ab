# SPDX-License-Identifier: GPL-2.0-or-later
"""Names and attributes in numbers: what goes wrong once in a thousand calls, costs too much, or is only cached."""

import ctypes
import itertools
import mmap as mapping
import os
import threading
import time
from collections.abc import Callable

from guest import equal, expect, folder, mount, mount_line, read, remount, run, umount, write

MOVED = 16
"""Files, and directories; a rename takes some servers 10 ms of a fast machine."""
LARGE = 2 << 20
"""Bytes: several requests of any server."""
ENTRIES = 2000
"""Several blocks of a directory, and several replies to readdir."""
_LINUX_DIRENT_HEADER = 19
"""Bytes of struct linux_dirent64 before the name."""
_GETDENTS64 = 217


def moves() -> None:
    """Files and directories that are moved between directories are in the new place only, also on the disk."""
    place = folder("moves")
    os.chdir(place)
    for name in ("from", "to", "deep/er"):
        os.makedirs(name)
    for number in range(MOVED):
        write(f"from/f{number}", f"file {number}".encode())
        os.makedirs(f"from/d{number}/inner")
    for number in range(0, MOVED, 2):
        write(f"to/f{number}", b"to be replaced")
    os.link("from/f1", "from/other-name")
    for number in range(MOVED):
        os.rename(f"from/f{number}", f"to/f{number}")
        os.rename(f"from/d{number}", f"to/d{number}" if number % 2 else f"deep/er/d{number}")
    os.rename("from/other-name", "deep/er/other-name")
    for _ in ("as cached", "from the disk"):
        equal(os.listdir("from"), [], "entries where all were moved away")
        equal(os.stat("from").st_nlink, 2, "link count of a directory that is empty again")
        equal(os.stat("to").st_nlink, 2 + MOVED // 2, "link count of a directory that got directories")
        wanted = {f"f{n}" for n in range(MOVED)} | {f"d{n}" for n in range(1, MOVED, 2)}
        equal(sorted(os.listdir("to")), sorted(wanted), "entries of the new place")
        for number in range(MOVED):
            equal(read(f"to/f{number}"), f"file {number}".encode(), f"content of f{number}")
        for number in range(0, MOVED, 2):
            equal(os.listdir(f"deep/er/d{number}"), ["inner"], f"entries of d{number}")
        equal((read("deep/er/other-name"), os.stat("to/f1").st_nlink), (b"file 1", 2), "a file of two names")
        os.chdir("/")
        remount()
        os.chdir(place)


def names() -> None:
    """Names of up to 255 bytes of any kind are created, found, listed, renamed and removed."""
    os.chdir(folder("names"))
    wanted = [b"n" * length for length in (1, 100, 200, 201, 254, 255)]
    wanted += ["\u00e4\u2603".encode() * 51, b"\xff\x01 \\\n"]
    for name in wanted:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    drop_caches()
    for name in wanted:
        expect(os.path.exists(name), f"a name of {len(name)} bytes is not found")
        expect(not os.path.exists(name[:-1] + b"?"), f"a name of {len(name)} bytes that was never made is found")
    equal(sorted(os.listdir(b".")), sorted(wanted), "names listed")
    for name in wanted:
        os.rename(name, b"other")
        os.rename(b"other", name)
    for name in wanted:
        os.unlink(name)
    equal(os.listdir("."), [], "entries after all were removed")


def many() -> None:
    """Two thousand files are created, listed in pieces, looked up while listed, and removed: each exactly once."""
    os.umask(0)
    os.chdir(folder("many"))
    wanted = {f"f{number:04d}" for number in range(ENTRIES)}
    for number, name in enumerate(sorted(wanted)):
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600 + number % 64))
    drop_caches()
    listed = listed_in_pieces(".", 512)
    equal(len(listed), ENTRIES, "entries of a directory that is read in small pieces")
    equal(set(listed), wanted, "their names")
    drop_caches()
    for entry in itertools.islice(os.scandir("."), 500):  # a listing may bring what stat(2) tells
        mode, wanted_mode = entry.stat(follow_symlinks=False).st_mode & 0o777, 0o600 + int(entry.name[1:]) % 64
        equal(f"0{mode:o}", f"0{wanted_mode:o}", f"mode of {entry.name}")
    for name in sorted(wanted)[::2]:
        os.unlink(name)
    equal(set(listed_in_pieces(".", 512)), set(sorted(wanted)[1::2]), "names after removing every second")
    for name in sorted(wanted)[1::2]:
        os.unlink(name)
    equal(os.listdir("."), [], "entries after all were removed")


def caches() -> None:
    """What was looked up and read a moment ago is right when it is asked for again, over and over.

    How many requests that takes is compared with base: caches that are no longer used show there.
    """
    os.chdir(folder("caches"))
    os.makedirs("a/b/c")
    for name in ("f", "a/b/c/f"):
        write(name, name.encode() * 1000)
    for _ in range(150):
        equal((os.stat("f").st_size, os.stat("a/b/c/f").st_size), (1000, 7000), "sizes")
        equal(read("f")[-2:], b"ff", "content")


def large() -> None:
    """Files that are written and read with large calls. How many requests that takes is compared with base."""
    path = folder("large") + "/f"
    for letter in (b"a", b"b", b"c", b"d"):
        write(path, letter * LARGE)
        drop_caches(3)
        expect(read(path) == letter * LARGE, f"wrong content in a file of {LARGE} bytes that is written at once")
    os.unlink(path)


def follow() -> None:
    """After each operation the times that it must change have changed, the others have not, and the size is right."""
    os.chdir(folder("follow"))
    old = 10**18
    os.mkdir("d")
    write("f", b"x" * 5001)
    changes: tuple[tuple[str, Callable[[], object], int, bool | None], ...] = (
        ("chmod(2)", lambda: os.chmod("f", 0o640), 5001, False),
        ("chown(2)", lambda: os.chown("f", 7, 8), 5001, False),
        ("link(2)", lambda: os.link("f", "g"), 5001, False),
        ("unlink(2)", lambda: os.unlink("g"), 5001, False),
        ("rename(2)", lambda: os.rename("f", "f"), 5001, None),
        ("truncate(2) to less", lambda: os.truncate("f", 4097), 4097, True),
        ("truncate(2) to more", lambda: os.truncate("f", 8191), 8191, True),
        ("appending", lambda: append("f", b"y" * 3), 8194, True),
        ("utimensat(2) with the time of now", lambda: os.utime("f"), 8194, True),
    )
    for what, change, size, mtime in changes:
        os.utime("f", ns=(old, old))
        change()
        drop_caches()
        now = os.stat("f")
        equal(now.st_size, size, f"size after {what}")
        if mtime is not None:
            right = now.st_mtime_ns > old if mtime else now.st_mtime_ns == old
            due = "later than" if mtime else "as before,"
            expect(right, f"mtime after {what} is {now.st_mtime_ns} ns, not {due} {old}")
            expect(now.st_ctime_ns > old, f"the ctime of a file is that of before {what}")
    for option, which in (("-a", 0), ("-m", 1)):
        os.utime("f", ns=(old, old))
        run("touch", option, "-d", "@2000000000", "f")
        drop_caches()
        wanted = [old, old]
        wanted[which] = 2 * 10**18
        now = os.stat("f")
        equal([now.st_atime_ns, now.st_mtime_ns], wanted, f"atime and mtime after touch {option}, which sets only one")
    for what, change in (
        ("a file is made", lambda: write("d/f", b"")),
        ("a file is removed", lambda: os.unlink("d/f")),
        ("a directory is made", lambda: os.mkdir("d/d")),
        ("a directory is removed", lambda: os.rmdir("d/d")),
        ("a symbolic link is made", lambda: os.symlink("x", "d/s")),
    ):
        os.utime("d", ns=(old, old))
        change()
        drop_caches()
        expect(os.stat("d").st_mtime_ns > old, f"the mtime of a directory stays when {what} in it")


def append(path: str, content: bytes) -> None:
    with open(path, "ab") as file:
        file.write(content)


def times() -> None:
    """Times and link counts follow what changes them, and only that; they are the same after a remount."""
    os.chdir(folder("times"))
    old = 10**18
    os.mkdir("a")
    os.mkdir("b")
    write("a/f", b"x" * 10000)
    for path in ("a/f", "a", "b"):
        os.utime(path, ns=(old, old))
    os.rename("a/f", "b/f")
    equal(os.stat("b/f").st_mtime_ns, old, "mtime of a renamed file")
    expect(os.stat("b/f").st_ctime_ns > old, "the ctime of a renamed file is that of before")
    for path in ("a", "b"):
        expect(os.stat(path).st_mtime_ns > old, f"the mtime of a directory did not follow a rename ({path})")
    os.utime("b/f", ns=(old, old))
    os.link("b/f", "a/g")
    equal((os.stat("b/f").st_nlink, os.stat("b/f").st_mtime_ns), (2, old), "link count and mtime after link(2)")
    os.unlink("b/f")
    equal(os.stat("a/g").st_nlink, 1, "link count after unlink(2)")
    os.utime("a/g", ns=(old, old))
    with open("a/g", "r+b") as file, mapping.mmap(file.fileno(), 0) as view:
        view[5000:5004] = b"late"
        view.flush()
    expect(os.stat("a/g").st_mtime_ns > old, "the mtime did not follow a write through a mapping")
    equal(read("a/g")[5000:5004], b"late", "a write through a mapping")
    before = {path: attributes(path) for path in ("a", "b", "a/g")}
    os.chdir("/")
    remount()
    os.chdir(f"{os.environ.get('LEG_MNT', '/mnt/test')}/times")
    for path, was in before.items():
        equal(attributes(path), was, f"mtime, size and link count of {path} after a remount")


def unmount() -> None:
    """Four writers at once, and an unmount as soon as they are done: all that they wrote is there afterwards."""
    place = folder("unmount")
    threads = [threading.Thread(target=_writer, args=(f"{place}/{number}", number)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    started = time.monotonic()
    umount()
    print(f"umount(8) took {time.monotonic() - started:.2f} s")
    expect(mount_line() is None, "it is still mounted after umount(8)")
    mount()
    for number in range(4):
        equal(sorted(os.listdir(f"{place}/{number}")), [f"{n:02d}" for n in range(32)], f"files of writer {number}")
        for name in range(32):
            equal(read(f"{place}/{number}/{name:02d}"), bytes([number, name]) * 1500, f"content of {number}/{name:02d}")
    run("rm", "-r", place)


def _writer(place: str, number: int) -> None:
    os.mkdir(place)
    for name in range(32):
        write(f"{place}/{name:02d}", bytes([number, name]) * 1500)


def attributes(path: str) -> tuple[int, int, int]:
    """mtime, size, link count."""
    now = os.stat(path)
    return now.st_mtime_ns, now.st_size, now.st_nlink


def drop_caches(kind: int = 2) -> None:
    """What is asked next comes from the file system, not from the kernel's caches.

    kind: 2 for those of names and attributes, 3 for those of content, too.
    """
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write(str(kind))


def listed_in_pieces(path: str, size: int) -> list[str]:
    """Names, each as often as getdents64(2) gives it, read with a buffer of so many bytes, so that offsets count."""
    libc = ctypes.CDLL(None, use_errno=True)
    found = []
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    buffer = ctypes.create_string_buffer(size)
    while (length := libc.syscall(_GETDENTS64, handle, buffer, size)) != 0:
        if length < 0:
            raise OSError(ctypes.get_errno(), "getdents64")
        place = 0
        while place < length:
            record = int.from_bytes(buffer.raw[place + 16 : place + 18], "little")
            name = buffer.raw[place + _LINUX_DIRENT_HEADER : place + record].split(b"\0")[0]
            found += [os.fsdecode(name)] if name not in (b".", b"..") else []
            place += record
    os.close(handle)
    return found


CHECKS = {
    "moves": moves,
    "follow": follow,
    "caches": caches,
    "large": large,
    "names": names,
    "many": many,
    "times": times,
    "unmount": unmount,
}
