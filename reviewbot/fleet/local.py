# SPDX-License-Identifier: GPL-2.0-or-later
"""Shards as processes of this host, some at once. They die with the coordinator; their answers do not."""

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reviewbot.fleet.engine import Phase, Place, State
from reviewbot.host import cancel
from reviewbot.host.files import read_regular
from reviewbot.host.process import CommandFailed, LimitExceeded, run
from reviewbot.model.errors import InfraError
from reviewbot.model.fleet import LocalEngine
from reviewbot.runner.parcel import LOG, RESULT

BEAT = "beat.json"
_MOST_BEAT = 1000


@dataclass(slots=True)
class _Task:
    place: Place
    index: int
    token: cancel.Cancel = field(default_factory=cancel.Cancel)
    begun: bool = False
    status: int | None = None
    problem: str = ""

    @property
    def folder(self) -> Path:
        return self.place.own(self.index)


@dataclass(slots=True)
class Local:
    """See `Engine`."""

    settings: LocalEngine
    store: str
    environment: Mapping[str, str] = field(default_factory=dict)
    most: int = 256
    tasks: dict[tuple[str, int], _Task] = field(default_factory=dict)
    free: threading.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self.free = threading.Semaphore(self.settings.workers)

    def submit(self, place: Place) -> None:
        for index in range(len(place.batch.shards)):
            task = self.tasks[place.batch.name, index] = _Task(place, index)
            threading.Thread(target=cancel.carried(self._work), args=(task,), daemon=True).start()

    def _work(self, task: _Task) -> None:
        with self.free, task.token.working():
            task.begun = True
            try:
                task.status = self._run(task)
            except cancel.Stopping:
                task.problem = "it was canceled"
            except (InfraError, OSError) as error:
                task.problem = str(error)

    def _run(self, task: _Task) -> int:
        cancel.check()
        command = [
            *self.settings.command, "run-shard", str(task.place.shard(task.index)), f"--output={task.folder / RESULT}",
            f"--beat={task.folder / BEAT}", f"--store={self.store}",
        ]  # fmt: skip
        try:
            return run(
                command,
                log=task.folder / LOG,
                env=self.environment,
                timeout=task.place.batch.seconds,
                check=False,
            ).status
        except (CommandFailed, LimitExceeded) as error:
            task.problem = str(error)
            return -1

    def poll(self, place: Place) -> Mapping[int, State]:
        return {index: self._state(place, index) for index in range(len(place.batch.shards))}

    def _state(self, place: Place, index: int) -> State:
        task = self.tasks.get((place.batch.name, index))
        if task is None or task.problem:
            return State(Phase.LOST, why=task.problem if task else "its process ended together with the coordinator")
        if task.status is not None:
            return State(Phase.ENDED, "this host", task.status)
        return State(Phase.RUNNING if task.begun else Phase.WAITING, "this host", beat=beat_of(task.folder / BEAT))

    def fetch(self, place: Place, index: int) -> Path | None:
        path = place.own(index) / RESULT
        return path if path.exists() else None

    def cancel(self, place: Place, indexes: Collection[int]) -> None:
        for index in indexes:
            if task := self.tasks.get((place.batch.name, index)):
                task.token.cancel()


def beat_of(path: Path) -> str:
    """What a worker wrote of how far it is; empty: nothing yet."""
    try:
        return read_regular(path, _MOST_BEAT)
    except OSError:
        return ""
