# SPDX-License-Identifier: GPL-2.0-or-later
"""One run of several in a process is cancelled, and nothing of the others."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reviewbot.host.cancel import ALL, Cancel, Stopping, carried, check, current
from reviewbot.host.locks import locked
from reviewbot.host.process import run


@dataclass
class Work:
    """Something that a run does in a thread of its own, and how it ended."""

    work: Callable[[], object]
    token: Cancel = field(default_factory=Cancel)
    ended: BaseException | object | None = None

    def __post_init__(self) -> None:
        with self.token.working():
            self.thread = threading.Thread(target=carried(self._run))
        self.thread.start()

    def _run(self) -> None:
        try:
            self.ended = self.work()
        except BaseException as error:
            self.ended = error

    def wait(self) -> BaseException | object | None:
        self.thread.join(60)
        assert not self.thread.is_alive()
        return self.ended


def sleeping(folder: Path, name: str) -> Callable[[], object]:
    """A command that has begun once `name` is there, and ends when `name.go` is."""
    go = folder / f"{name}.go"
    return lambda: run(["sh", "-c", f"touch {folder / name}; until [ -e {go} ]; do sleep 0.05; done"])


def until(there: Callable[[], bool]) -> None:
    pause = threading.Event()
    while not there():
        pause.wait(0.01)


def test_a_cancelled_run_loses_its_process_and_the_other_ends_as_if_alone(tmp_path: Path) -> None:
    one, other = (Work(sleeping(tmp_path, name)) for name in ("one", "other"))
    until(lambda: (tmp_path / "one").exists() and (tmp_path / "other").exists())
    one.token.cancel()
    assert isinstance(one.wait(), Stopping)
    (tmp_path / "other.go").touch()
    assert not isinstance(other.wait(), BaseException) and not other.token.cancelled


def test_a_cancelled_run_starts_nothing_more() -> None:
    token = Cancel()
    token.cancel()
    with token.working(), pytest.raises(Stopping):
        run(["true"])
    assert run(["true"]).status == 0, "another may"


def test_who_waits_for_a_lock_stops_waiting(tmp_path: Path) -> None:
    waits = threading.Event()

    def wait() -> None:
        with locked(tmp_path / "lock", waiting=lambda who: waits.set()):
            pass

    with locked(tmp_path / "lock"):
        waiter = Work(wait)
        assert waits.wait(60)
        waiter.token.cancel()
        assert isinstance(waiter.wait(), Stopping)


def test_threads_of_a_run_work_for_its_token() -> None:
    found: list[Cancel] = []
    token = Cancel()

    def note() -> None:
        found.append(current())

    with token.working():
        thread = threading.Thread(target=carried(note))
    thread.start()
    thread.join(60)
    assert found == [token] and current() is ALL


def test_what_stops_the_process_stops_every_run(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = Cancel()
    monkeypatch.setattr("reviewbot.host.cancel.ALL", everything)
    token = Cancel()
    everything.cancel()
    with token.working(), pytest.raises(Stopping):
        check()
