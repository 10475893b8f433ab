# SPDX-License-Identifier: GPL-2.0-or-later
"""One shard being run: by one machine after another, or by several at once."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from reviewbot import lab
from reviewbot.host import cancel
from reviewbot.lab import OVERDUE, Accelerator, Bounds
from reviewbot.model.lab import GuestJob, GuestStep, JobReply, StepReply
from reviewbot.model.progress import Event, Progress
from reviewbot.model.shard import Shard, ShardResult
from reviewbot.runner.heard import Heard, setup_failure
from reviewbot.runner.results import answered, wrong_program
from reviewbot.runner.resume import KeptAnswers
from reviewbot.store import Store
from reviewbot.suites.suite import SUITES, Suite

MOST_HUNG = 2
"""Checks of smoke that hang before the others are not run."""
START = 2.0
"""Seconds, on a machine of slow factor 1, that a machine takes until its first test: boot, setup, fstests' `check`."""


def job_of(shard: Shard, images: Mapping[str, Path], steps: Sequence[GuestStep]) -> GuestJob:
    """A machine of this shard, with these steps. images: kind -> file."""
    return GuestJob(
        name=f"{shard.leg.name}-{shard.suite}",
        kernel=str(images["kernel"]),
        root=str(images["guest"]),
        payload=str(images["payload"]),
        disks=shard.disks,
        memory=shard.memory,
        cpus=shard.cpus,
        steps=tuple(steps),
        expect_release=shard.release,
        kernel_line=shard.kernel_line,
        slow=shard.slow,
        renew=shard.renew,
    )


