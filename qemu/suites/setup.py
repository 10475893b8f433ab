# SPDX-License-Identifier: GPL-2.0-or-later
"""First step of every leg: name the server, check what the leg rests on, and say what really runs.

Prints one JSON object per line: {"proof": {name: value}} or {"problem": "one line"}. A problem (exit status 1) is
about the machine or the images. That mke2fs or a mount fails is no such problem: the suites find and report it.
"""

import fcntl
import hashlib
import json
import os
import struct
import subprocess
import time

from guest import FSTYP, MNT, RUN, SERVER, Failed, NotRun, device, mkfs, mount, mount_line, read, server_log, umount

# _IOR(229, 99, struct { u64 flags, padding; })
_FUSE_DEV_IOC_IOMAP_SUPPORT = 2 << 30 | 16 << 16 | 229 << 8 | 99
_FS_IOC_FIEMAP = 0xC020660B
IOMAP_SWITCH = "/sys/module/fuse/parameters/enable_iomap"
KMSG = "/dev/kmsg"
MOUNTING = "reviewbot: mounting to see iomap"
"""Written before the mount that has to show it: the kernel warns of each connection."""


class Problem(Exception):
    """Why the leg cannot count."""


def say(**words: object) -> None:
    print(json.dumps(words), flush=True)


def prove(**facts: object) -> None:
    say(proof=facts)


def find(program: str) -> str:
    """Path of a program on PATH, or an empty string."""
    for place in os.environ["PATH"].split(":"):
        if os.access(f"{place}/{program}", os.X_OK):
            return f"{place}/{program}"
    return ""


def sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_kernel(demands: list[str]) -> None:
    """The kernel has the filesystem; what the leg demands is switched on."""
    with open("/proc/filesystems") as file:
        known = file.read().split()
    wanted = "fuse" if SERVER else FSTYP
    if wanted not in known:
        raise Problem(f"this kernel has no {wanted} filesystem")
    if SERVER and not os.path.exists("/dev/fuse"):
        raise Problem("there is no /dev/fuse")
    if SERVER:
        switch_iomap("iomap" in demands)


def switch_iomap(wanted: bool) -> None:
    """Say in both directions whether servers may use iomap: with the switch on they do so unasked."""
    if not os.path.exists(IOMAP_SWITCH):
        return
    with open(IOMAP_SWITCH, "w") as file:
        file.write("1" if wanted else "0")
    if wanted != (read(IOMAP_SWITCH).strip() in (b"1", b"Y")):
        raise Problem(f"{IOMAP_SWITCH} stays {'off' if wanted else 'on'}")


def check_programs() -> None:
    os.makedirs(RUN, exist_ok=True)
    if SERVER:
        with open(f"{RUN}/server", "w") as file:
            file.write(SERVER + "\n")
    for program in (SERVER, "mke2fs", "e2fsck"):
        path = find(program) if program else "-"
        if not path:
            raise Problem(f"{program} is not on PATH ({os.environ['PATH']})")
        if program:
            prove(**{f"sha256:{path}": sha256(path)})


def prove_libraries() -> None:
    """Hash of the libfuse that the running server has mapped: what it links is no matter of trust."""
    with open(f"{RUN}/servers/{os.path.basename(device())}.pid") as file:
        pid = int(file.read())
    maps = read(f"/proc/{pid}/maps").decode(errors="replace").split("\n")
    paths = {line.split(maxsplit=5)[5] for line in maps if line.count("/") and ".so" in line}
    prove(server=os.readlink(f"/proc/{pid}/exe"))
    for path in sorted(p for p in paths if "/libfuse" in p or "/libext2fs" in p):
        prove(**{f"sha256:{path}": sha256(path)})


