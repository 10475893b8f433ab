# SPDX-License-Identifier: GPL-2.0-or-later
"""A figure, its limit, and how it was got."""

import contextlib
import os
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reviewbot.host.watch import descendants


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


class Cpu:
    """CPU seconds of this process and of all below it, while the block lasts.

    A machine's QEMU ends with its namespace, where nobody waits for it, so all processes are looked at twice a second;
    what one uses after the last look is not counted.
    """

    def __init__(self) -> None:
        self._before: dict[tuple[int, int], float] = {}
        self._seen: dict[tuple[int, int], float] = {}
        self._own = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @property
    def seconds(self) -> float:
        below = sum(used - self._before.get(process, 0.0) for process, used in self._seen.items())
        return time.process_time() - self._own + below

    def __enter__(self) -> "Cpu":
        self._own = time.process_time()
        self._before = _used_below()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.5):
            self._seen |= _used_below()


def _used_below() -> dict[tuple[int, int], float]:
    """Process id and start of each process below this one -> CPU seconds that it used so far."""
    found, ticks = {}, os.sysconf("SC_CLK_TCK")
    for pid in descendants(os.getpid())[1:]:
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            found[pid, int(fields[19])] = (int(fields[11]) + int(fields[12])) / ticks
    return found


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
