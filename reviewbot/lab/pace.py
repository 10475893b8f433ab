# SPDX-License-Identifier: GPL-2.0-or-later
"""How slow a machine can be on this host. The guest measures it itself, and multiplies its own limits by that."""

import os
import time
from pathlib import Path

LOOP, DESKTOP = 60_000, 0.003
"""Turns of the loop that the guest's agent times, and the seconds that it takes on a current desktop CPU."""
TIMES = {"kvm": 3.0, "tcg": 25.0}
"""How many times slower than the host itself a machine may be: emulation costs a factor of 8 to 15."""
MOST = 40.0
"""Limits grow no further, however slow the machine is."""
NOISE = 2.0
"""A claim is noted when it is this many times what is possible: host and guest measure at different moments, and what
else the host runs changes between them."""
_LOAD = Path("/proc/loadavg")


def loop_seconds() -> float:
    """The shortest of three runs of the agent's loop (`qemu/agent/boot.py`) on this host."""
    best = float("inf")
    for _ in range(3):
        started, total = time.perf_counter(), 0
        for number in range(LOOP):
            total += number & 7
        best = min(best, time.perf_counter() - started)
    return best


def possible(accelerator: str) -> float:
    """The slow factor that a machine may have here and now: by this host's speed, and by how crowded it is."""
    words = _LOAD.read_text().split()
    running = int(words[3].partition("/")[0])  # the average of a minute does not know yet of what has just begun
    crowd = max(1.0, max(float(words[0]), running) / len(os.sched_getaffinity(0)))
    return max(loop_seconds() / DESKTOP, 1.0) * TIMES[accelerator] * crowd


def believed(claim: float, accelerator: str) -> tuple[float, str]:
    """The slow factor to reckon with, and a note when the guest claims one that this host cannot explain."""
    most = possible(accelerator)
    factor = min(max(claim, 1.0), most, MOST)
    if claim <= NOISE * most:
        return factor, ""
    return factor, f"the guest reports that it is {claim:.4g} times slower than a desktop; {most:.1f} is possible here"