def prove_iomap() -> None:
    """Independent signs while mounted: the kernel's warning about this connection, what /dev/fuse offers, and a file of
    which the kernel knows where its blocks are.

    A server may fall back without a word, for the mount or for a file; then only the last sign is missing.
    """
    # The warning ends without a newline, so nobody sees it until something else is said.
    note("reviewbot: mounted to see iomap")
    warned = b"EXPERIMENTAL iomap" in kernel_log().rpartition(MOUNTING.encode())[2]
    flags, extents = offered(), extents_of_a_new_file()
    prove(iomap_warning=warned, iomap_flags=flags, iomap_extents=extents)
    if not (warned and flags and extents):
        missing = [] if warned else ["no `EXPERIMENTAL iomap` in the kernel's log"]
        missing += [] if flags else ["/dev/fuse does not offer iomap"]
        missing += [] if extents else ["FIEMAP knows no extent of a new file: its data goes through the server"]
        raise Problem(f"iomap was demanded and is not proven: {' and '.join(missing)}")


def offered() -> int:
    """What the kernel offers of iomap, as flags; 0 when it knows nothing of it."""
    handle = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    try:
        answer = fcntl.ioctl(handle, _FUSE_DEV_IOC_IOMAP_SUPPORT, bytes(16))
        return int(struct.unpack("QQ", answer)[0])
    except OSError:
        return 0
    finally:
        os.close(handle)


def extents_of_a_new_file() -> int:
    """How many extents FIEMAP tells of a file that was just written and synced; 0 when it tells nothing."""
    path = f"{MNT}/reviewbot-iomap"
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        os.write(handle, b"x" * 65536)
        os.fsync(handle)
        answer = fcntl.ioctl(handle, _FS_IOC_FIEMAP, struct.pack("=QQLLLL", 0, 1 << 20, 0, 0, 0, 0))
        return int(struct.unpack("=QQLLLL", answer)[3])
    except OSError:
        return 0
    finally:
        os.close(handle)
        os.unlink(path)


def note(words: str) -> None:
    """Put a line into the kernel's log."""
    handle = os.open(KMSG, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    os.write(handle, f"<6>{words}\n".encode())
    os.close(handle)


def kernel_log() -> bytes:
    """All messages in the kernel's ring buffer."""
    handle = os.open(KMSG, os.O_RDONLY | os.O_NONBLOCK)
    lines = []
    try:
        while True:
            try:
                lines.append(os.read(handle, 8192))
                if not lines[-1]:
                    return b"".join(lines)
            except BrokenPipeError:
                continue  # overwritten while we read
            except BlockingIOError:
                return b"".join(lines)
    finally:
        os.close(handle)


def prove_versions() -> None:
    """What the kernel's FUSE and the server say of themselves."""
    init = [line for line in kernel_log().decode(errors="replace").split("\n") if "fuse: init" in line]
    if init:
        prove(fuse_init=init[0].partition(";")[2][:200])
    if SERVER:
        try:
            done = subprocess.run([SERVER, "-V"], capture_output=True, timeout=20, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return
        words = (done.stderr + done.stdout).decode(errors="replace").split("\n")
        prove(server_version="; ".join(filter(None, (word.strip() for word in words)))[:400])


def try_mount(demands: list[str]) -> None:
    """Make both filesystems, mount one once. Only what was demanded may fail the leg."""
    try:
        mkfs("TEST_DEV")
        mkfs("SCRATCH_DEV")
        if "iomap" in demands:
            note(MOUNTING)
        started = time.monotonic()
        mount()
        prove(mount_seconds=round(time.monotonic() - started, 2))
    except (Failed, NotRun) as why:
        print(server_log(), end="")
        prove(mount=f"failed: {why}")
        if demands:
            raise Problem(f"{', '.join(demands)} was demanded and is not proven: {why}") from None
        return
    line = mount_line()
    prove(mount=f"{line[1] if line else FSTYP} rw")
    try:
        if SERVER:
            prove_libraries()
        if "iomap" in demands:
            prove_iomap()
    finally:
        umount()


def main(demands: list[str]) -> int:
    try:
        for serial in ("TEST_DEV", "SCRATCH_DEV"):
            device(serial)
        for place in (MNT, "/mnt/scratch"):
            os.makedirs(place, exist_ok=True)
        check_kernel(demands)
        check_programs()
        prove_versions()
        try_mount(demands)
    except (Problem, Failed) as why:
        say(problem=str(why))
        return 1
    return 0
