# SPDX-License-Identifier: GPL-2.0-or-later
"""Workers that play their part: one engine for tests of the coordinator, and a program for those of real engines."""

import json
import os
import signal
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reviewbot.cli.entry import run
from reviewbot.config import Site
from reviewbot.fleet.engine import Phase, Place, State
from reviewbot.host.files import write_atomic
from reviewbot.lab import Accelerator
from reviewbot.model.lab import JobReply, StepReply
from reviewbot.model.progress import silent
from reviewbot.model.shard import Shard, ShardResult
from reviewbot.runner import worker
from reviewbot.runner.parcel import RESULT
from reviewbot.runner.shard_files import logs_of, read_shard
from reviewbot.store import Store
from reviewbot.store.objects import Objects
from tests.played import Lab

Change = Callable[[ShardResult], ShardResult | bytes]
"""What a worker makes of its result before it brings it."""


@dataclass
class Deed:
    """What one attempt at a shard comes to."""

    lab: Lab = field(default_factory=Lab)
    change: Change = lambda result: result
    rounds: int = 0
    """Questions that it is waiting or running for."""
    end: Phase = Phase.ENDED
    status: int | None = 0
    brings: bool = True
    host: str = "node1"
    cpu: str = "Played CPU"
    beats: bool = True


@dataclass
class PlayedEngine:
    """Runs what is handed out in this process, when it is asked for; what each attempt comes to is up to `deed`."""

    folder: Path
    """Of the hosts' caches."""
    stores: tuple[str, ...]
    deed: Callable[[Shard, int], Deed]
    """Shard, and number of the attempt from 0."""
    most: int = 256
    deaf: bool = False
    """What is cancelled goes on."""
    on_poll: Callable[[], None] = lambda: None
    attempts: dict[str, int] = field(default_factory=dict)
    deeds: dict[tuple[str, int], Deed] = field(default_factory=dict)
    asked: dict[tuple[str, int], int] = field(default_factory=dict)
    submitted: list[Place] = field(default_factory=list)
    cancelled: list[tuple[str, int]] = field(default_factory=list)

    def submit(self, place: Place) -> None:
        self.submitted.append(place)
        for index in range(len(place.batch.shards)):
            shard = read_shard(place.shard(index))
            name = f"{shard.run} {shard.name}"
            number = self.attempts.get(name, 0)
            self.attempts[name] = number + 1
            self.deeds[place.batch.name, index] = self.deed(shard, number)

    def poll(self, place: Place) -> Mapping[int, State]:
        self.on_poll()
        return {i: self._state((place.batch.name, i)) for i in range(len(place.batch.shards))}

    def _state(self, out: tuple[str, int]) -> State:
        deed = self.deeds.get(out)
        if deed is None or out in self.cancelled:
            return State(Phase.LOST)
        count = self.asked[out] = self.asked.get(out, 0) + 1
        if count <= deed.rounds:
            return State(Phase.RUNNING, deed.host, beat=f"{count}" if deed.beats else "")
        return State(deed.end, deed.host, deed.status if deed.end is Phase.ENDED else None)

    def fetch(self, place: Place, index: int) -> Path | None:
        deed = self.deeds[place.batch.name, index]
        path = place.own(index) / RESULT
        if not deed.brings:
            return None
        if not path.exists():
            made = deed.change(played(place.shard(index), logs_of(path), self.folder / deed.host, self.stores, deed))
            write_atomic(path, made if isinstance(made, bytes) else made.model_dump_json())
        return path

    def cancel(self, place: Place, indexes: Collection[int]) -> None:
        if not self.deaf:
            self.cancelled += [(place.batch.name, index) for index in indexes]


def played(path: Path, logs: Path, home: Path, stores: tuple[str, ...], deed: Deed) -> ShardResult:
    """What `run-shard` brings on a host where the lab plays its part."""
    with pytest.MonkeyPatch.context() as patch:
        playing(patch, deed.lab, deed.cpu)
        patch.setattr("platform.node", lambda: deed.host)
        shard, sources = worker.find_shard(str(path), Objects(home / "objects"), stores)
        return worker.run_shard(shard, sources, logs, Store(home), Site(), silent)


def playing(patch: pytest.MonkeyPatch, lab: "Lab | Dying", cpu: str) -> None:
    """A host without QEMU, of this CPU."""
    cpuinfo = Path(os.environ.get("PYTEST_TMP", "/tmp")) / "nowhere"
    patch.setattr("reviewbot.lab.run_job", lab.run_job)
    patch.setattr("reviewbot.lab.choose_accelerator", lambda *_, **__: Accelerator("tcg", "a test"))
    patch.setattr(worker, "_CPUINFO", cpuinfo)
    patch.setattr("platform.machine", lambda: cpu)
    patch.setattr(worker, "use_boxes", lambda site: None)


def main() -> None:
    """`reviewbot` on a host whose lab plays its part.

    $PLAYED names a JSON file: what `Lab` is made of for head and for base, and of `dies`, after how many tests the host
    takes its last breath.
    """
    told: dict[str, Any] = json.loads(Path(os.environ["PLAYED"]).read_text())
    given = [Path(word) for word in sys.argv[2:] if Path(word).is_file()]
    side = "base" if given and '"key":"base-' in given[0].read_text() else "head"
    lab = Lab(**told.get(side, {}), pause=told.get("pause", 0.0))
    with pytest.MonkeyPatch.context() as patch:
        playing(
            patch, Dying(lab, told["dies"], told["kills"]) if "dies" in told else lab, told.get("cpu", "Played CPU")
        )
        sys.exit(run(sys.argv[1:]))


class Dying:
    """A lab whose host is gone after so many tests, with whatever `kills` names."""

    def __init__(self, lab: Lab, tests: int, kills: str) -> None:
        self.lab, self.left, self.kills = lab, tests, kills

    def run_job(self, *arguments: Any, on_reply: Callable[[StepReply], None], **named: Any) -> JobReply:
        def heard(reply: StepReply) -> None:
            on_reply(reply)
            self.left -= not reply.name.startswith("setup/")
            if self.left == 0:
                os.kill(int(Path(self.kills).read_text()), signal.SIGKILL)
                os.killpg(0, signal.SIGKILL)

        return self.lab.run_job(*arguments, on_reply=heard, **named)


if __name__ == "__main__":
    main()
