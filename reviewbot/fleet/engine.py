# SPDX-License-Identifier: GPL-2.0-or-later
"""What the coordinator wants of an engine."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from reviewbot.model.base import Model
from reviewbot.model.errors import InfraError


class EngineBusy(InfraError):
    """The engine did not answer, or takes nothing now: what is out stays out, and it is asked again."""


class Phase(StrEnum):
    """Of a shard that was handed out."""

    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"
    """Its worker came to its end, well or not."""
    LOST = "lost"
    """The engine knows nothing of it any more, or says that its worker is gone."""


@dataclass(frozen=True, slots=True)
class State:
    """What the engine says of a shard."""

    phase: Phase
    where: str = ""
    """Host or task; empty: not known."""
    status: int | None = None
    """Of one that ended: exit status of `run-shard`, if it is known."""
    beat: str = ""
    """Changes when the worker gets further; empty: the engine cannot tell."""
    why: str = ""


class Batch(Model):
    """Shards that go out together; their place in the tuple is their index."""

    name: str
    """Unique, and known to the engine from the first moment: a word of small letters, digits and hyphens."""
    shards: tuple[str, ...]
    """Keys."""
    objects: tuple[str, ...]
    """SHA-256 of each shard's JSON, as it is in the store."""
    seconds: float
    """That one of them may run, at most."""
    kind: str = ""
    """Kind of host that they are for; empty: any."""
    avoid: tuple[str, ...] = ()
    """Hosts that have failed with one of them."""


@dataclass(frozen=True, slots=True)
class Place:
    """A batch and its folder on this host, which has `shard-INDEX.json` for each."""

    batch: Batch
    folder: Path

    def own(self, index: int) -> Path:
        """Folder of what a shard's worker brings."""
        return self.folder / str(index)

    def shard(self, index: int) -> Path:
        return self.folder / f"shard-{index}.json"


class Engine(Protocol):
    """All of it by the batch's name, so that a coordinator that was killed finds again what it handed out.

    Each call may raise EngineBusy.
    """

    @property
    def most(self) -> int:
        """Shards that one batch may have."""

    def submit(self, place: Place) -> None:
        """Hand a batch out. Raises InfraError when that cannot work, however often it is tried."""

    def poll(self, place: Place) -> Mapping[int, State]:
        """State of each shard of a batch; one that is not in it is LOST."""

    def fetch(self, place: Place, index: int) -> Path | None:
        """File with the result of a shard that ended, below `place.own(index)`; None: it brought none.

        Its logs are beside it, see `logs_of`, and so may be a file `status`. Raises BadParcel.
        """

    def cancel(self, place: Place, indexes: Collection[int]) -> None:
        """End these. Nothing happens to those that ended."""
