# SPDX-License-Identifier: GPL-2.0-or-later
"""How long it takes from nothing to the first answer, and what would make that shorter."""

import ctypes
import errno
import glob
import os
import signal
import subprocess
import time
from typing import Any

import containment
from guest import MNT, RUN, SERVER, Failed, NotRun, device, mount_line, read, run, server_options, umount

from bench.files import ended, kill
from bench.rounds import EXT4, LEG, YARD, Row, fresh, turns

LIMIT = 60.0
"""Seconds that a server has for its first answer, on an emulated machine."""
ASIDE = "/run/bench-aside"
_BIND = 4096
SYS_FORK = 57
_libc = ctypes.CDLL(None, use_errno=True)


def mounts(order: dict[str, Any]) -> dict[str, Row]:
    """From the start of the server, or mount(2), until stat(2) of the root has an answer, with cold caches.

    The server is started as the mount helper does it, and without it: its shell would be measured, too.
    """
    (name,) = order["rows"]
    words = _learn()
    row = Row()
    for side, place, _ in turns(order["rounds"]):
        if side == EXT4 or not SERVER:
            row.add(side, _kernels(device("TEST_DEV" if side == LEG else "SCRATCH_DEV"), place))
            _umount(place)
            continue
        server, seconds = _start(words, place)
        row.add(side, seconds)
        _end(server, place)
    return {name: row}


def pool(order: dict[str, Any]) -> dict[str, Row]:
    """What is left when the server was started before it is wanted: a bind mount of its folder, and the first stat(2).

    It has to have the image, which nothing else may write from then on.
    """
    if not SERVER:
        raise NotRun("the kernel's own filesystem has no server that could be started before")
    (name,) = order["rows"]
    words = _learn()
    row = Row()
    os.makedirs(ASIDE, exist_ok=True)
    for side, place, _ in turns(order["rounds"]):
        if side == EXT4:
            row.add(side, _kernels(device("SCRATCH_DEV"), place))
            _umount(place)
            continue
        server, _ = _start(words, ASIDE)
        began = time.monotonic()
        _mount(ASIDE, place, "", _BIND, "")
        os.stat(place)
        row.add(side, time.monotonic() - began)
        _umount(place)
        _end(server, ASIDE)
    return {name: row}


def fork(order: dict[str, Any]) -> dict[str, Row]:
    """Whether a copy of the server, made by fork(2) once it serves, can serve in its place.

    gdb makes the copy; then the original stands still, and the copy is asked. Raises NotRun with what was seen when it
    does not answer.
    """
    if not SERVER:
        raise NotRun("the kernel's own filesystem has no server that could be copied")
    if containment.demanded():
        raise NotRun("systemd starts a contained server, so a copy of it made by fork() is not measured")
    (name,) = order["rows"]
    server, _ = _start(_learn(), MNT)
    said = _gdb(server.pid)
    copies = _children(server.pid)
    row = Row()
    try:
        if not copies:
            why = next((line for line in reversed(said.splitlines()) if line.strip()), "no output from gdb")
            raise NotRun(f"fork() could not be called in {SERVER}: {why[:200]}")
        threads, left = _threads(server.pid), _threads(copies[0])
        os.kill(server.pid, signal.SIGSTOP)
        answer = _asked(order["window"])
        if answer is None:
            raise NotRun(
                f"a copy of {SERVER} made by fork() has {left} of {threads} threads, is in state {_state(copies[0])}, "
                f"and did not respond within {order['window']} s"
            )
        row.add(LEG, answer)
        row.note = f"the copy has {left} of {threads} threads"
    finally:
        for pid in copies:
            kill(pid)
        kill(server.pid, signal.SIGCONT)
        _end(server, MNT)
    return {name: row}


def restored(order: dict[str, Any]) -> dict[str, Row]:
    """A machine that was saved with the server in it would need none of its start."""
    raise NotRun(
        "a saved machine is shared by all runs of its kernel and guest, and saved before it has any disk of a test: "
        "what is mounted then would be lost, for a filesystem does not survive that its disk is exchanged"
    )


def guestfs(order: dict[str, Any]) -> dict[str, Row]:
    """libguestfs' own start, as another way to a contained mount."""
    (name,) = order["rows"]
    row = Row()
    fresh()
    umount()
    for side, place, _ in turns(order["rounds"]):
        if side == EXT4:
            continue
        began = time.monotonic()
        run("guestmount", "-a", device(), "-m", "/dev/sda", "--ro", place)
        os.stat(place)
        row.add(side, time.monotonic() - began)
        run("guestunmount", place)
    return {name: row}


def service(order: dict[str, Any]) -> dict[str, Row]:
    """The contained server is a leg of its own, which has all rows; here it is said why it does not run."""
    if not SERVER:
        raise NotRun("the kernel's own filesystem has no server that could be contained")
    if containment.demanded():
        raise NotRun(f"this leg is the contained server: leg {SERVER} has the rows of the plain one")
    if not glob.glob(f"/stack/lib/systemd/system/{SERVER}*.socket"):
        raise NotRun(f"this tree installs no systemd unit of {SERVER}")
    raise NotRun(f"leg {SERVER}-service has the rows of {SERVER}.socket")


