# SPDX-License-Identifier: GPL-2.0-or-later
"""Hand shards out, wait, take results in: the first one of each shard that fits it wins.

An attempt fails when its worker is lost, ends with status 4, or brings what does not fit; then the shard is handed out
again, so often as the site says. It ends with any other status: once more would not help. A coordinator that is killed
finds everything in its ledger.
"""

import contextlib
import hashlib
import itertools
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from reviewbot.fleet.engine import Batch, Engine, EngineBusy, Phase, Place, State
from reviewbot.fleet.item import Item, Lease, Out, given_up
from reviewbot.fleet.ledger import Course, Entry, Ledger
from reviewbot.fleet.received import NotBelieved, received
from reviewbot.host import cancel
from reviewbot.host.files import read_regular
from reviewbot.lab import OVERDUE
from reviewbot.model.fleet import ShardRow
from reviewbot.model.progress import Event, Progress
from reviewbot.model.shard import Shard, ShardResult
from reviewbot.model.words import one_line
from reviewbot.runner.errand import Errand
from reviewbot.runner.parcel import LOG, STATUS, BadParcel
from reviewbot.runner.shard_files import copy_logs, logs_of

NOT_AGAIN = (1, 3)
"""Exit statuses of `run-shard` after which it would end so again; after 2 not on a host that is set up otherwise."""
STATUS_GONE = "its worker disappeared"
_LOG = 1 << 20
"""Bytes of a worker's log that are read."""
_LONGEST = 300.0
"""Seconds between two tries to hand something to a busy engine."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How patient a coordinator is."""

    attempts: int
    lease: float
    """Seconds, at least."""
    slow: float
    """Slow factor that workers are expected to have."""
    poll: float
    """Seconds between two rounds."""

    def lease_of(self, shard: Shard) -> float:
        """A worker that tells nothing until its end may take three times as long as its shard should."""
        return max(self.lease, 3 * self.slow * shard.expected)


