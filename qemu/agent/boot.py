# SPDX-License-Identifier: GPL-2.0-or-later
"""What the agent does once, before the first step: mounts, links and helpers that steps rely on; how slow this is."""

from __future__ import annotations

import fcntl
import os
import time

from texts import read, write

TYPE_CHECKING = False  # that of `typing`, whose import costs too much here
if TYPE_CHECKING:
    from ctypes import CDLL


def slow_factor() -> float:
    """How many times slower than a current desktop CPU this is: a fixed loop takes 3 ms there. The shortest of three
    runs counts, since the host may give this machine's thread no CPU for a while."""
    best = float("inf")
    for _ in range(3):
        started, total = time.perf_counter(), 0
        for number in range(60_000):
            total += number & 7
        best = min(best, time.perf_counter() - started)
    return round(max(1.0, best / 0.003), 2)


def facts() -> dict[str, object]:
    """What the agent's first word tells of the machine."""
    uname = os.uname()
    memory = next((line.split()[1] for line in read("/proc/meminfo").splitlines() if line.startswith("MemTotal")), "0")
    return {
        "kernel_release": uname.release,
        "kernel_version": uname.version,
        "cpus": os.cpu_count(),
        "memory_kib": int(memory),
        "slow_factor": slow_factor(),
        "uptime": float(read("/proc/uptime").split()[0]),
    }


def libc() -> CDLL:
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def mount(library: CDLL, source: str, target: str, kind: str, flags: int = 0, data: str = "") -> int:
    os.makedirs(target, exist_ok=True)
    return int(library.mount(source.encode(), target.encode(), kind.encode(), flags, data.encode() or None))


def prepare() -> None:
    """Mounts, device links and helpers that every step may rely on."""
    library = libc()
    mount(library, "devpts", "/dev/pts", "devpts")
    mount(library, "shm", "/dev/shm", "tmpfs")  # executable: LKL maps its memory from there with PROT_EXEC
    mount(library, "tmp", "/tmp", "tmpfs", 0, "mode=1777")
    mount(library, "run", "/run", "tmpfs", 0, "mode=0755")
    mount(library, "fusectl", "/sys/fs/fuse/connections", "fusectl")
    mount(library, "debugfs", "/sys/kernel/debug", "debugfs")
    mount(library, "tracefs", "/sys/kernel/tracing", "tracefs")
    # Each server moves into a group when it starts: without this option a move takes an RCU grace period, 15-30 ms.
    if mount(library, "cgroup2", "/sys/fs/cgroup", "cgroup2", 0, "favordynmods"):
        mount(library, "cgroup2", "/sys/fs/cgroup", "cgroup2")  # before Linux 6.0
    mount(library, "results", "/results", "tmpfs", 0, "size=25%")  # a test that fills it takes no more
    library.umount2(b"/old", 2)  # MNT_DETACH
    for name in ("fd", "stdin", "stdout", "stderr"):
        if not os.path.lexists("/dev/" + name):
            os.symlink(
                "/proc/self/fd" + {"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"}[name], "/dev/" + name
            )
    for folder in ("/run/reviewbot/gcov", "/run/lock", "/dev/disk/by-serial", "/mnt/test", "/mnt/scratch"):
        os.makedirs(folder, exist_ok=True)
    for disk in os.listdir("/sys/block"):
        serial = read(f"/sys/block/{disk}/serial").strip()
        if serial:
            os.symlink(f"/dev/{disk}", f"/dev/disk/by-serial/{serial}")
    if os.path.isdir("/stack/helpers"):
        for name in os.listdir("/stack/helpers"):
            if os.path.lexists("/sbin/" + name):
                os.unlink("/sbin/" + name)
            os.symlink("/stack/helpers/" + name, "/sbin/" + name)
    write("/proc/sys/kernel/sysrq", "1")
    write("/proc/sys/kernel/printk", "5")
    # Beside the program: fstests looks for the cores of tests there; servers have / as their folder, see deaths.py.
    write("/proc/sys/kernel/core_pattern", "core.%e.%p")
    write("/proc/sys/kernel/hostname", "reviewbot")
    loopback()


def loopback() -> None:
    """Bring `lo` up: some tests talk to themselves."""
    import socket
    import struct

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, 0x8914, struct.pack("16sH14s", b"lo", 0x1 | 0x40, b""))  # SIOCSIFFLAGS, UP | RUNNING
