# SPDX-License-Identifier: GPL-2.0-or-later
"""One queue for all legs: the longest first, everything once, and nothing goes on when something breaks."""

import threading
import time
from dataclasses import dataclass, field

import pytest

from reviewbot.model.errors import InfraError
from reviewbot.runner.schedule import Job, run_all


@dataclass
class Pile:
    """Work that any number of machines take away, one piece at a time."""

    name: str
    pieces: int
    log: list[str]
    shared: bool = True
    fails: BaseException | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    running: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def over(self) -> bool:
        return not self.running and not self.pieces

    def weight(self) -> float:
        return 0.0 if self.running and not self.shared else self.pieces / (self.running + 1)

    def begin(self) -> None:
        with self.lock:
            self.running += 1
            self.log.append(self.name)

    def machine(self) -> None:
        try:
            while not self.stop.is_set():
                if self.fails:
                    raise self.fails
                with self.lock:
                    if not self.pieces:
                        return
                    self.pieces -= 1
                time.sleep(0.001)
        finally:
            with self.lock:
                self.running -= 1


def piles(*sizes: int, log: list[str]) -> list[Pile]:
    return [Pile(chr(ord("a") + place), size, log) for place, size in enumerate(sizes)]


def test_the_longest_goes_first_and_one_machine_does_one_after_the_other() -> None:
    log: list[str] = []
    run_all(piles(1, 5, 3, log=log), 1, lambda job: [], threading.Event())
    assert log == ["b", "c", "a"]


def test_a_free_machine_helps_where_most_is_left() -> None:
    log: list[str] = []
    made = piles(100, 2, log=log)
    run_all(made, 2, lambda job: [], threading.Event())
    assert log[0] == "a" and log.count("a") >= 2 and all(pile.over for pile in made)


@pytest.mark.parametrize("machines", [1, 2, 5])
def test_what_comes_after_a_job_is_done_once_when_it_is_over(machines: int) -> None:
    log: list[str] = []
    ended: list[str] = []

    def after(job: Job) -> list[Job]:
        assert isinstance(job, Pile) and job.over
        ended.append(job.name)
        return [Pile(job.name.upper(), 3, log)] if job.name.islower() else []

    run_all(piles(4, 4, 0, log=log), machines, after, threading.Event())
    assert sorted(ended) == ["A", "B", "C", "a", "b", "c"]


def test_work_that_cannot_be_shared_is_not() -> None:
    log: list[str] = []
    run_all([Pile("a", 20, log, shared=False)], 3, lambda job: [], threading.Event())
    assert log == ["a"]


@pytest.mark.parametrize("error", [InfraError("no QEMU"), KeyboardInterrupt(), ZeroDivisionError()])
def test_what_one_machine_raises_ends_the_others_and_is_raised(error: BaseException) -> None:
    stop = threading.Event()
    endless = Pile("a", 10**9, [], shared=False, stop=stop)
    before = threading.active_count()
    with pytest.raises(type(error)):
        run_all([endless, Pile("b", 5, [], fails=error, stop=stop)], 2, lambda job: [], stop)
    assert stop.is_set() and threading.active_count() == before


def test_what_the_end_of_a_job_raises_is_raised() -> None:
    def after(job: Job) -> list[Job]:
        raise InfraError("the disk is full")

    with pytest.raises(InfraError, match="disk"):
        run_all(piles(1, 1, log=[]), 2, after, threading.Event())


def test_nothing_to_do_is_done_at_once() -> None:
    run_all([], 3, lambda job: [], threading.Event())
