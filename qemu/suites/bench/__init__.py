# SPDX-License-Identifier: GPL-2.0-or-later
"""The bench suite in the guest: `run.py bench JSON`, one measurement of `reviewbot/suites/bench.yaml`.

Each is taken in turns, the leg's filesystem and the kernel's ext4 beside it: what a busy host does to one it does to
the other. The last line says `bench {"ROW": {…}}`, which `reviewbot.suites.bench` reads.
"""

import json
from collections.abc import Callable
from typing import Any

from guest import conclude

from bench import files, fio, memory, stall, starts
from bench.rounds import Row

LOOPS: dict[str, Callable[[dict[str, Any]], dict[str, Row]]] = {
    "fio": fio.fio, "bare": fio.bare, "files": files.files, "untar": files.untar, "readdir": files.readdir,
    "memory": memory.memory, "stall": stall.stall, "mount": starts.mounts, "pool": starts.pool, "fork": starts.fork,
    "restored": starts.restored, "guestfs": starts.guestfs, "service": starts.service,
}  # fmt: skip
"""What a measurement calls its `loop` -> the function that takes it; each gives rows by name."""


def main(words: list[str]) -> int:
    order = json.loads(words[0])

    def measure() -> None:
        rows = LOOPS[order["loop"]](order)
        print("bench " + json.dumps({name: row.told() for name, row in rows.items()}))

    return conclude(measure)
