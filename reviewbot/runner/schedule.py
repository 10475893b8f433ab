# SPDX-License-Identifier: GPL-2.0-or-later
"""Some machines, and one queue of work for all legs."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from reviewbot.host.cancel import carried


class Job(Protocol):
    """What machines can be given to. Thread-safe."""

    @property
    def over(self) -> bool:
        """No machine is at it, and none would be of use."""

    def weight(self) -> float:
        """Seconds that one more machine would have to do; 0.0: it would be of no use now."""

    def begin(self) -> None:
        """A machine comes; `machine` will be called by another thread."""

    def machine(self) -> None:
        """One machine's work, from its start to its end."""


def run_all(jobs: Sequence[Job], machines: int, after: Callable[[Job], Sequence[Job]], stop: threading.Event) -> None:
    """Give each free machine to the job with the most to do, until all are over.

    after: called once for each job that is over; returns what may be done now. What it, or a machine, raises stops all
    others, and is raised here. stop: set then, and when the caller is interrupted; machines must heed it.
    """
    queue = _Queue(list(jobs), after, stop)
    threads = [threading.Thread(target=carried(queue.work), name=f"machine {n + 1}") for n in range(max(machines, 1))]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except BaseException:
        queue.abandon()
        for thread in threads:
            if thread.ident:
                thread.join()
        raise
    if queue.failure:
        raise queue.failure


@dataclass(slots=True)
class _Queue:
    jobs: list[Job]
    after: Callable[[Job], Sequence[Job]]
    stop: threading.Event
    busy: int = 0
    """Threads whose work may bring more of it."""
    failure: BaseException | None = None
    changed: threading.Condition = field(default_factory=threading.Condition)

    def work(self) -> None:
        """What each thread does."""
        try:
            while action := self._next():
                action()
        except BaseException as error:  # of any kind: the thread that waits for us raises it
            with self.changed:
                self.failure = self.failure or error
            self.abandon()

    def abandon(self) -> None:
        self.stop.set()
        with self.changed:
            self.changed.notify_all()

    def _next(self) -> Callable[[], None] | None:
        """Waits until there is something to do; None when there will be nothing any more."""
        with self.changed:
            while not self.stop.is_set():
                if ended := next((job for job in self.jobs if job.over), None):
                    self.jobs.remove(ended)
                    self.busy += 1
                    return lambda: self._end(ended)
                longest = max(self.jobs, key=lambda job: job.weight(), default=None)
                if longest and longest.weight() > 0:
                    longest.begin()
                    self.busy += 1
                    return lambda: self._machine(longest)
                if not self.busy:
                    return None
                self.changed.wait()
            return None

    def _machine(self, job: Job) -> None:
        job.machine()
        self._idle([])

    def _end(self, job: Job) -> None:
        self._idle(self.after(job))

    def _idle(self, more: Sequence[Job]) -> None:
        with self.changed:
            self.jobs += more
            self.busy -= 1
            self.changed.notify_all()