@dataclass(slots=True)
class Coordinator:
    """One suite of a leg."""

    errand: Errand
    engine: Engine
    ledger: Ledger
    rules: Rules
    publish: Callable[[Shard], str]
    """Puts a shard where workers fetch it; its SHA-256."""
    progress: Progress
    on_rows: Callable[[Iterable[ShardRow], bool], None]
    """Gets who does what; and whether more than counts changed."""
    items: list[Item] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    pause: float = 0.0
    """Seconds until a busy engine is given anything again."""
    due: float = 0.0
    """time.monotonic() at which that is."""

    def __post_init__(self) -> None:
        self.pause = self.rules.poll

    def run(self, begin: Callable[[str], Course]) -> None:
        """Return when each shard has a result or was given up. begin: cuts the work, with a nonce for it.

        Raises Stopping, InfraError, OSError; what was handed out is cancelled then.
        """
        self._load(begin)
        try:
            while not all(item.over for item in self.items):
                self._round()
                if self.errand.stop.is_set() or cancel.current().cancelled:
                    raise cancel.Stopping
                if time.monotonic() >= self.errand.until:
                    for item in self.items:
                        self._give_up(item, OVERDUE)
                if not all(item.over for item in self.items):
                    self.errand.stop.wait(self.rules.poll)
        finally:
            with cancel.aftermath():
                self._call_off()

    def _load(self, begin: Callable[[str], Course]) -> None:
        """What an earlier call left, or a new course."""
        course = self.ledger.course()
        if course is None:
            course = begin(secrets.token_hex(16))
            self.ledger.begin(course)
        self.items = [Item(number, shard) for number, shard in enumerate(course.shards)]
        self.places = self.ledger.places()
        for entry in self.ledger.entries():
            if entry.number < len(self.items) and entry.batch in self.places:
                self._replay(entry)
        for item in self.items:
            item.attempts = len(item.out)  # who gives the command again wants it to be tried again
        for number, (result, path) in self.ledger.kept().items():
            if number < len(self.items):
                self._accepted(self.items[number], result)
                copy_logs(self.items[number].shard, logs_of(path), self.errand.logs)
        self.numbers = itertools.count(len(self.places))

    def _replay(self, entry: Entry) -> None:
        item, out = self.items[entry.number], (entry.batch, entry.index)
        if entry.event == "out":
            item.attempts += 1
            item.out[out] = Lease()
        else:
            lease = item.out.pop(out, Lease())
            lease.host = entry.host or lease.host
            if entry.why:
                item.failed(lease, entry.why)

    def _round(self) -> None:
        """Hand out what is idle, and look at what is out."""
        for item in self.items:
            if item.idle and item.attempts >= self.rules.attempts and not item.out:
                self._give_up(item, f"{item.attempts} attempts failed, the last: {item.why}")
        if time.monotonic() >= self.due:
            try:
                self._hand_out([item for item in self.items if item.idle and item.attempts < self.rules.attempts])
                self.pause = self.rules.poll
            except EngineBusy:  # each try leaves a batch on the disk
                self.pause = min(2 * self.pause, max(_LONGEST, self.rules.poll))
                self.due = time.monotonic() + self.pause
        for name in sorted({batch for item in self.items for batch, _ in item.out}):
            with contextlib.suppress(EngineBusy):
                self._look(self.places[name])
        self._tell()

    def _hand_out(self, items: list[Item]) -> None:
        """In batches of those that want the same kind of host."""
        groups: dict[tuple[str, tuple[str, ...]], list[Item]] = {}
        for item in items:
            # A kind of host that cannot be had is given up last: any host is better than none.
            last = item.attempts + 1 == self.rules.attempts > 1
            groups.setdefault(("" if last else item.shard.kind, item.avoid), []).append(item)
        for (kind, avoid), group in groups.items():
            for start in range(0, len(group), self.engine.most):
                self._submit(group[start : start + self.engine.most], kind, avoid)

    def _submit(self, items: list[Item], kind: str, avoid: tuple[str, ...]) -> None:
        shards = [item.shard if kind else item.anywhere for item in items]
        place = self.ledger.place(
            Batch(
                name=f"reviewbot-{self._word}-{next(self.numbers)}",
                shards=tuple(shard.key for shard in shards),
                objects=tuple(self.publish(shard) for shard in shards),
                seconds=max(self.rules.lease_of(shard) for shard in shards) * 2,
                kind=kind,
                avoid=avoid,
            ),
            dict(enumerate(shards)),
        )
        name = place.batch.name
        # Noted before it is done: what may be out is looked for, what is out and not noted would be forgotten.
        self.ledger.note(*(Entry(event="out", number=item.number, batch=name, index=i) for i, item in enumerate(items)))
        self.places[name] = place
        for index, item in enumerate(items):
            item.attempts += 1
            item.out[name, index] = Lease()
        try:
            self.engine.submit(place)
        except EngineBusy as error:
            with contextlib.suppress(EngineBusy):  # the request may have been heard all the same
                self.engine.cancel(place, range(len(items)))
            for index, item in enumerate(items):
                item.attempts -= 1
                self._over(item, (name, index), f"{error}", host="")
            raise

    @property
    def _word(self) -> str:
        """Of this course, the same after a restart."""
        return hashlib.sha256(self.items[0].shard.nonce.encode()).hexdigest()[:12]

    def _look(self, place: Place) -> None:
        """At all of a batch that is still out."""
        states = self.engine.poll(place)
        for item in self.items:
            for out in [out for out in item.out if out[0] == place.batch.name]:
                state = states.get(out[1], State(Phase.LOST, why="the engine does not know the job"))
                lease = item.out[out]
                lease.heard(state, self.rules.lease_of(item.shard))
                if state.phase in (Phase.ENDED, Phase.LOST):
                    self._take(item, out, place, state)
                elif lease.over and not lease.told:
                    lease.told = True
                    item.failed(lease, f"no heartbeat from {lease.host or 'its worker'}")

    def _take(self, item: Item, out: Out, place: Place, state: State) -> None:
        """An attempt ended."""
        shard = item.shard if place.batch.kind or not item.shard.kind else item.anywhere
        try:
            path = self.engine.fetch(place, out[1])
            result = received(shard, path) if path else None
        except (NotBelieved, BadParcel) as error:
            self._over(item, out, str(error))
            return
        if result is None:
            status = _status(state, place.own(out[1]))
            said = "" if status is None else f"run-shard exited with status {status}{_last_words(place.own(out[1]))}"
            self._over(item, out, state.why or said or STATUS_GONE)
            if status in NOT_AGAIN and not item.out:
                self._give_up(item, said)
            return
        assert path
        if item.result is not None:
            self.errand.again(item.shard, result)
            self._over(item, out, "")
        elif result.problem:
            if item.partial is None or _answers(result) > _answers(item.partial):
                item.partial, item.partial_logs = result, logs_of(path)
            self._over(item, out, result.problem)
        else:
            kept = self.ledger.keep(item.number, item.shard, result, path)
            copy_logs(item.shard, logs_of(kept), self.errand.logs)
            self._over(item, out, "")
            self._accepted(item, result)
            self._cancel(list(item.out))

    def _accepted(self, item: Item, result: ShardResult) -> None:
        item.result = result
        where = result.worker.host if result.worker else ""
        text = f"{len(result.tests)} done on {where}"
        self.progress(Event("lab", item.shard.name, "note", text, done=len(result.tests), total=item.row.total))
        self.errand.got(item.shard, result)

    def _over(self, item: Item, out: Out, why: str, host: str | None = None) -> None:
        """An attempt is over. why: it failed."""
        lease = item.out.pop(out)
        if host is not None:
            lease.host = host
        self.ledger.note(Entry(event="over", number=item.number, batch=out[0], index=out[1], host=lease.host, why=why))
        if why and item.result is None:
            item.failed(lease, why)
            self.progress(Event("lab", item.shard.name, "say", f"{lease.host or 'a worker'}: {why}"))

    def _give_up(self, item: Item, why: str) -> None:
        if item.over:
            return
        item.given_up = why
        if item.partial_logs:
            copy_logs(item.shard, item.partial_logs, self.errand.logs)
        self.errand.got(item.shard, given_up(item))
        self._cancel(list(item.out))

    def _cancel(self, outs: list[Out]) -> None:
        """What is out is no longer wanted; a result that is there already is still looked at in the same round."""
        for name in sorted({batch for batch, _ in outs}):
            with contextlib.suppress(EngineBusy):
                self.engine.cancel(self.places[name], [index for batch, index in outs if batch == name])

    def _call_off(self) -> None:
        """Nothing is out any more."""
        self._cancel([out for item in self.items for out in item.out])
        for item in self.items:
            for out in list(item.out):
                self._over(item, out, "")
        self._tell()

    def _tell(self) -> None:
        changed = [item.told() for item in self.items]
        self.on_rows((item.row for item in self.items), any(changed))


def _status(state: State, folder: Path) -> int | None:
    """Exit status of a worker, as the engine says or as it wrote itself; None: not known."""
    if state.phase is not Phase.ENDED or state.status is not None:
        return state.status
    try:
        return int(read_regular(folder / STATUS, 20))
    except (OSError, ValueError):
        return None


def _last_words(folder: Path) -> str:
    """What a worker said last, where the engine keeps that."""
    try:
        lines = read_regular(folder / LOG, _LOG).strip().splitlines()
    except OSError:
        return ""
    return f": {one_line(lines[-1], 200)}" if lines else ""


def _answers(result: ShardResult) -> int:
    """How much is known by it."""
    return sum(reply.status not in ("lost", "skipped") for reply in result.replies)
