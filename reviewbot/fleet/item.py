# SPDX-License-Identifier: GPL-2.0-or-later
"""One shard on its way: where it was handed out to, how long that may take, and what came back."""

import datetime
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reviewbot.fleet.engine import Phase, State
from reviewbot.model.fleet import ShardRow, ShardState
from reviewbot.model.shard import Shard, ShardResult
from reviewbot.model.worker import Beat

Out = tuple[str, int]
"""Batch and index."""


@dataclass(slots=True)
class Lease:
    """An attempt that may still bring a result."""

    host: str = ""
    beat: str = ""
    runs: bool = False
    until: float = 0.0
    """time.monotonic() by which a worker that runs must have got further."""
    over: bool = False
    """It did not, and the shard may be handed out again; the result counts all the same if it is the first."""
    told: bool = False
    """That it is over."""

    def heard(self, state: State, seconds: float) -> None:
        """seconds: of a lease."""
        self.host = state.where or self.host
        running = state.phase is Phase.RUNNING
        if running and (not self.runs or state.beat != self.beat):
            self.until, self.beat = time.monotonic() + seconds, state.beat
        self.runs = running
        self.over = running and time.monotonic() >= self.until


@dataclass(slots=True)
class Item:
    """One shard of a course."""

    number: int
    """Its place."""
    shard: Shard
    attempts: int = 0
    out: dict[Out, Lease] = field(default_factory=dict)
    result: ShardResult | None = None
    partial: ShardResult | None = None
    """The best result that does not answer all."""
    partial_logs: Path | None = None
    given_up: str = ""
    """Why no attempt is made any more."""
    why: str = ""
    """What became of the last attempt that failed."""
    avoid: tuple[str, ...] = ()
    """Hosts that failed with it."""
    row: ShardRow = field(init=False)

    def __post_init__(self) -> None:
        self.row = ShardRow(shard=self.shard.name, state=ShardState.TO_DO, total=len(self.shard.tests))

    @property
    def anywhere(self) -> Shard:
        """The same for any kind of host."""
        return self.shard.model_copy(update={"kind": ""})

    @property
    def over(self) -> bool:
        return self.result is not None or bool(self.given_up)

    @property
    def idle(self) -> bool:
        """Whether it has to be handed out."""
        return not self.over and all(lease.over for lease in self.out.values())

    def failed(self, lease: Lease, why: str) -> None:
        """An attempt brought nothing."""
        self.why = why
        if lease.host and lease.host not in self.avoid:
            self.avoid = (*self.avoid, lease.host)[-8:]

    def told(self) -> bool:
        """Bring `row` up to date. Whether anything but counts changed."""
        before = self.row
        running = [lease for lease in self.out.values() if lease.runs]
        if self.result:
            state = ShardState.DONE
        elif self.given_up:
            state = ShardState.GIVEN_UP
        elif running:
            state = ShardState.RUNS
        else:
            state = ShardState.WAITS if self.out else ShardState.TO_DO
        where, kind, done = self._where(running)
        since = before.since if state is before.state and before.since else _now()
        self.row = ShardRow(
            shard=self.shard.name,
            state=state,
            where=where,
            kind=kind,
            attempt=self.attempts,
            done=done,
            total=before.total,
            since=since,
            why=self.given_up or self.why,
        )
        return self.row.model_copy(update={"done": before.done}) != before

    def _where(self, running: Sequence[Lease]) -> tuple[str, str, int]:
        """Host, its kind, and tests that are answered."""
        if self.result and self.result.worker:
            return self.result.worker.host, self.result.worker.kind, len(self.result.tests)
        for lease in running:
            try:
                beat = Beat.model_validate_json(lease.beat)
            except ValueError:
                return lease.host, "", 0
            return beat.host, beat.kind, min(beat.done, self.row.total)
        return "", "", 0


def given_up(item: Item) -> ShardResult:
    """What stands for a shard that has no whole result."""
    problem = f"shard {item.shard.name}: {item.given_up}"
    if item.partial:
        return item.partial.model_copy(update={"problem": item.partial.problem or problem})
    return ShardResult(shard=item.shard.key, run=item.shard.run, nonce=item.shard.nonce, problem=problem)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)
