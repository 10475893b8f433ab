# SPDX-License-Identifier: GPL-2.0-or-later
"""How many machines a host has room for."""

import os
from pathlib import Path

from reviewbot.config import Machine

OVERHEAD = {"kvm": 200, "tcg": 700}
"""MiB that QEMU takes on top of the guest's memory; for an emulated CPU, most of it is translated code."""
_MEMINFO = Path("/proc/meminfo")


def how_many(machine: Machine, accelerator: str) -> tuple[int, str]:
    """Machines at once on this host, and why so many."""
    if machine.vms != "auto":
        return machine.vms, "as the site file says"
    return by_room(machine, accelerator, cores=len(os.sched_getaffinity(0)), available=available_mib())


def by_room(machine: Machine, accelerator: str, *, cores: int, available: int) -> tuple[int, str]:
    """cores: of the host. available: MiB.

    A core per machine: most of a test is one shell that waits for one program, so that a second CPU of a machine is
    rarely used. But never more than two of the machines' CPUs per core.
    """
    by_cores = min(cores, 2 * cores // min(machine.cpus, cores))
    each = machine.memory + OVERHEAD[accelerator]
    by_memory = max(1, available // each)
    if by_memory < by_cores:
        return by_memory, f"{available} MiB of memory are available, and each takes up to {each} MiB"
    return by_cores, f"{cores} cores"


def available_mib() -> int:
    """Memory that can be had without swapping, MiB."""
    for line in _MEMINFO.read_text().splitlines():
        name, _, amount = line.partition(":")
        if name == "MemAvailable":
            return int(amount.split()[0]) >> 10
    return 0
