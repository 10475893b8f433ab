# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether all programs of a step stand still though one of them waits for an answer: it will not come.

The agent imports this for steps that are to be ended then, long before their limit.
"""

import os
import time

from hang import CONNECTIONS, numbers, tasks
from texts import read

INTERVAL = 2.0
"""Seconds between two looks; one costs some 10 ms under emulation."""
LEAST = 8
"""Looks that must agree: a host that gives the machine no time lets its clock jump."""
SLACK = 1
"""Ticks of CPU time that all programs together may use meanwhile."""


class Standstill:
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.next = self.since = 0.0
        self.looks = 0
        self.stood = 0.0
        """Seconds for which nothing had moved when `now` was true."""
        self.before: tuple[dict[int, int], str] | None = None

    def now(self) -> bool:
        """Whether for `seconds` no program used a CPU, none began or ended, no disk was used, and somebody waits for
        an answer in the kernel: a request of FUSE has none, or a thread sleeps and cannot be woken.
        """
        now = time.monotonic()
        if now < self.next:
            return False
        self.next = now + INTERVAL
        seen = used(), disks()
        if self.before is None or not same(self.before, seen):
            self.before, self.since, self.looks = seen, now, 0
            return False
        self.looks += 1
        if now - self.since < self.seconds or self.looks < LEAST or not waits():
            return False
        self.stood = now - self.since
        return True


def same(before: tuple[dict[int, int], str], after: tuple[dict[int, int], str]) -> bool:
    (old, disks_before), (new, disks_after) = before, after
    return disks_before == disks_after and old.keys() == new.keys() and sum(new.values()) <= sum(old.values()) + SLACK


def used() -> dict[int, int]:
    """Ticks of CPU time of each program but this one. Threads of the kernel are left out: they always do something."""
    found = {}
    for pid in numbers("/proc"):
        if pid == os.getpid():
            continue
        words = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
        if len(words) > 12 and words[1] != "2" and pid != 2:
            found[pid] = int(words[11]) + int(words[12])
    return found


def disks() -> str:
    """What the disks have done; requests that they have not answered change it."""
    told = ""
    for name in sorted(os.listdir("/sys/block")):
        words = read(f"/sys/block/{name}/stat").split()
        if len(words) > 8:
            told += f"{name} {words[0]} {words[4]} "
            if words[8] != "0":
                told += f"{words[8]} at {time.monotonic()} "
    return told


def waits() -> bool:
    requests = (read(f"{CONNECTIONS}/{number}/waiting").strip() for number in numbers(CONNECTIONS))
    return any(count not in ("", "0") for count in requests) or any(
        task.state == "D" and not task.kernel for task in tasks()
    )
