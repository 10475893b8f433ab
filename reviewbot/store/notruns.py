# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests said why they cannot run, kept so that they need not be asked each time."""

import datetime
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reviewbot.host.files import write_atomic
from reviewbot.host.locks import locked


@dataclass(frozen=True, slots=True)
class NotRun:
    """One reason of one test in one leg."""

    reason: str
    digest: str
    """Of all that the reason depends on, hex."""
    learned: datetime.date
    """The day it was first found."""
    last: datetime.date
    """The day it was last found by really running the test."""
    run: str
    """The run that found it first."""
    seen: int = 1
    """How often the test was really run and said so."""
    uses: int = 0
    """How often it was wanted since it was learned."""
    confirmed: bool = False
    """True: an unpatched stack said so; False: only patched ones, and it holds for the very same stack alone."""


Known = Mapping[str, Mapping[str, tuple[NotRun, ...]]]
"""Leg -> test -> what is known of it, each with another digest; the newest first."""


class NotRuns:
    """A JSON file of them. A damaged file counts as empty, a damaged entry is left out."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def known(self) -> Known:
        try:
            legs = json.loads(self.path.read_bytes())
            return {leg: {test: _entries(entries) for test, entries in tests.items()} for leg, tests in legs.items()}
        except (OSError, ValueError, AttributeError, TypeError, RecursionError):
            return {}

    def update(self, change: Callable[[Known], Known]) -> None:
        """change: gets what is known now, returns what is known then; nobody else changes it meanwhile."""
        with locked(self.path.with_suffix(".lock")):
            after = change(self.known())
            plain = {
                leg: {test: [asdict(e) for e in entries] for test, entries in tests.items()}
                for leg, tests in after.items()
            }
            write_atomic(self.path, json.dumps(plain, indent=0, sort_keys=True, default=str))


def _entries(found: Any) -> tuple[NotRun, ...]:
    return tuple(entry for entry in map(_entry, found) if entry is not None)


def _entry(found: Any) -> NotRun | None:
    try:
        learned, last = (datetime.date.fromisoformat(found[name]) for name in ("learned", "last"))
        reason, digest, run = (str(found[name]) for name in ("reason", "digest", "run"))
        return NotRun(
            reason,
            digest,
            learned,
            last,
            run,
            seen=int(found["seen"]),
            uses=int(found["uses"]),
            confirmed=found.get("confirmed") is True,
        )
    except (KeyError, TypeError, ValueError):
        return None