def _learn() -> str:
    """Options that the mount helper gives the server; nothing is mounted on either disk afterwards."""
    fresh()
    umount(MNT)
    run("umount", "-i", YARD)
    if not SERVER:
        return ""
    options = server_options()
    if not options:
        raise Failed("the mount helper did not log how it started the server")
    return options


def _start(words: str, place: str) -> tuple["subprocess.Popen[bytes]", float]:
    """The server, or the helper that mounts a contained one, and seconds until its first answer. Raises Failed."""
    outside = os.stat(place).st_dev
    with open(f"{RUN}/server.log", "ab") as log:
        began = time.monotonic()
        argv = [SERVER, "-f", device(), place, "-o", words]
        if containment.demanded():
            argv = ["fuservicemount3", device(), place, "-t", "fuse.ext4", "-o", words]
        env = {**os.environ, "LD_LIBRARY_PATH": "/stack/lib"}
        server = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
    while os.stat(place).st_dev == outside:
        mounting = server.poll() is None or (containment.demanded() and server.returncode == 0)
        if not mounting or time.monotonic() - began > LIMIT:
            server.kill()
            raise Failed(f"{SERVER} did not mount {device()}: status {server.poll()}")
        time.sleep(0.002)
    return server, time.monotonic() - began


def _end(server: "subprocess.Popen[bytes]", place: str) -> None:
    _umount(place)
    try:
        server.wait(LIMIT)
        containment.await_end(LIMIT)
    except subprocess.TimeoutExpired:
        server.kill()
        raise Failed(f"{SERVER} was still running {LIMIT:.0f} s after it was unmounted") from None


def _kernels(disk: str, place: str) -> float:
    began = time.monotonic()
    _mount(disk, place, "ext4", 0, "")
    os.stat(place)
    return time.monotonic() - began


def _mount(source: str, place: str, kind: str, flags: int, options: str) -> None:
    if _libc.mount(*(os.fsencode(word) for word in (source, place, kind)), flags, os.fsencode(options)):
        number = ctypes.get_errno()
        raise Failed(f"mount of {source}: {os.strerror(number)}")


def _umount(place: str) -> None:
    """Whoever was killed while a server stood still uses the mount until that server answered."""
    until = time.monotonic() + LIMIT
    while mount_line(place) is not None and _libc.umount2(os.fsencode(place), 0):
        number = ctypes.get_errno()
        if number != errno.EBUSY or time.monotonic() > until:
            raise Failed(f"umount of {place}: {os.strerror(number)}")
        time.sleep(0.05)


def _children(pid: int) -> list[int]:
    return [int(other) for other in os.listdir("/proc") if other.isdigit() and _stat(int(other))[1:2] == [str(pid)]]


def _threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


def _stat(pid: int) -> list[str]:
    """State, parent, …; empty when there is no such process."""
    try:
        return read(f"/proc/{pid}/stat").decode(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _state(pid: int) -> str:
    return (_stat(pid) or ["gone"])[0]


_FORK = (
    "set detach-on-fork off", "set follow-fork-mode parent", "set $at = (long)$rip",
    "set $rip = $at - 2", f"set $rax = {SYS_FORK}", "set $orig_rax = -1", "stepi", 'printf "copy %d\\n", (int)$rax',
    *(word for one in (1, 2) for word in (
        f"inferior {one}", "set $rip = $at", f"set $rax = -{errno.EINTR}", "set $orig_rax = -1")),
    "detach inferiors 2", "detach inferiors 1",
)  # fmt: skip
"""The server's first thread, which gdb stopped in a system call, makes fork(2) by the same instruction; then both find
that theirs was interrupted. A call of the C library's fork() by gdb would leave its own traces in the copy.
"""


def _gdb(pid: int) -> str:
    """What gdb says when it makes a copy of a process on x86-64."""
    words = ["-nx", "-nh", "-batch", "-iex", "set debuginfod enabled off"]
    try:
        done = subprocess.run(
            ["gdb", *words, "-p", str(pid), *(word for command in _FORK for word in ("-ex", command))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LIMIT,
            check=False,
        )
    except FileNotFoundError:
        raise NotRun("gdb is not installed in the guest") from None
    except subprocess.TimeoutExpired:
        raise NotRun(f"gdb did not finish within {LIMIT:.0f} s") from None
    return done.stdout.decode(errors="replace")


def _asked(window: float) -> float | None:
    """Seconds until somebody answers for the mount; None: nobody did."""
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        try:
            os.statvfs(MNT)
        finally:
            os._exit(0)
    if ended(child, began + window) is None:
        kill(child)
        return None
    return time.monotonic() - began
