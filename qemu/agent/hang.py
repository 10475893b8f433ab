# SPDX-License-Identifier: GPL-2.0-or-later
"""What the agent does about a step that reached its limit, below the loop that waits.

Each of these may touch what hangs, so the agent calls them in a process of its own and with a limit. Nothing here
reads what takes a task's mmap lock (`cmdline`, `maps`, `environ`): a task that hangs in a page fault holds it. Only
gdb does, with a limit of its own beyond which it is not waited for.
"""

import errno
import os
import signal
import time
from collections.abc import Iterator

from texts import read, write

FOLDER = "/run/reviewbot/hang"
"""What `collect` leaves for the step's log folder."""
CONNECTIONS = "/sys/fs/fuse/connections"
ABORTED = "/run/reviewbot/aborted"
OURS = ("root", "payload", "results")
"""Serials of disks that no step uses."""
EXCERPT = 4000
_LOG = "/run/reviewbot/server.log"
_LOG_BYTES = 64 << 10
_KTHREAD = 0x00200000
_GDB = ("gdb", "-nx", "-nh", "-batch", "-iex", "set debuginfod enabled off", "-iex", "set width 0", "-ex", "thread 1",
        "-ex", "bt 64", "-ex", "echo \\n== all threads\\n", "-ex", "thread apply all -s bt 24", "-p")  # fmt: skip
_GDB_LIMIT = 10.0
"""Seconds for all servers together, half of what the agent gives `collect`; an emulated machine that does nothing else
needs two for each."""
_MOST_TRACED, _FRAMES = 2, 6
_MNT_FORCE, _MNT_DETACH = 1, 2
_PATIENCE = 5.0
"""Seconds for killed processes to be gone, and for devices to be free."""


class Task:
    """One thread, as /proc tells it."""

    def __init__(self, pid: int, tid: int) -> None:
        self.pid, self.tid = pid, tid
        self.folder = f"/proc/{pid}/task/{tid}"
        name, _, rest = read(f"{self.folder}/stat").rpartition(")")
        words = rest.split()
        self.name = name.partition("(")[2]
        self.state = words[0] if words else "X"
        self.parent = int(words[1]) if words else 0
        self.kernel = bool(words and int(words[6]) & _KTHREAD)

    def __str__(self) -> str:
        return f"{self.name} pid {self.pid}" + (f" thread {self.tid}" if self.tid != self.pid else "")

    @property
    def wchan(self) -> str:
        name = read(f"{self.folder}/wchan").strip()
        return "" if name == "0" else name.partition(".")[0]

    @property
    def stack(self) -> list[str]:
        return [line.removeprefix("[<0>] ") for line in read(f"{self.folder}/stack").splitlines()]


def numbers(folder: str) -> list[int]:
    try:
        return sorted(int(name) for name in os.listdir(folder) if name.isdigit())
    except OSError:
        return []


def tasks() -> Iterator[Task]:
    """All threads of user space but the agent's, and the kernel's where they do not sleep well."""
    for pid in numbers("/proc"):
        for tid in numbers(f"/proc/{pid}/task"):
            task = Task(pid, tid)
            if pid not in (1, os.getpid()) and (not task.kernel or task.state == "D") and task.state not in "XZ":
                yield task


def serves(pid: int) -> bool:
    """Whether a process holds /dev/fuse: it is a server, whatever its name."""
    for fd in numbers(f"/proc/{pid}/fd"):
        try:
            if os.readlink(f"/proc/{pid}/fd/{fd}") == "/dev/fuse":
                return True
        except OSError:
            continue
    return False


def mounts() -> list[tuple[str, str, str, str]]:
    """(device number, folder, type, source) of every mount, oldest first."""
    found = []
    for line in read("/proc/self/mountinfo").splitlines():
        words = line.split()
        dash = words.index("-", 6)
        folder, source = (w.encode().decode("unicode_escape") for w in (words[4], words[dash + 2]))
        found.append((words[2], folder, words[dash + 1], source))
    return found


def connections() -> list[str]:
    """A line for each FUSE connection: what it serves and how many requests wait."""
    places = {
        device.partition(":")[2]: f"{source} on {folder}"
        for device, folder, kind, source in mounts()
        if kind.startswith("fuse") and kind != "fusectl"
    }
    return [
        f"fuse connection {number} ({places.get(str(number), 'not mounted')}): "
        f"requests waiting: {read(f'{CONNECTIONS}/{number}/waiting').strip() or '?'}"
        for number in numbers(CONNECTIONS)
    ]


