# SPDX-License-Identifier: GPL-2.0-or-later
"""What reaches the disk: mkfs, mount, holes, mappings, fsync, persistence, consistency."""

import errno
import hashlib
import mmap as mapping
import os
import random
import re
import shutil

from guest import (
    MNT,
    NotRun,
    device,
    equal,
    expect,
    folder,
    mkfs,
    mount,
    mount_line,
    read,
    refused,
    remount,
    run,
    supported,
    umount,
    write,
)

from smoke.features import fallocate

KIB, MIB = 1 << 10, 1 << 20
MADE = {
    "features": "Filesystem features",
    "mount-options": "Default mount options",
    "inode-size": "Inode size",
    "block-size": "Block size",
}
"""What is said of a new filesystem -> how dumpe2fs calls it."""


def make() -> None:
    """mkfs of both disks; what is wrong with one, e2fsck repairs.

    Says what was made, by the words of dumpe2fs, in lines that `reviewbot.suites.made` reads:
    `made features NAME…`, `made mount-options NAME…`, `made inode-size BYTES`, `made block-size BYTES`.
    """
    if mount_line() is not None:
        umount()
    mkfs("TEST_DEV")
    mkfs("SCRATCH_DEV")
    if shutil.which("dumpe2fs"):
        _say_what_was_made()
    if shutil.which("debugfs"):
        _damage_and_repair()


def _say_what_was_made() -> None:
    lines = [line.partition(":") for line in run("dumpe2fs", "-h", device()).stdout.split("\n")]
    said = {name: " ".join(value.split()) for name, _, value in lines}
    for kind, name in MADE.items():
        if said.get(name):  # a posting may have changed what dumpe2fs prints
            print(f"made {kind} {said[name]}")


def _damage_and_repair() -> None:
    for damage in ("setb 5000 3", "setb 25000 3", "seti <20>", "ssv free_blocks_count 7"):
        run("debugfs", "-w", "-R", damage, device("SCRATCH_DEV"))
    run("e2fsck", "-fy", device("SCRATCH_DEV"), check=False)
    done = run("e2fsck", "-fn", device("SCRATCH_DEV"), check=False)
    equal(done.returncode, 0, "status of e2fsck -fn after e2fsck -fy repaired bitmaps and counts")


def mount_it() -> None:
    """Mount, statfs, unmount, mount: twice the right type, read-write."""
    if mount_line() is not None:
        umount()
    mount()
    sizes = os.statvfs(MNT)
    expect(sizes.f_blocks > 1000 and sizes.f_bfree > 1000, f"statfs says {sizes.f_bfree} of {sizes.f_blocks} free")
    equal(os.listdir(MNT), ["lost+found"], "entries of a new filesystem")
    umount()
    expect(mount_line() is None, "it is still mounted after umount(8)")
    mount()


def sparse() -> None:
    """Holes read as zeroes, use no blocks, and SEEK_DATA never skips data."""
    path = folder("sparse") + "/f"
    with open(path, "w+b", buffering=0) as file:
        file.truncate(64 * MIB)
        blocks = os.fstat(file.fileno()).st_blocks
        expect(blocks * 512 < MIB, f"a file that is nothing but a hole uses {blocks * 512} bytes")
        file.seek(32 * MIB)
        file.write(b"island" * 1000)
        file.flush()
        os.fsync(file.fileno())
        size = os.fstat(file.fileno())
        equal(size.st_size, 64 * MIB, "size")
        expect(size.st_blocks * 512 < MIB, f"a file of 6000 bytes in a hole uses {size.st_blocks * 512} bytes")
        equal(os.pread(file.fileno(), 4096, 5 * MIB), bytes(4096), "bytes of a hole")
        equal(os.pread(file.fileno(), 8, 32 * MIB + 2), b"landisla", "bytes of the island")
        _seek(file.fileno())


def _seek(handle: int) -> None:
    """SEEK_DATA may say that all is data; it may never skip data."""
    found = os.lseek(handle, 0, os.SEEK_DATA)
    expect(found <= 32 * MIB, f"SEEK_DATA skips data: {found}")
    hole = os.lseek(handle, 32 * MIB, os.SEEK_HOLE)
    expect(hole >= 32 * MIB + 6000, f"SEEK_HOLE finds a hole inside data: {hole}")
    print(f"SEEK_DATA from 0: {found}, SEEK_HOLE from the island: {hole}")


