# SPDX-License-Identifier: GPL-2.0-or-later
"""Two filesystems on images made alike, measured in turns: the leg's on TEST_DEV, the kernel's ext4 on SCRATCH_DEV."""

import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import figures
from guest import FSTYP, MKFS_OPTIONS, MNT, SERVER, Failed, device, mount, mount_line, read, run, umount
from smoke.metadata import drop_caches
from texts import write as told

LEG, EXT4 = "leg", "ext4"
YARD = "/mnt/scratch"
MADE = ("-N", "16384", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0")
"""Nothing is left that the kernel would write later, while something is measured."""
TRACE = "/sys/kernel/tracing/instances/bench"
PLACES = {LEG: MNT, EXT4: YARD}


class Row:
    """What one row measured."""

    def __init__(self, work: float = 1.0) -> None:
        self.work = work
        """Units of work of one round: operations, MiB."""
        self.values: list[float] = []
        self.yardstick: list[float] = []
        self.upcalls: dict[str, float] | None = None
        self.switches: dict[str, float] = {}
        self.series: list[tuple[float, float]] = []
        self.at_least = False
        """The wait was longer than what was waited for."""
        self.note = ""

    def add(self, side: str, seconds: float, taken: "Taken | None" = None) -> None:
        """One round: seconds for all of its work."""
        (self.values if side == LEG else self.yardstick).append(seconds / self.work)
        if taken is not None:
            self.count(side, taken)

    def count(self, side: str, taken: "Taken", part: float = 1.0) -> None:
        """What happened meanwhile. part: of a round whose work is done so many times."""
        if taken.switches is not None:
            self.switches[side] = self.switches.get(side, 0.0) + part * taken.switches
        if side == LEG and taken.requests is not None:
            self.upcalls = self.upcalls or {}
            for name, count in taken.requests.items():
                self.upcalls[name] = self.upcalls.get(name, 0.0) + part * count

    def told(self) -> dict[str, Any]:
        """For the host; `reviewbot.model.bench` says what it means."""
        done = self.work * max(len(self.values), 1)
        return {
            "values": [float(f"{value:.6g}") for value in self.values],
            "yardstick": [float(f"{value:.6g}") for value in self.yardstick],
            "upcalls": None
            if self.upcalls is None
            else {name: round(count / done, 6) for name, count in self.upcalls.items()},
            "switches": round(self.switches[LEG] / done, 6) if LEG in self.switches else None,
            "switches_yardstick": round(self.switches[EXT4] / done, 6) if EXT4 in self.switches else None,
            "series": [(round(at, 2), round(value, 1)) for at, value in self.series],
            "at_least": self.at_least,
            "note": self.note,
        }


class Taken:
    """What happened in the machine while a block ran: context switches, and requests to FUSE servers."""

    names: dict[str, str] | None = None
    """Opcode -> name, once requests are counted."""

    def __init__(self) -> None:
        self.switches: int | None = None
        self.requests: dict[str, int] | None = None

    def __enter__(self) -> "Taken":
        self.before = self.look()
        return self

    def __exit__(self, *error: object) -> None:
        self.between(self.before, self.look())

    def between(self, before: str, after: str) -> "Taken":
        """From what `counters` held before and after."""
        was, now = _switches(before), _switches(after)
        self.switches = None if was is None or now is None else now - was
        if self.names is not None:
            asked, names = _requests(before), self.names
            more = {opcode: count - asked.get(opcode, 0) for opcode, count in _requests(after).items()}
            self.requests = {names.get(opcode, opcode): count for opcode, count in more.items() if count > 0}
        return self

    @classmethod
    def counters(cls) -> list[str]:
        """Files that count; requests are counted from the first call on."""
        if SERVER and cls.names is None:
            cls.count(False)  # by an earlier measurement of this machine
            cls.names = figures.count_requests(TRACE)
        return ["/proc/stat", *([f"{TRACE}/{figures.EVENT}/hist"] if cls.names is not None else [])]

    @classmethod
    def look(cls) -> str:
        return "".join(read(path).decode() for path in cls.counters())

    @classmethod
    def count(cls, on: bool) -> None:
        """Whether requests are counted from now on."""
        told(f"{TRACE}/{figures.EVENT}/trigger", ("" if on else "!") + "hist:keys=opcode:size=128\n", "a")


def _requests(text: str) -> dict[str, int]:
    found = re.findall(r"^\{ opcode: +(\d+) \} hitcount: +(\d+)", text, re.MULTILINE)
    return {opcode: int(count) for opcode, count in found}


def _switches(text: str) -> int | None:
    found = re.search(r"^ctxt (\d+)", text, re.MULTILINE)
    return int(found[1]) if found else None


def fresh(populate: Callable[[str], None] | None = None) -> None:
    """Both filesystems made anew and mounted.

    populate: fills the folder that it gets, of each image, by the kernel's ext4, before the leg's server sees it.
    """
    figures.made(figures.GROUP)  # in which the mount helper puts servers
    for place in (MNT, YARD):
        if mount_line(place) is not None:
            umount(place)
    for serial, place in (("TEST_DEV", MNT), ("SCRATCH_DEV", YARD)):
        run(f"mkfs.{FSTYP}", *(("-F", "-q") if FSTYP == "ext4" else ()), *MKFS_OPTIONS, *MADE, device(serial))
        os.makedirs(place, exist_ok=True)
        if populate:
            _as_ext4(serial, place)
            populate(place)
            if serial == "TEST_DEV":
                run("umount", "-i", place)
        elif serial == "SCRATCH_DEV":
            _as_ext4(serial, place)
    mount()


def _as_ext4(serial: str, place: str) -> None:
    run("mount", "-i", "-t", "ext4", device(serial), place)


def turns(rounds: int) -> Iterator[tuple[str, str, int]]:
    """(side, folder, number of the round), the sides in turns, each first in every other round, with cold caches."""
    for number in range(rounds):
        for side in (LEG, EXT4) if number % 2 else (EXT4, LEG):
            drop_caches(3)
            yield side, PLACES[side], number


def server_pids() -> list[str]:
    """Of the servers that run now."""
    return read(f"{figures.GROUP}/cgroup.procs").decode().split() if SERVER else []


def server_pss() -> int:
    """KiB of all servers together. Raises Failed when it cannot be read."""
    known = [figures.pss_kib(pid) for pid in server_pids()]
    if not known or None in known:
        raise Failed("the memory of the server could not be read")
    return sum(kib for kib in known if kib)