def collect() -> str:
    """Write all that is known of the hang below FOLDER; gives the lines that tell most of it, 4000 bytes at most."""
    os.makedirs(FOLDER, exist_ok=True)
    for name in os.listdir(FOLDER):  # of an earlier hang
        os.unlink(f"{FOLDER}/{name}")
    known, servers = list(tasks()), set()
    for pid in {task.pid for task in known}:
        if serves(pid):
            servers.add(pid)
            write(f"{FOLDER}/server-{pid}.status", read(f"/proc/{pid}/status"))
    waiting = connections()
    write(f"{FOLDER}/connections.txt", "".join(line + "\n" for line in waiting))
    lines = []
    for task in known:
        syscall = read(f"{task.folder}/syscall").split(" ")[0].strip()
        lines += [
            f"{task}: state {task.state}, parent {task.parent}, wchan {task.wchan or '-'}, syscall {syscall}",
            *(f"    {line}" for line in task.stack),
            "",
        ]
    write(f"{FOLDER}/tasks.txt", "\n".join(lines))
    log = read(_LOG)[-_LOG_BYTES:]
    if log:
        write(f"{FOLDER}/server.log", log)
    write("/proc/sysrq-trigger", "w")
    told = list(waiting)
    for task in known:
        if task.pid in servers:
            told.append(f"server {task}: state {task.state}, in {task.wchan or 'user space'}")
    for task in known:
        if task.state == "D":
            told += [f"blocked {task}: in {task.wchan}", *(f"    {line}" for line in task.stack[:8])]
    until = time.monotonic() + _GDB_LIMIT
    for pid in sorted(servers)[:_MOST_TRACED]:
        if where := backtrace(pid, max(0.0, until - time.monotonic())):
            told.append(f"server pid {pid} is in {' < '.join(where)}")
    if servers:
        told += [f"server said: {line}" for line in log.splitlines()[-3:]]
    for task in known:
        if task.pid not in servers and task.state != "D" and task.wchan not in ("do_wait", ""):
            told.append(f"waiting {task}: state {task.state}, in {task.wchan}")
    return "\n".join(told)[:EXCERPT]


def backtrace(pid: int, limit: float) -> list[str]:
    """The innermost functions of a server's first thread; all threads go into a file below FOLDER."""
    import re
    import subprocess

    path = f"{FOLDER}/server-{pid}.backtrace"
    try:
        with open(path, "wb") as file:
            debugger = subprocess.Popen([*_GDB, str(pid)], stdin=subprocess.DEVNULL, stdout=file, stderr=file)
            debugger.wait(limit)
    except subprocess.TimeoutExpired:
        debugger.kill()
    except OSError as error:
        write(path, f"[no gdb: {error.strerror}]\n")
    first = read(path).partition("\n== all threads")[0]
    return re.findall(r"^#\d+ +(?:0x[0-9a-f]+ in )?([A-Za-z_][\w.]*) ", first, re.MULTILINE)[:_FRAMES]


def abort() -> str:
    """Abort every FUSE connection: requests that wait fail, and who waited for them can be killed. Which they were.

    A server that ends over it did not die of itself; its supervisor looks for the file.
    """
    write(ABORTED, "")
    aborted = [n for n in numbers(CONNECTIONS) if write(f"{CONNECTIONS}/{n}/abort", "1")]
    return " ".join(str(number) for number in aborted)


def clean() -> str:
    """End all processes, unmount what steps mounted, free their disks. Why the machine cannot be used on, or empty."""
    os.chdir("/")
    abort()
    left = _killed()
    if left:
        return f"{left[0]} cannot be killed: state {left[0].state}, in {left[0].wchan or '?'}"
    for name in os.listdir("/run/reviewbot/servers") if os.path.isdir("/run/reviewbot/servers") else ():
        os.unlink(f"/run/reviewbot/servers/{name}")
    if os.path.exists(ABORTED):
        os.unlink(ABORTED)
    if len(read("/proc/swaps").splitlines()) > 1:
        call("swapoff", "-a")
    disks = _disks()
    _unmount(disks)
    if any(os.path.exists(f"/sys/block/{name}/dm") for name in os.listdir("/sys/block")):
        call("dmsetup", "remove_all", "--force")
    for name in os.listdir("/sys/block"):
        if os.path.exists(f"/sys/block/{name}/loop/backing_file"):
            call("losetup", "-d", f"/dev/{name}")
    until = time.monotonic() + _PATIENCE
    while True:
        why = next((f"{disk} is still in use" for disk in disks if not _free(disk)), "")
        if not why and numbers(CONNECTIONS):
            why = f"a fuse connection is left: {connections()[0]}"
        if not why or time.monotonic() > until:
            return why
        time.sleep(0.1)


def _killed() -> list[Task]:
    """Kill everything but init and this process; what is still there in the end."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            os.kill(-1, signal.SIGKILL)
        except ProcessLookupError:
            return []
        left = [task for task in tasks() if not task.kernel]
        if not left or time.monotonic() > until:
            return left
        time.sleep(0.05)


def _disks() -> list[str]:
    base = "/dev/disk/by-serial"
    return [os.path.realpath(f"{base}/{name}") for name in sorted(os.listdir(base)) if name not in OURS]


def _unmount(disks: list[str]) -> None:
    """What steps have mounted, the newest first: FUSE, the test disks, whatever lies on loops and mapped devices."""
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    for _, folder, kind, source in reversed(mounts()):
        is_fuse = kind.startswith("fuse") and kind != "fusectl"
        if is_fuse or source in disks or source.startswith(("/dev/loop", "/dev/dm-", "/dev/mapper/")):
            place = os.fsencode(folder)
            if library.umount2(place, _MNT_FORCE) and ctypes.get_errno() != errno.EINVAL:
                library.umount2(place, _MNT_DETACH)


def _free(disk: str) -> bool:
    try:
        os.close(os.open(disk, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def call(*argv: str) -> None:
    try:
        os.waitpid(os.posix_spawnp(argv[0], argv, os.environ), 0)
    except OSError:
        return
