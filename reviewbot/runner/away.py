# SPDX-License-Identifier: GPL-2.0-or-later
"""A suite of a leg that other hosts run, as a job of the one queue: cut, handed out, and what came back."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from reviewbot.host import cancel
from reviewbot.model.results import LegResult, Twice
from reviewbot.model.shard import Shard, ShardResult
from reviewbot.runner.context import Context
from reviewbot.runner.cut import Shape, cut, lengths_in, portions, shards_of, share
from reviewbot.runner.errand import Elsewhere, Errand
from reviewbot.runner.plan_suites import images
from reviewbot.runner.results import suite_result
from reviewbot.runner.select import slow_factor
from reviewbot.runner.suite_job import SuiteJob
from reviewbot.suites.suite import SUITES


@dataclass(slots=True)
class AwayRun:
    """One suite of one leg. Thread-safe."""

    work: SuiteJob
    context: Context
    elsewhere: Elsewhere
    stop: threading.Event
    until: float
    on_update: Callable[[], None] = lambda: None
    since: float = field(default_factory=time.monotonic)
    begun: bool = False
    ended: bool = False
    results: list[ShardResult] = field(default_factory=list)
    doubles: list[ShardResult] = field(default_factory=list)
    """Of shards that had a result."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def over(self) -> bool:
        return self.ended

    def weight(self) -> float:
        return 0.0 if self.begun else max(sum(self.work.lengths.values()), 0.001)

    def begin(self) -> None:
        self.begun = True

    def machine(self) -> None:
        """Hand all of it out, and wait. Raises Stopping, InfraError, OSError."""
        context, work = self.context, self.work
        try:
            self.elsewhere.carry_out(
                Errand(
                    work=work,
                    kind=context.kind,
                    images=lambda: dict(images(context)),
                    cut=lambda work, shape, nonce: pieces(work, shape, nonce, context),
                    logs=context.run.logs(work.leg.name),
                    fresh=context.tests.fresh,
                    stop=self.stop,
                    until=self.until,
                    got=self._got,
                    again=self._again,
                )
            )
            if self.stop.is_set():
                raise cancel.Stopping
        finally:
            self.ended = True

    def _got(self, shard: Shard, result: ShardResult) -> None:
        with self.lock:
            self.results.append(result)
        self.on_update()

    def _again(self, shard: Shard, result: ShardResult) -> None:
        with self.lock:
            self.doubles.append(result)

    def found(self) -> list[ShardResult]:
        """What came by now, and why the rest will not come."""
        with self.lock:
            return list(self.results)

    def twice(self, result: LegResult) -> tuple[Twice, ...]:
        """Tests that two hosts ran, with another outcome than the one that counts."""
        counted = {(test.suite, test.test): test for test in result.tests}
        found = []
        for double in self.doubles:
            part = suite_result(self.work, [double], self.context.build.artifacts, over=False)
            for test in part.tests:
                first = counted.get((test.suite, test.test))
                if first and test.outcome is not first.outcome and not (test.outcome.unknown or first.outcome.unknown):
                    found.append(
                        Twice(
                            suite=test.suite,
                            test=test.test,
                            outcome=test.outcome,
                            reason=test.reason,
                            host=double.worker.host if double.worker else "",
                        )
                    )
        return tuple(found)


def pieces(work: SuiteJob, shape: Shape, nonce: str, context: Context) -> Sequence[Shard]:
    """A suite in order is one; others are cut."""
    shard = work.shard.model_copy(update={"kind": context.kind})
    if SUITES[work.suite].ordered:
        return (shard.model_copy(update={"nonce": nonce}),)
    work = replace(work, shard=shard)
    if shape.workers:
        seconds = sum(work.lengths.values()) * slow_factor(context)
        sizes = portions(seconds, shape.workers, shape.shortest, shape.longest)
        if len(sizes) <= shape.most:
            return shards_of(work, share(lengths_in(work), sizes), nonce)
    return cut([work], shape.most, nonce)


def said(twice: Sequence[Twice], result: LegResult) -> tuple[str, ...]:
    """A line for each test that two hosts do not agree on."""
    counted = {(test.suite, test.test): test.outcome for test in result.tests}
    return tuple(
        f"{one.suite}/{one.test}: {counted[one.suite, one.test]} counts, but {one.outcome} on {one.host}"
        for one in twice
    )


def nothing_to_run(work: SuiteJob) -> bool:
    """Whether the answer of every test is known."""
    return all(step.known for step in work.shard.tests)
