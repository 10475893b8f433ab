# SPDX-License-Identifier: GPL-2.0-or-later
"""All that the earlier checks left, as a whole: after a remount, for another implementation, and for e2fsck."""

import contextlib
import os
import zlib
from collections.abc import Collection

from guest import (
    FSTYP,
    MNT,
    RUN,
    SERVER,
    Failed,
    NotRun,
    device,
    ensure_mounted,
    equal,
    expect,
    mount,
    mount_line,
    read,
    remount,
    run,
    umount,
)

MIB = 1 << 20
_FAILED = f"{RUN}/smoke-failed"
"""Names of checks, a line each. That what they left, in folders of their names, is wrong is no news."""


def note_failed(check: str) -> None:
    os.makedirs(RUN, exist_ok=True)
    with open(_FAILED, "a") as file:
        file.write(f"{check}\n")


def outside() -> None:
    """The kernel's own ext4 finds on the unmounted disk what the server said was there, but for failed checks."""
    if not SERVER or "ext4" not in FSTYP:
        raise NotRun("no server for ext4 is tested")
    ensure_mounted()
    place, disk = "/mnt/outside", device()
    failed = read(_FAILED).decode().split() if os.path.exists(_FAILED) else []
    before = _tree(MNT, 10**9, failed)  # some servers know seconds only
    os.makedirs(place, exist_ok=True)
    umount()
    run("blockdev", "--setro", disk)  # not even an orphan is removed
    try:
        run("mount", "-t", "ext4", "-o", "ro,noload", disk, place)
        after = _tree(place, 10**9, failed)
        umount(place)
    finally:
        run("blockdev", "--setrw", disk)
    mount()
    for name in sorted(before.keys() | after.keys()):
        equal(after.get(name), before.get(name), f"{name} as the kernel's ext4 sees it")
    print(f"{len(before)} entries are the same for the kernel's ext4")


def persist() -> None:
    """Everything that the earlier checks left is the same after a remount: names, content, modes, owners, links."""
    ensure_mounted()
    before = _tree(MNT)
    expect(len(before) > 1, "there is nothing on the filesystem to compare")
    remount()
    after = _tree(MNT)
    for name in sorted(before.keys() | after.keys()):
        equal(after.get(name), before.get(name), f"{name} after a remount")
    print(f"{len(before)} entries are the same after a remount")


def _tree(top: str, unit: int = 1, without: Collection[str] = ()) -> dict[str, object]:
    """Name -> what must not change. Times of access may. unit: of times, in ns. without: folders at the top."""
    found: dict[str, object] = {}
    for folder_name, folders, names in os.walk(top):
        if folder_name == top:
            folders[:] = [name for name in folders if name not in without]
        for name in (*folders, *names):
            path = f"{folder_name}/{name}"
            now = os.lstat(path)
            facts: list[object] = [now.st_mode, now.st_uid, now.st_gid, now.st_nlink, now.st_rdev]
            facts += [now.st_mtime_ns // unit, _attributes(path)]
            if os.path.islink(path):
                facts.append(os.readlink(path))
            elif os.path.isfile(path):
                facts += [now.st_size, _digest(path, now.st_size)]
            found[path.removeprefix(top)] = facts
    return found


def _attributes(path: str) -> dict[str, bytes]:
    """Extended attributes of users, and ACLs."""
    with contextlib.suppress(OSError):
        names = [name for name in os.listxattr(path, follow_symlinks=False) if name.startswith(("user.", "system."))]
        return {name: os.getxattr(path, name, follow_symlinks=False) for name in sorted(names)}
    return {}


def _digest(path: str, size: int) -> str:
    """CRC of the whole, or of some windows of a big sparse file: an emulated machine hashes 5 MiB/s by SHA-256."""
    if size <= 4 * MIB:
        return f"{zlib.crc32(read(path)):08x}"
    with open(path, "rb") as file:
        windows = []
        for start in range(0, size, 16 * MIB):
            file.seek(start)
            windows.append(file.read(65536))
    return f"{zlib.crc32(b''.join(windows)):08x}"


def fsck() -> None:
    """`e2fsck -fn` of the unmounted disk must find nothing to repair."""
    if mount_line() is not None:
        umount()
    done = run("e2fsck", "-fn", device(), check=False)
    print(done.stdout, end="")
    if done.returncode:
        quiet = ("e2fsck ", "Pass ", device())
        lines = [line for line in done.stdout.splitlines() if line.strip() and not line.startswith(quiet)]
        # Deleted files that were still open are the mildest complaint: one of another kind goes before it.
        lines.sort(key=lambda line: "orphan" in line or "has zero dtime" in line)
        first = lines[0] if lines else "no output"
        raise Failed(f"e2fsck -fn ended with status {done.returncode}: {first}")


CHECKS = {"remount": persist, "outside": outside, "fsck": fsck}
