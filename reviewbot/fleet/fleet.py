# SPDX-License-Identifier: GPL-2.0-or-later
"""The hosts of one entry of the site file, for one run."""

import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import filelock

from reviewbot.fleet.coordinator import Coordinator, Rules
from reviewbot.fleet.engine import Engine, EngineBusy
from reviewbot.fleet.ledger import Course, Ledger
from reviewbot.host.files import remove_tree, sha256_file
from reviewbot.host.locks import locked
from reviewbot.model.fleet import ROWS, EngineSettings, FleetRows, ShardRow
from reviewbot.model.progress import Progress
from reviewbot.model.shard import Need, Shard
from reviewbot.runner.context import RERUNS
from reviewbot.runner.cut import Shape
from reviewbot.runner.errand import Errand
from reviewbot.runner.suite_job import SuiteJob
from reviewbot.store import RunFolder
from reviewbot.store.contents import recorded
from reviewbot.store.objects import Objects

_WORTH = 5
"""A shard takes so many times as long as a worker's start, at least."""
_PAUSE = 1.0
"""Seconds between two writes of it in which only counts change."""


@dataclass(slots=True)
class Fleet:
    """An engine, and all that a run has given it. Thread-safe: each leg has a thread of its own."""

    name: str
    settings: EngineSettings
    engine: Engine
    folder: Path
    """Of this coordinator's state."""
    objects: Objects
    """What workers fetch."""
    run: RunFolder
    progress: Progress
    slow: float
    """Slow factor that workers are expected to have."""
    rows: dict[Path, tuple[ShardRow, ...]] = field(default_factory=dict)
    hashes: dict[Path, str] = field(default_factory=dict)
    due: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def carry_out(self, errand: Errand) -> None:
        """See `Elsewhere`."""
        with self._own(errand) as folder:
            ledger = Ledger(folder)
            if errand.fresh:
                for place in ledger.places().values():
                    with contextlib.suppress(EngineBusy):  # what goes on is of no use, and does no harm
                        self.engine.cancel(place, range(len(place.batch.shards)))
                remove_tree(folder)
            patience = Rules(
                attempts=self.settings.attempts,
                lease=60 * self.settings.lease,
                slow=self.slow,
                poll=self.settings.poll,
            )
            what = errand.logs.relative_to(self.run.path) / errand.work.suite
            Coordinator(
                errand=errand,
                engine=self.engine,
                ledger=ledger,
                rules=patience,
                publish=self._publish,
                progress=self.progress,
                on_rows=lambda rows, changed: self._tell(what, rows, changed=changed),
            ).run(lambda nonce: self._course(errand, nonce))
            remove_tree(folder)  # all of it is in the run by now

    @contextlib.contextmanager
    def _own(self, errand: Errand) -> Iterator[Path]:
        """The folder of this work, for whoever does it first; a second run with the same inputs does it by itself."""
        inputs = json.dumps([self.name, errand.kind, sorted(errand.work.inputs.items())])
        path = self.folder / hashlib.sha256(inputs.encode()).hexdigest()[:32]
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(path.with_suffix(".lock"), timeout=0))
            except filelock.Timeout:
                path = path.with_name(f"{path.name}-{self.run.id}")
            yield path

    def _course(self, errand: Errand, nonce: str) -> Course:
        """The work, cut; what its machines boot from is where workers can fetch it. Raises OSError."""
        images = errand.images()
        needs = tuple(self._given(need, images[need.kind]) for need in errand.work.shard.needs)
        shard = errand.work.shard.model_copy(update={"needs": needs})
        work = SuiteJob(shard, errand.work.inputs, errand.work.lengths)
        return Course(nonce=nonce, shards=tuple(errand.cut(work, self._shape(), nonce)))

    def _shape(self) -> Shape:
        chosen = self.settings
        if chosen.shards != "auto":
            return Shape(chosen.shards)
        shortest, longest = _WORTH * chosen.start, 60 * chosen.minutes
        return Shape(self.engine.most, chosen.workers, min(shortest, longest), longest)

    def _given(self, need: Need, image: Path) -> Need:
        with self.lock:
            if image not in self.hashes:
                self.hashes[image] = _hash(image)
            self.objects.put(image, self.hashes[image])
            return need.model_copy(update={"sha256": self.hashes[image]})

    def _publish(self, shard: Shard) -> str:
        return self.objects.put_bytes(shard.model_dump_json().encode())

    def _tell(self, what: Path, rows: Iterable[ShardRow], *, changed: bool) -> None:
        """what: folder of the leg's logs, and the suite; the logs of a rerun are in `reruns/base.1`."""
        which = f" on {what.parts[1]}" if what.parts[0] == RERUNS else ""
        with self.lock:
            self.rows[what] = tuple(row.model_copy(update={"shard": f"{row.shard}{which}"}) for row in rows)
            if changed or time.monotonic() >= self.due:
                every = tuple(row for some in self.rows.values() for row in some)
                said = FleetRows(run=self.run.id, fleet=self.name, engine=self.settings.engine, shards=every)
                self.run.write(ROWS, said)
                self.due = time.monotonic() + _PAUSE


def _hash(image: Path) -> str:
    """Of an image of the store, which was hashed when it was made."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        return recorded(image.parent)[image.name][2]
    return sha256_file(image)