def mmap() -> None:
    """Writes through a shared mapping are seen by read(2), and are there after a remount."""
    path = folder("mmap") + "/f"
    content = bytearray(random.Random(1).randbytes(MIB // 2 + 123))
    write(path, bytes(content))
    with open(path, "r+b") as file, mapping.mmap(file.fileno(), 0) as view:
        equal(hashlib.sha256(view).digest(), hashlib.sha256(content).digest(), "content through the mapping")
        for place in (0, 4095, 70000, len(content) - 5):
            view[place : place + 5] = content[place : place + 5] = b"MMAP!"
        view.flush()
        equal(os.pread(file.fileno(), 5, 4095), b"MMAP!", "read(2) after a write through the mapping")
        os.pwrite(file.fileno(), b"pwrite", 200000)
        content[200000:200006] = b"pwrite"
        equal(bytes(view[200000:200006]), b"pwrite", "the mapping after pwrite(2)")
    remount()
    equal(hashlib.sha256(read(path)).digest(), hashlib.sha256(content).digest(), "content after a remount")


def sizes() -> None:
    """Files of sizes around blocks and pages have just these sizes, and their content, when they come from the disk.

    What was cut off a file does not come back when it grows again.
    """
    path = folder("sizes")
    wanted = [1, 2, 511, 512, 513, 4095, 4096, 4097, 8191, 12289, 65537, 131071, 131073, 300001]
    for size in wanted:
        write(f"{path}/{size}", _content(size))
    with open(f"{path}/far", "wb") as file:
        file.seek(5 * KIB * MIB)
        file.write(b"far")
    ends = [(cut, grown) for cut in (0, 1, 1000, 4095, 4097, 6000) for grown in ("write", "truncate")]
    for cut, grown in ends:
        _cut_and_grow(f"{path}/{grown}{cut}", cut, grown)
    for _ in ("as cached", "from the disk"):
        for size in wanted:
            equal(os.stat(f"{path}/{size}").st_size, size, f"size of a file of {size} bytes")
            expect(read(f"{path}/{size}") == _content(size), f"wrong content in a file of {size} bytes")
        for cut, grown in ends:
            _expect_cut(read(f"{path}/{grown}{cut}"), cut, grown)
        equal(os.stat(f"{path}/far").st_size, 5 * KIB * MIB + 3, "size of a file that ends beyond 4 GiB")
        with open(f"{path}/far", "rb") as file:
            found = [os.pread(file.fileno(), 3, place * KIB * MIB) for place in (5, 1)]
        equal(found, [b"far", bytes(3)], "bytes at 5 GiB and in the hole at 1 GiB")
        remount()
    os.unlink(f"{path}/far")


def _cut_and_grow(path: str, cut: int, grown: str) -> None:
    """A file of three pages of `x`, of which `cut` bytes stay; the rest, up to the same size, is to be zeros.

    Looked at by a mapping that was there before: where servers ask for it, the kernel drops its pages when a file is
    opened again, and when read(2) finds that its times have changed.
    """
    with open(path, "w+b", buffering=0) as file:
        file.write(b"x" * 12288)
        with mapping.mmap(file.fileno(), 12288, prot=mapping.PROT_READ) as view:
            expect(view[:] == b"x" * 12288, "a mapping does not have what was written")
            file.truncate(cut)
            if grown == "truncate":
                file.truncate(12288)
            else:
                os.pwrite(file.fileno(), bytes(1), 12287)
            _expect_cut(view[:], cut, grown)
        _expect_cut(os.pread(file.fileno(), 20000, 0), cut, grown)


def _expect_cut(got: bytes, cut: int, grown: str) -> None:
    how = f"a file cut to {cut} bytes that grew again by {grown}(2)"
    equal(len(got), 12288, f"size of {how}")
    expect(got[:cut] == b"x" * cut, f"wrong content before the cut of {how}")
    expect(got[cut:] == bytes(12288 - cut), f"what was cut off is back in {how}")


def pages() -> None:
    """Each page of a mapping is written back, and each of a large file is read again."""
    path = folder("pages") + "/f"
    length = 3 * MIB + 77
    write(path, bytes(length))
    with open(path, "r+b") as file, mapping.mmap(file.fileno(), 0) as view:
        for place in range(0, length, 4096):
            view[place : place + 8] = place.to_bytes(8, "little")[: length - place]
        view.flush()
        os.fsync(file.fileno())
    remount()
    got = read(path)
    equal(len(got), length, "size")
    for place in range(0, length, 4096):
        found, wanted = got[place : place + 4096], place.to_bytes(8, "little") + bytes(4088)
        expect(found == wanted[: len(found)], f"page {place // 4096} of {length // 4096} is not what was written")


def space() -> None:
    """What removed and truncated files used is free again."""
    path = folder("space")
    os.sync()
    before = os.statvfs(path)
    for number in range(50):
        write(f"{path}/f{number}", b"s" * 100_000)
    write(f"{path}/cut", b"c" * 3 * MIB)
    os.sync()
    used = before.f_bfree - os.statvfs(path).f_bfree
    expect(used * before.f_frsize >= 7 * MIB, f"8 MiB were written and statfs(2) says {used} blocks less are free")
    os.truncate(f"{path}/cut", 0)
    for number in range(50):
        os.unlink(f"{path}/f{number}")
    remount()
    now = os.statvfs(path)
    lost = (before.f_bfree - now.f_bfree) * before.f_frsize
    expect(lost < MIB, f"{lost} bytes are not free again after all files were removed or cut")
    expect(before.f_ffree - now.f_ffree <= 1, f"{before.f_ffree - now.f_ffree} inodes are not free again")


def statfs() -> None:
    """statfs(2) knows how long a name may be, and what is kept for root; what is written counts for all alike."""
    path = folder("statfs")
    os.sync()
    before = os.statvfs(path)
    equal(before.f_namemax, 255, "longest name")
    write(f"{path}/f", b"s" * 8 * MIB)
    os.sync()
    now = os.statvfs(path)
    free, available = before.f_bfree - now.f_bfree, before.f_bavail - now.f_bavail
    expect(abs(free - available) <= free // 4, f"of 8 MiB, f_bfree knows {free} blocks and f_bavail {available} blocks")
    if shutil.which("dumpe2fs"):
        said = re.search(r"^Reserved block count: +(\d+)$", run("dumpe2fs", "-h", device()).stdout, re.MULTILINE)
        kept = int(said[1]) if said else 0
        found = (now.f_bfree - now.f_bavail) * now.f_frsize // now.f_bsize
        expect(found >= kept, f"{kept} blocks are kept for root, and f_bavail is {found} less than f_bfree")
    os.unlink(f"{path}/f")


def full() -> None:
    """On a full disk a write fails with ENOSPC, and when something is removed there is room again."""
    path = folder("full")
    with open(f"{path}/most", "wb") as file:
        size, end = os.statvfs(path).f_bavail * os.statvfs(path).f_frsize, 0
        while size >= MIB:
            try:
                with supported("fallocate(2)", errno.EOPNOTSUPP):
                    fallocate(file.fileno(), 0, end, size)
                end += size
            except OSError as error:
                expect(error.errno == errno.ENOSPC, f"fallocate(2) of more than is free: {error.strerror}")
                size //= 2
    refused(errno.ENOSPC, "writing to a full disk", write, f"{path}/rest", b"r" * 16 * MIB)
    os.unlink(f"{path}/most")
    os.unlink(f"{path}/rest")
    write(f"{path}/f", b"f" * MIB)
    expect(read(f"{path}/f") == b"f" * MIB, "wrong content of a file that was written when there was room again")


def readonly() -> None:
    """A read-only mount reads and does not write."""
    path = folder("readonly") + "/f"
    write(path, b"kept")
    umount()
    try:
        mount(options="ro")
        equal(read(path), b"kept", "content on a read-only mount")
        refused(errno.EROFS, "writing on a read-only mount", os.open, path, os.O_WRONLY)
        refused(errno.EROFS, "removing on a read-only mount", os.unlink, path)
    finally:
        if mount_line() is not None:
            umount()
        mount()
    write(path, b"written again")


def _content(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def fsync() -> None:
    """fsync and fdatasync of files and directories succeed, and what they covered is there after a remount."""
    path = folder("fsync")
    wanted = {}
    for number in range(8):
        content = random.Random(number).randbytes(1000 * 3**number)
        wanted[f"f{number}"] = content
        with open(f"{path}/f{number}", "wb", buffering=0) as file:
            file.write(content[: len(content) // 2])
            os.fdatasync(file.fileno())
            file.write(content[len(content) // 2 :])
            os.fsync(file.fileno())
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(handle)
    os.close(handle)
    remount()
    equal(sorted(os.listdir(path)), sorted(wanted), "files after a remount")
    for name, content in wanted.items():
        equal(read(f"{path}/{name}"), content, f"content of {name}, which fsync(2) covered, after a remount")


def durable() -> None:
    """fsync(2), fdatasync(2) and O_SYNC make the disk write what it has cached."""
    path = folder("durable") + "/f"
    flags = os.O_CREAT | os.O_WRONLY
    for what, more, sync in (("fsync(2)", 0, os.fsync), ("fdatasync(2)", 0, os.fdatasync), ("O_SYNC", os.O_SYNC, None)):
        handle = os.open(path, flags | more)
        before = _flushes()
        os.pwrite(handle, what.encode() * 1000, 0)
        if sync:
            sync(handle)
        expect(_flushes() > before, f"after {what} of a file that was written the disk was not flushed")
        os.close(handle)


def durable_names() -> None:
    """fsync(2) of a directory does, too."""
    path = folder("durable-names")
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    before = _flushes()
    write(f"{path}/f", b"")
    with supported("fsync(2) of a directory", errno.EINVAL, errno.EOPNOTSUPP):
        os.fsync(handle)
    os.close(handle)
    if _flushes() == before:
        raise NotRun("fsync(2) of a directory does not flush the disk")


def _flushes() -> int:
    """How often the disk was told so. Raises NotRun when the kernel does not count it."""
    fields = read(f"/sys/block/{os.path.basename(device())}/stat").split()
    if len(fields) < 16:
        raise NotRun("the kernel does not count flushes")
    return int(fields[15])


CHECKS = {
    "mkfs": make, "mount": mount_it, "sparse": sparse, "mmap": mmap, "sizes": sizes, "pages": pages,
    "space": space, "statfs": statfs, "full": full, "readonly": readonly, "fsync": fsync, "durable": durable,
    "durable-names": durable_names,
}  # fmt: skip