@dataclass(slots=True)
class ShardRun:
    """Machines take the next test from what is left, so that they end together, however wrong the estimates are.

    Thread-safe: each machine has a thread of its own.
    """

    shard: Shard
    images: Mapping[str, Path]
    accelerator: Accelerator
    logs: Path
    """Folder of the leg's logs."""
    progress: Progress
    stop: threading.Event
    """When it is set, machines end at once, and what they say no longer counts."""
    lengths: Mapping[str, float] = field(default_factory=dict)
    """Step -> seconds on a machine of slow factor 1; the longest goes first."""
    expected: float | None = None
    """Wall time it should take, seconds, for who watches."""
    ahead: float = 0.0
    """The same of the work that waits for this one's end."""
    kept_answers: KeptAnswers | None = None
    store: Store | None = None
    """Where saved machines are kept; None: each is booted."""
    bounds: Bounds = field(default_factory=Bounds)
    """When all of it has to be over, and how much its guests may leave on the host."""
    first: tuple[str, ...] = ()
    """Steps that go before the longest."""
    on_update: Callable[[], None] = lambda: None
    """Called after each answer."""
    left: dict[str, GuestStep] = field(default_factory=dict)
    """What no machine has taken yet, by name, in the order in which it is taken."""
    running: int = 0
    """Machines that are at it."""
    started: int = 0
    since: float = field(default_factory=time.monotonic)
    """time.monotonic() of the first machine's start."""
    alone: bool = False
    """A machine was of no use: no two at once any more."""
    closed: bool = False
    """No machine is started any more."""
    spent: bool = False
    """Too many were lost: none of those that run takes another test."""
    problem: str = ""
    said: Heard = field(default_factory=Heard)
    lock: threading.RLock = field(default_factory=threading.RLock)
    telling: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        kept = self.kept_answers.load(self.logs) if self.kept_answers else {}
        self.said = Heard.before(self.shard, kept, self.accelerator.name)
        tests = [step for step in self.shard.tests if step.name not in kept and not step.known]
        order = {} if self.suite.ordered else self.lengths
        self.left = {
            step.name: step
            for step in sorted(tests, key=lambda step: (step.name not in self.first, -order.get(step.name, 0.0)))
        }

    @property
    def suite(self) -> Suite:
        return SUITES[self.shard.suite]

    @property
    def over(self) -> bool:
        with self.lock:
            if self.left and self.bounds.overdue:
                self.closed, self.problem = True, self.problem or OVERDUE
            return not self.running and (self.closed or not self.left)

    def weight(self) -> float:
        """Seconds per machine if one more came; 0.0 when it has no use for one."""
        with self.lock:
            if self.closed or not self.left or (self.running and (self.alone or self.suite.ordered)):
                return 0.0
            share = sum(self.lengths.get(name, 1.0) for name in self.left) / (self.running + 1)
            if self.running and share < START:
                return 0.0
            return max(share + self.ahead, 0.001)

    def begin(self) -> None:
        """A machine will be started; `machine` must follow."""
        with self.lock:
            self.running += 1

    def machine(self) -> None:
        """Start a machine and keep it until nothing is left, or it is lost.

        Raises Stopping when it was told to stop, InfraError, OSError.
        """
        mine: dict[str, GuestStep] = {}
        with self.lock:
            self.started += 1
            number, before = self.started, self.said.count()
            if number == 1:
                self.since, total = time.monotonic(), len(self.shard.tests)
                self.progress(
                    Event(
                        "lab",
                        self.shard.name,
                        "start",
                        expected=self.expected,
                        total=total,
                        done=before,
                        log=str(self.logs),
                    )
                )
            self.said.running[number] = []
            job = self._job(number)
        try:
            reply = self._run(job, number, mine)
            if self._stopped():
                raise cancel.Stopping  # it did not end by itself, and what it said last may be our doing
        except BaseException:
            with self.lock:
                self._leave(number, mine)
            raise
        with self.lock:
            self._leave(number, mine)
            self._take_in(reply, self.said.count() > before)

    def _leave(self, number: int, mine: Mapping[str, GuestStep]) -> None:
        """A machine is gone; what it took and did not answer is there to be taken again."""
        self.running -= 1
        told = self.said.left(number)
        self.left = {**{name: step for name, step in mine.items() if name not in told}, **self.left}

    def result(self) -> ShardResult:
        """What is known by now."""
        with self.lock:
            return ShardResult(
                shard=self.shard.key,
                run=self.shard.run,
                nonce=self.shard.nonce,
                machines=self.said.machines(),
                problem=self.problem if self.left or self.suite.ordered else "",
            )

    def found(self) -> list[ShardResult]:
        """The same as a list of one."""
        return [self.result()]

    def _job(self, number: int) -> GuestJob:
        name = f"{self.shard.leg.name}-{self.shard.suite}" + (f".{number}" if number > 1 else "")
        last = self.shard.last and self.shard.last.model_copy(update={"name": f"{name}/{self.shard.last.name}"})
        job = job_of(self.shard, self.images, (*self.shard.setup, *self.left.values()))
        return job.model_copy(update={"name": name, "last": last})

    def _run(self, job: GuestJob, number: int, mine: dict[str, GuestStep]) -> JobReply:
        names = {step.name for step in job.steps}

        def take(step: GuestStep) -> bool:
            with self.lock:
                if (
                    len(self._hung()) >= MOST_HUNG
                    or self.spent
                    or self.stop.is_set()
                    or self.bounds.overdue
                    or step.name not in self.left
                ):
                    return False
                mine[step.name] = self.left.pop(step.name)
                return True

        def heard(reply: StepReply) -> None:
            ended_by_us = reply.status == "lost" and self._stopped()
            if reply.status != "skipped" and not ended_by_us:
                self._heard(reply, number)

        def relayed(event: Event) -> None:
            with self.lock:
                if event.text in names:
                    self.said.doing[number] = event.text.removeprefix(f"{self.shard.suite}/")
                    event = replace(event, text=", ".join(self.said.doing.values()))
            self.progress(replace(event, what=self.shard.name))

        return lab.run_job(
            job,
            self.accelerator,
            self.logs,
            store=self.store,
            on_reply=heard,
            progress=relayed,
            take=take,
            stop=self.stop,
            bounds=self.bounds,
        )

    def _stopped(self) -> bool:
        """Whether somebody wants machines to end: one that does so was not lost."""
        return self.stop.is_set() or cancel.current().cancelled

    def _hung(self) -> list[str]:
        """Tests that hung, of a suite in order: what comes after them would only hang for as long."""
        return self.said.hung() if self.suite.ordered else []

    def _heard(self, reply: StepReply, number: int) -> None:
        gate = reply.name.startswith("setup/")
        with self.lock:
            self.said.running[number].append(reply)
            void = wrong_program(self.said.running[number], self.shard.expect)
        if self.kept_answers and not void and not (gate and reply.exit_status != 0):
            self.kept_answers.add(reply)
        if not gate:
            text = f"{reply.name.removeprefix(self.shard.suite + '/')} {reply.status} {reply.seconds:.1f} s"
            total = len(self.shard.tests)
            with self.telling:  # a count is told before any later one
                with self.lock:
                    done = self.said.count()
                self.progress(Event("lab", self.shard.name, "note", text, done=done, total=total))
        self.on_update()

    def _take_in(self, reply: JobReply, progress: bool) -> None:
        """progress: whether another machine answered any test since this one was started."""
        self.said.end(reply)
        setup = setup_failure(reply)
        useless = bool(setup) or not any(r.name.startswith(f"{self.shard.suite}/") for r in answered(reply.replies))
        losses = self.result().losses
        if self.suite.ordered:  # nothing goes on in another machine
            hung = f"not run, because {' and '.join(self._hung())} hung" if self._hung() else ""
            self.closed, self.problem = True, setup or reply.problem or hung
        elif self.left and self.bounds.overdue:
            self.closed = self.spent = True
            self.problem = OVERDUE
        elif self.left and losses >= self.shard.max_losses:
            self.closed = self.spent = True
            self.problem = f"INFRA-suspect: {losses} machines were lost, the last: {reply.problem}"
        elif self.left and useless:
            self.alone = True
            if not progress:
                self.closed, self.problem = True, setup or reply.problem or "the machine ran no test"
