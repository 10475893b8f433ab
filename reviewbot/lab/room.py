# SPDX-License-Identifier: GPL-2.0-or-later
"""How much a guest may leave on the host, by sum."""

import math
import threading
import time
from dataclasses import dataclass, field

STEP_BYTES, STEP_FILES = 64 << 20, 10_000
"""Of one step's files. The agent sends at most 24 MiB when it collects them, and as much again for a hang."""
LEG_BYTES, LEG_FILES = 4 << 30, 200_000
"""Of all machines of one suite in one leg, their logs among it. A test that fails leaves some 100 KiB."""
SCANT = 64 << 20
"""Bytes of it that are left when the logs of further machines become short ones."""
OVERDUE = "the time limit for all tests was reached"
"""Why a machine was ended, or not started."""
DEPTH = 24
"""Folders below each other in which a file may be."""


@dataclass(slots=True)
class Room:
    """What is left of an allowance. Thread-safe."""

    bytes: int = LEG_BYTES
    files: int = LEG_FILES
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def scant(self) -> bool:
        """Whether logs must be short: what guests leave has used up almost all."""
        return self.bytes < SCANT

    def spend(self, size: int) -> None:
        """So many bytes are there already, whether or not there was room for them."""
        with self.lock:
            self.bytes = max(0, self.bytes - size)

    def take(self, size: int) -> bool:
        """Whether there is room for one more file of `size` bytes; it is then taken."""
        with self.lock:
            if self.files < 1 or self.bytes < size:
                return False
            self.files -= 1
            self.bytes -= size
            return True


@dataclass(slots=True)
class StepRoom:
    """The same for one step, within that of its leg."""

    leg: Room
    own: Room = field(default_factory=lambda: Room(STEP_BYTES, STEP_FILES))
    refused: int = 0
    """Files for which there was no room."""

    def take(self, size: int) -> bool:
        if self.own.take(size) and self.leg.take(size):
            return True
        self.refused += 1
        return False


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the machines of one suite may take together."""

    until: float = math.inf
    """time.monotonic() at which each of them is ended."""
    room: Room = field(default_factory=Room)
    """For what their guests leave on the host."""

    @property
    def overdue(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() > self.until
