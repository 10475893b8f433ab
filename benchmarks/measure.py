# SPDX-License-Identifier: GPL-2.0-or-later
"""A figure, its limit, and how it was got."""

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table."""

    what: str
    values: tuple[float, ...]
    """One per repetition; empty when it could not be measured."""
    limit: float
    """What is promised, in the same unit."""
    why_not: str = ""
    """Why there is no figure."""
    unit: str = "s"

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def kept(self) -> bool:
        return bool(self.values) and self.median <= self.limit


def repeat(what: str, limit: float, times: int, action: Callable[[], object]) -> Figure:
    """Wall time of `action`, `times` times."""
    seconds = []
    for _ in range(times):
        started = time.monotonic()
        action()
        seconds.append(time.monotonic() - started)
    return Figure(what, tuple(seconds), limit)


def cpu_seconds() -> float:
    """User and system time so far of this process, and of its children that it waited for, and so on."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def failed(statuses: Iterable[int]) -> str:
    """Why processes with these exit statuses give no figure; empty: they do."""
    worst = next((status for status in statuses if status), 0)
    return f"it ended with status {worst}" if worst else ""


def measured_process(command: Sequence[str], env: Mapping[str, str] | None = None) -> tuple[int, float, float]:
    """Exit status, seconds, and the largest resident set (10^6 bytes) of a process and of those it waited for."""
    started = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=env)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return child.returncode, time.monotonic() - started, used.ru_maxrss * 1024 / 1e6
