# SPDX-License-Identifier: GPL-2.0-or-later
"""How long machines take to start on this host, booted and restored, and which of both is chosen for that."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from reviewbot.host.files import write_atomic
from reviewbot.host.locks import locked

TRIES = 3
"""A restored machine may be slow because its host was busy: so many before it is judged."""
LAST = 5
"""Figures of each kind that count."""
FORGOTTEN = 7 * 86400.0
"""Seconds after which restoring, once found slower, is tried again."""


@dataclass(frozen=True, slots=True)
class Starts:
    """Seconds from QEMU's start to the agent's first word, the newest last."""

    booted: tuple[float, ...] = ()
    restored: tuple[float, ...] = ()
    """One that was given up counts with the seconds until then."""
    tried: float = 0.0
    """When the last one was restored, seconds since 1970."""

    @property
    def restore(self) -> bool:
        """Whether a machine shall be restored: until that was measured to be no faster than a boot."""
        if len(self.restored) < TRIES or not self.booted:
            return True
        return median(self.restored) < median(self.booted)

    def chosen(self, *, never: bool = False) -> str:
        """How the next one will be started, and the figures. never: the site file wants no saved ones."""
        booted = f"{median(self.booted):.1f} s" if self.booted else "not measured"
        restored = f"{median(self.restored):.1f} s" if self.restored else "not measured yet"
        chosen = "restored from a saved one" if self.restore and not never else "booted"
        return f"{chosen} (restored: {restored}, booted: {booted})"


class StartsFile:
    """`<cache>/starts.json`: kind of machine -> its figures. A damaged file counts as empty."""

    def __init__(self, cache: Path) -> None:
        self.path = cache / "starts.json"
        self.lock = cache / "locks" / "starts.lock"

    def get(self, machine: str, now: float | None = None) -> Starts:
        """Its figures; those of restored ones only while they are fresh enough to decide against restoring."""
        found = self._read().get(machine, Starts())
        stale = not found.restore and (now or time.time()) - found.tried > FORGOTTEN
        return Starts(found.booted) if stale else found

    def add(self, machine: str, *, booted: float = 0.0, restored: float = 0.0) -> None:
        """One more figure of either kind."""
        with locked(self.lock):
            known, old = self._read(), self.get(machine)
            known[machine] = Starts(
                booted=(*old.booted, *([round(booted, 3)] if booted else ()))[-LAST:],
                restored=(*old.restored, *([round(restored, 3)] if restored else ()))[-LAST:],
                tried=round(time.time()) if restored else old.tried,
            )
            plain = {name: {"booted": s.booted, "restored": s.restored, "tried": s.tried} for name, s in known.items()}
            write_atomic(self.path, json.dumps(plain, indent=1))

    def of_host(self, host: str) -> dict[str, Starts]:
        """What follows the host's name in the machines of this host -> their figures."""
        names = [name for name in self._read() if name.startswith(f"{host}, ")]
        return {name.removeprefix(f"{host}, "): self.get(name) for name in names}

    def _read(self) -> dict[str, Starts]:
        try:
            data = json.loads(self.path.read_bytes())
            return {
                str(name): Starts(_numbers(entry["booted"]), _numbers(entry["restored"]), float(entry["tried"]))
                for name, entry in data.items()
            }
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return {}


def _numbers(values: list[float]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
