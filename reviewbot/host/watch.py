# SPDX-License-Identifier: GPL-2.0-or-later
"""Watches over a box: what its processes use in sum. Part of stage.py's program: nothing but the standard library.

Memory and processes are counted by control groups where there are some: here it is only read whether one of them had
to refuse something. Where there are none, they are counted from /proc, several times a second.
"""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TICK = 0.25
"""Seconds between two looks."""
_SELDOM = 30.0
"""Seconds after which a folder is measured even if its file system did not grow: others may have freed something."""
_SHARE = 20
"""Measuring takes at most this part of the time."""
_SCARCE = 0.03
"""Part of the machine's memory that must be left, where no control group limits the box."""
_URGENT = 8
"""A folder is measured, whatever that takes, when its file system grew by this part of the limit too much."""
_FLOOR = 1 << 30
"""Bytes of a disk that must be left to others, once it grew by more than the box may have."""

_OPEN = 100_000
"""Open files that can be looked at before much more is written."""
_OWN = ("RssAnon:", "RssShmem:", "VmSwap:", "VmPTE:")
"""Lines of /proc/PID/status."""

Exceeded = tuple[str, int]
"""What there was too much of, and the limit."""


class Watch:
    """plan: limits `memory`, `disk` (bytes), `processes`, `inodes`; `events`: of control groups. places: what the
    box may write to, and where what it changes there is.
    """

    def __init__(self, plan: dict[str, Any], places: dict[str, str], child: int) -> None:
        self.limits: dict[str, int] = plan["sums"]
        self.events = [(what, Path(file), key) for what, file, key in plan["events"]]
        self.before = [self._count(file, key) for _, file, key in self.events]
        self.child = child
        self.disks = [_Disk(changed, place) for place, changed in places.items()]

    def exceeded(self) -> Exceeded | None:
        """Called each tick."""
        return self.refused() or self._from_proc({what for what, _, _ in self.events}) or self._on_disk()

    def refused(self) -> Exceeded | None:
        """What a control group had to refuse so far."""
        for (what, file, key), before in zip(self.events, self.before, strict=True):
            if self._count(file, key) > before:
                return what, self.limits[what]
        return None

    @staticmethod
    def _count(file: Path, key: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            for line in file.read_text().splitlines():
                name, _, number = line.partition(" ")
                if name == key:
                    return int(number)
        return 0

    def _from_proc(self, known: set[str]) -> Exceeded | None:
        if {"memory", "processes"} <= known:
            return None
        pids = descendants(self.child)
        if "processes" not in known and sum(map(_threads, pids)) >= self.limits["processes"]:
            return "processes", self.limits["processes"]
        if "memory" not in known:
            total, available = _machine()
            if sum(map(_private, pids)) > self.limits["memory"] or available < total * _SCARCE:
                return "memory", self.limits["memory"]
        return None

    def _on_disk(self) -> Exceeded | None:
        held, files = 0, 0
        for disk in self.disks:
            disk.look(self.limits, self.child)
            held, files = held + disk.held, files + disk.files
        if held > self.limits["disk"]:
            return "disk", self.limits["disk"]
        return ("inodes", self.limits["inodes"]) if files > self.limits["inodes"] else None


class _Disk:
    """One writable folder: it is measured when its file system grew so much that it could be too large."""

    def __init__(self, place: str, seen_as: str) -> None:
        self.place, self.seen_as = place, seen_as
        self.held, self.files = 0, 0
        self._measured = False
        self._used = _used(place)
        self._at_first = self._used[0]
        self._next = 0.0
        self._seldom = time.monotonic() + _SELDOM

    def look(self, limits: dict[str, int], child: int) -> None:
        now = time.monotonic()
        used = _used(self.place)
        if used[0] - self._at_first > limits["disk"] and _left(self.place) < _FLOOR:
            # It may be where nobody can look: a file without a name that is on its way through a socket.
            self.held = used[0] - self._at_first
            return
        grown = [new - old for new, old in zip(used, self._used, strict=True)]
        most = [limits["disk"] - self.held, limits["inodes"] - self.files]
        whole = (limits["disk"], limits["inodes"])
        urgent = any(new > limit + all_ // _URGENT for new, limit, all_ in zip(grown, most, whole, strict=True))
        if now < self._next and not urgent:
            return
        if not self._measured:  # what it held at the start is at most half of what it may hold, it is hoped
            most = [limit // 2 for limit in most]
        suspicious = any(new > limit for new, limit in zip(grown, most, strict=True))
        if not suspicious and now < self._seldom:
            return
        self.held, self.files = measure(self.place, limits, child, self.seen_as)
        self._used, self._measured = used, True
        took = time.monotonic() - now
        self._next = time.monotonic() + max(TICK, took * _SHARE)
        self._seldom = time.monotonic() + max(_SELDOM, took * _SHARE)


def _used(place: str) -> tuple[int, int]:
    """Bytes and files in use on the whole file system."""
    found = os.statvfs(place)
    return (found.f_blocks - found.f_bfree) * found.f_frsize, found.f_files - found.f_ffree


def _left(place: str) -> int:
    """Bytes that the file system has left for ordinary users."""
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize


def measure(place: str, limits: dict[str, int], child: int = 0, seen_as: str = "") -> tuple[int, int]:
    """Bytes and files in a folder, and in files that processes below `child` hold though they have no name there any
    more; seen_as: where they see the folder. Stops counting beyond the limits; so many open files, with or without a
    name, are too many files.
    """
    devices = {Path(path).stat().st_dev for path in (place, seen_as or place)}
    held, seen = 0, set()
    # find(1) goes as deep as any folder is.
    finder = subprocess.Popen(
        ["find", place, "-xdev", "-printf", "%i %b\n"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
    )  # fmt: skip
    with finder:
        for line in finder.stdout or ():
            inode, _, blocks = line.partition(" ")
            if inode not in seen:
                seen.add(inode)
                held += int(blocks) * 512
            if held > limits["disk"] or len(seen) > limits["inodes"]:
                finder.kill()
                break
    for looked, entry in enumerate(_held(child) if child else (), 1):
        if looked > min(_OPEN, limits["inodes"]):
            return held, limits["inodes"] + 1
        if entry.st_nlink == 0 and entry.st_dev in devices and str(entry.st_ino) not in seen:
            seen.add(str(entry.st_ino))
            held += entry.st_blocks * 512
    return held, len(seen)


def _held(child: int) -> Iterator[os.stat_result]:
    """Files that processes have open, each thread for itself, and those without a name that are only mapped."""
    for pid in descendants(child):
        for thread in _entries(f"/proc/{pid}/task"):
            for open_file in _entries(f"{thread.path}/fd"):
                with contextlib.suppress(OSError):
                    yield open_file.stat()
        for mapped in _mapped(pid):  # only root may look
            with contextlib.suppress(OSError):
                yield mapped.stat()


def _entries(folder: str) -> "list[os.DirEntry[str]]":
    with contextlib.suppress(OSError), os.scandir(folder) as found:
        return list(found)
    return []


def _mapped(pid: int) -> Iterator[Path]:
    with contextlib.suppress(OSError), Path(f"/proc/{pid}/maps").open(errors="replace") as maps:
        for line in maps:
            if line.endswith(" (deleted)\n"):
                yield Path(f"/proc/{pid}/map_files", line.split(maxsplit=1)[0])


def descendants(child: int) -> list[int]:
    """A process and all below it. Who lost its parent in a box belongs to the box's first process."""
    below: dict[int, list[int]] = {}
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                below.setdefault(int(fields[1]), []).append(int(process.name))
    found, ahead = [], [child]
    while ahead:
        pid = ahead.pop()
        found.append(pid)
        ahead.extend(below.get(pid, ()))
    return found


def _threads(pid: int) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[17])
    return 0


def _private(pid: int) -> int:
    """Bytes of memory of a process that no file backs, in memory or swapped out, and of the tables for it."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
        return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(_OWN))
    return 0


def _machine() -> tuple[int, int]:
    """Bytes of memory that the machine has, and that are available."""
    fields = {}
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, value = line.partition(":")
        fields[name] = int(value.split()[0]) << 10
    return fields["MemTotal"], fields.get("MemAvailable", fields["MemTotal"])
