# SPDX-License-Identifier: GPL-2.0-or-later
"""What a server keeps in memory while it works, and how often a file's data lies in page caches."""

import os
import re
import time
from typing import Any

from guest import SERVER, NotRun, read
from smoke.metadata import drop_caches

from bench.rounds import EXT4, LEG, PLACES, Row, fresh, server_pss

MIB = 1 << 20


def memory(order: dict[str, Any]) -> dict[str, Row]:
    """Rows in this order: the server's memory over time; memory that is taken per MiB of a file that is read.

    For the second all memory counts by which page caches, those of files and of devices, and the server have grown.
    """
    if not SERVER:
        raise NotRun("the kernel's own filesystem has no server")
    size, rounds, (over_time, doubling) = order["mib"], order["rounds"], order["rows"]
    block = os.urandom(MIB)

    def lay(folder: str) -> None:
        for number in range(rounds):
            with open(f"{folder}/file{number}", "wb") as file:
                for _ in range(size):
                    file.write(block)

    fresh(lay)
    held, cached = Row(), Row(size)
    began = time.monotonic()

    def look() -> None:
        held.series.append((time.monotonic() - began, server_pss()))

    look()
    for side, number in ((side, number) for number in range(rounds) for side in (EXT4, LEG)):
        drop_caches(3)  # of a device that a server holds open not all is dropped: each round has a file of its own
        server = server_pss() if side == LEG else 0
        before = _page_cache()
        with open(f"{PLACES[side]}/file{number}", "rb") as file:
            while file.read(MIB):
                if side == LEG:
                    look()
        taken = _page_cache() - before + (server_pss() - server if side == LEG else 0)
        cached.add(side, max(taken, 0) / 1024)
    for number in range(order["files"]):
        with open(f"{PLACES[LEG]}/n{number}", "wb") as small:
            small.write(b"x" * 4096)
        if number % 20 == 0:
            look()
    os.sync()
    look()
    held.values = [max(kib for _, kib in held.series)]
    return {over_time: held, doubling: cached}


def _page_cache() -> int:
    """KiB of it, files' and block devices'."""
    found = re.findall(r"^(?:Buffers|Cached): +(\d+) kB", read("/proc/meminfo").decode(), re.MULTILINE)
    return sum(map(int, found))
