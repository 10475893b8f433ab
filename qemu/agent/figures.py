# SPDX-License-Identifier: GPL-2.0-or-later
"""What a step costs the servers of a FUSE filesystem: CPU, memory, how long they take to go, what they are asked.

The agent imports this for steps that are to be measured. What cannot be had is None, never 0. The mount helper puts
each server into the control group below, without controllers: accounting of CPU time is all it does. Requests are
counted by a histogram in a trace instance of our own, so that tests that trace are not disturbed. PSS is read in a
thread: that takes the server's mmap lock, and who waits for it may wait for a server that hangs.
"""

import _thread
import glob
import os
import re
import time

from texts import read, write

RUN = "/run/reviewbot"
LEDGER = f"{RUN}/ledger"
"""A line for each mount and umount by the helpers: `mount DEV`, `umount DEV CENTISECONDS gone|late PSS_KIB`."""
GROUP = "/sys/fs/cgroup/reviewbot.servers"
TRACE = "/sys/kernel/tracing/instances/reviewbot"
EVENT = "events/fuse/fuse_request_send"
INTERVAL = 2.0
"""Seconds between two looks at the memory of servers that live; one costs 3 ms per server under emulation."""


def made(folder: str) -> bool:
    try:
        os.mkdir(folder)
    except OSError:
        return os.path.isdir(folder)
    return True


def cpu_seconds() -> float | None:
    """Of all servers so far, of those that ended too."""
    found = re.search(r"^usage_usec (\d+)", read(f"{GROUP}/cpu.stat"), re.MULTILINE)
    return int(found[1]) / 1e6 if found else None


def count_requests(trace: str = TRACE) -> dict[str, str] | None:
    """Opcode -> name, as the kernel's own event has them, when it counts from now on; None when it does not.

    trace: a trace instance that nobody else counts in; it is made.
    """
    if not made(trace):
        return None
    names = dict(re.findall(r'\{\s*(\d+), "(?:FUSE_)?(\w+)"\s*\}', read(f"{trace}/{EVENT}/format")))
    write(f"{trace}/buffer_size_kb", "4")  # nothing is recorded
    # Appended: to open it for writing anew would remove what is there.
    return names if write(f"{trace}/{EVENT}/trigger", "hist:keys=opcode:size=128\n", "a") else None


def requests(names: dict[str, str], trace: str = TRACE) -> dict[str, int] | None:
    """Name of the opcode, or its number -> requests so far; None when nobody counts."""
    text = read(f"{trace}/{EVENT}/hist")
    found = re.findall(r"^\{ opcode: +(\d+) \} hitcount: +(\d+)", text, re.MULTILINE)
    if not text:
        return None
    return {names.get(opcode, opcode): int(count) for opcode, count in found}


def servers() -> list[str]:
    """Pids of those that serve, as the mount helper noted them."""
    found = glob.glob(f"{RUN}/servers/*.pid")
    return [read(path).strip() for path in found if not os.path.exists(f"{path[:-3]}status")]


def pss_kib(pid: str) -> int | None:
    found = re.search(r"^Pss: +(\d+) kB", read(f"/proc/{pid}/smaps_rollup"), re.MULTILINE)
    return int(found[1]) if found else None


class Meter:
    """Figures of one step after another: `begin()`, then `end()`."""

    def __init__(self) -> None:
        made(GROUP)  # without cgroup2 there is none, and CPU stays unknown
        self.names = count_requests()
        self.on = False
        self.samples: list[int | None] = []
        self.cpu: float | None = None
        self.asked: dict[str, int] | None = None
        self.start = 0
        _thread.start_new_thread(self.look, ())

    def look(self) -> None:
        """Look at the servers that live, for ever."""
        while True:
            time.sleep(INTERVAL)
            for pid in servers() if self.on else ():
                self.samples.append(pss_kib(pid))

    def begin(self) -> None:
        self.samples = []
        self.cpu = cpu_seconds()
        self.asked = None if self.names is None else requests(self.names)
        self.start = len(read(LEDGER))
        self.on = True

    def end(self) -> dict[str, object]:
        """The step's figures; `reviewbot.model.figures` says what they mean."""
        self.on = False
        cpu, before = cpu_seconds(), self.cpu
        samples, waits, mounts, late = list(self.samples), list[float](), 0, 0
        for line in read(LEDGER)[self.start :].splitlines():
            words = line.split()
            mounts += words[0] == "mount"
            if words[0] == "umount" and len(words) == 5:
                waits.append(int(words[2]) / 100)
                late += words[3] == "late"
                samples.append(int(words[4]) if words[4].isdigit() else None)
        seen = [sample for sample in samples if sample]
        return {
            "cpu_seconds": None if cpu is None or before is None else round(cpu - before, 3),
            "pss_kib": max(seen, default=None),
            "pss_samples": len(seen),
            "mounts": mounts,
            "umounts": len(waits),
            "umount_seconds_max": max(waits, default=None),
            "umount_seconds_total": round(sum(waits), 2),
            "umounts_late": late,
            "requests": self.asked_since(),
        }

    def asked_since(self) -> dict[str, int] | None:
        before, now = self.asked, requests(self.names or {})
        if before is None or now is None:
            return None
        return {name: count - before.get(name, 0) for name, count in now.items() if count > before.get(name, 0)}
