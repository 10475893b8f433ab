# SPDX-License-Identifier: GPL-2.0-or-later
"""What a box may use in sum, and which walls of it may be missing on this machine."""

import os
from dataclasses import dataclass

MEMORY = 8 << 30
"""Bytes that a build needs at most with some cores: linking a kernel takes 2 GiB, each compiler up to 1 GiB."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of a box as a whole. Wall time is a matter of what runs in it."""

    memory: int = 0
    """Bytes; 0: 8 GiB, or three quarters of the machine's if that is less."""
    processes: int = 4096
    """And threads, at once."""
    disk: int = 24 << 30
    """Bytes in the folders that it may write."""
    inodes: int = 1_000_000
    """Files in these folders."""
    output: int = 1 << 30
    """Bytes that it may say, whatever is kept of them."""
    room: int = 2 << 30
    """Bytes of its /tmp and of its /dev/shm, each; they are memory."""

    @property
    def bytes_of_memory(self) -> int:
        machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return self.memory or min(MEMORY, machine // 4 * 3)


@dataclass(frozen=True, slots=True)
class Rules:
    """The site's word on boxes."""

    limits: Limits = Limits()
    without: frozenset[str] = frozenset()
    """Names of walls (`reviewbot.host.walls`) that a run may do without."""
    overlay: bool = True
    """False: layers are copied, also where overlayfs can be mounted."""


_rules = Rules()


def use_rules(rules: Rules) -> None:
    """From now on, for all boxes of this process."""
    global _rules
    _rules = rules


def rules() -> Rules:
    return _rules
