# SPDX-License-Identifier: GPL-2.0-or-later
"""All legs of a run: smoke goes first in each, and a leg that fails it stops there."""

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from reviewbot.lab import Bounds
from reviewbot.model.progress import Event
from reviewbot.model.results import LegResult, Outcome
from reviewbot.model.shard import ShardResult
from reviewbot.model.stack import LegSpec
from reviewbot.runner import cache
from reviewbot.runner.away import AwayRun, nothing_to_run, said
from reviewbot.runner.context import Context
from reviewbot.runner.known_notrun import learn, spared
from reviewbot.runner.plan_suites import images, missing, suite_job_of
from reviewbot.runner.results import joined, seconds_of, slow_of, suite_result, words
from reviewbot.runner.resume import KeptAnswers
from reviewbot.runner.schedule import Job, run_all
from reviewbot.runner.select import Chosen, choose
from reviewbot.runner.shard_run import ShardRun
from reviewbot.runner.suite_job import SuiteJob
from reviewbot.suites.suite import SUITES

OnUpdate = Callable[[tuple[LegResult, ...]], None]
"""Gets all that is known of the legs by now; called by one thread at a time."""
INTERVAL = 5.0
"""Seconds between two calls of it while a suite runs; the end of a suite is always told."""
FINE = (Outcome.PASS, Outcome.NOTRUN, Outcome.KNOWN)
BAD = (Outcome.FAIL, Outcome.CRASH, Outcome.HANG)
"""Outcomes that whoever watches hears of at once."""
REASON = 200
"""Characters of a failure's reason that are told."""
RATIO = 50.0
"""At least so much longer than a call took."""


def run_legs(
    legs: Sequence[LegSpec],
    wanted: Sequence[str],
    context: Context,
    on_update: OnUpdate = lambda results: None,
    deferred: Callable[[SuiteJob], None] | None = None,
) -> tuple[LegResult, ...]:
    """All wanted suites of all legs, on `context.machines` machines at once. Raises UsageError, InfraError, OSError.

    deferred: gets what would run next in a leg whose smoke passed, and it is not run; the results are without it.
    """
    # All of it first, so that a mistake of the caller's costs no time.
    chosen: dict[str, Chosen] = {}
    for suite in SUITES.values():
        able = [leg for leg in legs if not missing(leg, context.build.artifacts, suite.needs)]
        if suite.selects and suite.name in wanted and able:
            chosen |= choose(able, context, wanted)
    course = _Course([_leg(leg, wanted, context, chosen.get(leg.name), deferred) for leg in legs], context, on_update)
    until = time.monotonic() + context.seconds
    for leg in course.legs:
        leg.until = until
    course.run()
    return course.results()


def _leg(
    leg: LegSpec,
    wanted: Sequence[str],
    context: Context,
    chosen: Chosen | None,
    deferred: Callable[[SuiteJob], None] | None,
) -> "_Leg":
    """What can be done in it, and why the rest cannot."""
    if reason := missing(leg, context.build.artifacts):
        context.progress(Event("lab", leg.name, "failed", f"unavailable: {reason}"))
        return _Leg(leg, context, [], LegResult(leg=leg.name, available=False, reason=reason))
    works = []
    begun = LegResult(leg=leg.name, available=True, accelerator=context.accelerator.name, reused=True)
    if chosen:
        said = {"excluded": chosen.selection.excluded, "left_out": chosen.left_out, "notes": chosen.notes}
        begun = begun.model_copy(update=said)
    for suite in (suite for suite in SUITES.values() if suite.name in wanted):
        lacking = missing(leg, context.build.artifacts, suite.needs)
        if not lacking and suite.selects and chosen and not chosen.selection.tests:
            lacking = "no test fits into the budget"
        if lacking:
            begun = begun.model_copy(update={"reason": f"{suite.name} did not run: {lacking}"})
            continue
        works.append(suite_job_of(leg, suite.name, context, chosen.selection if chosen else None))
    return _Leg(leg, context, works, begun, chosen.answers if chosen else {}, deferred)


@dataclass(slots=True)
class _Leg:
    """How far one leg is."""

    spec: LegSpec
    context: Context
    todo: list[SuiteJob]
    result: LegResult
    answers: Mapping[str, str] = field(default_factory=dict)
    """Of fstests that need not be run."""
    deferred: Callable[[SuiteJob], None] | None = None
    until: float = math.inf
    """time.monotonic() at which the tests of all legs have to be over."""
    work: SuiteJob | None = None
    shard: ShardRun | AwayRun | None = None

    def next(self, stop: threading.Event, on_update: Callable[[], None]) -> ShardRun | AwayRun | None:
        """The next suite that needs machines."""
        while self.todo:
            work = self.todo.pop(0)
            if found := cache.find(work, self.context):
                said = f"{words(found)}, from an earlier run"
                self.context.progress(Event("lab", work.name, "done", said))
                self._add(work, found)
                continue
            suite = SUITES[work.suite]
            work = spared(work, self.answers) if suite.learns else work
            if self.deferred and not suite.ordered:
                self.deferred(work)
                continue
            self.work, self.shard = work, self._begin(work, stop, on_update)
            return self.shard
        return None

    def _begin(self, work: SuiteJob, stop: threading.Event, on_update: Callable[[], None]) -> ShardRun | AwayRun:
        context = self.context
        if context.elsewhere and not nothing_to_run(work):
            return AwayRun(work, context, context.elsewhere, stop, self.until, on_update)
        resumable = SUITES[work.suite].resumable and context.tests.kept
        kept_answers = KeptAnswers(context.store, work.inputs) if resumable else None
        if kept_answers and context.tests.fresh:
            kept_answers.forget()
            kept_answers = KeptAnswers(context.store, work.inputs)
        return ShardRun(
            work.shard,
            images(context),
            context.accelerator,
            context.run.logs(work.leg.name),
            context.progress,
            stop,
            work.lengths,
            context.durations.get(_timed(work, context)),
            ahead=sum(sum(later.lengths.values()) for later in self.todo),
            kept_answers=kept_answers,
            on_update=on_update,
            store=context.store if context.snapshots else None,
            bounds=Bounds(self.until),
            first=tuple(f"fstests/{test}" for test in context.tests.first.get(work.leg.name, ())),
        )

    def end(self) -> None:
        """The suite that ran is over."""
        assert self.work and self.shard
        work, shard, context = self.work, self.shard, self.context
        found = shard.found()
        result = suite_result(work, found, context.build.artifacts)
        if isinstance(shard, AwayRun):
            twice = shard.twice(result)
            result = result.model_copy(update={"twice": twice, "notes": (*result.notes, *said(twice, result))})
        self._measured(work, found, result)
        learn(work.shard, result, context.build.artifacts, context.notruns, context.build.patched)
        if isinstance(shard, ShardRun) and shard.kept_answers and not any(one.problem for one in found):
            shard.kept_answers.forget()
        state = "failed" if any(test.outcome not in FINE for test in result.tests) else "done"
        context.progress(Event("lab", work.name, state, words(result)))
        if not any(t.outcome in (Outcome.INFRA, Outcome.MISS) for t in result.tests) and not result.reason:
            context.durations.put(_timed(work, context), time.monotonic() - shard.since)
            if context.tests.kept:
                cache.keep(work, result, context)
        self.work = self.shard = None
        self._add(work, result)

    def _measured(self, work: SuiteJob, found: Sequence[ShardResult], result: LegResult) -> None:
        """Keep what tests took, for each kind of host by itself."""
        durations, here = self.context.durations, self.context.accelerator.name
        for kind in dict.fromkeys(one.worker.kind if one.worker else here for one in found):
            own = [one for one in found if (one.worker.kind if one.worker else here) == kind]
            durations.put_tests(work.shard.measured_as, kind, seconds_of(work, own, result))
            slow = min((one.worker.slow for one in own if one.worker and one.worker.slow), default=0.0)
            if kind == here:
                slow = slow_of(result)
            if slow:
                durations.put_slow(kind, slow)

    def _add(self, work: SuiteJob, part: LegResult) -> None:
        result = joined(self.result, part)
        if SUITES[work.suite].gate and any(test.outcome not in FINE for test in part.tests):
            stopped = f"{work.suite} did not pass, so nothing else was run" if self.todo else ""
            result = result.model_copy(update={"reason": part.reason or stopped or result.reason})
            self.todo.clear()
        self.result = result

    def known(self) -> LegResult:
        """By now."""
        if self.work is None or self.shard is None:
            return self.result
        part = suite_result(self.work, self.shard.found(), self.context.build.artifacts, over=False)
        return joined(self.result, part)


def _timed(work: SuiteJob, context: Context) -> str:
    run = sum(not step.known for step in work.shard.tests)
    return f"{work.shard.measured_as} {work.suite} {context.accelerator.name} {run} on {context.machines}"


@dataclass(slots=True)
class _Course:
    """All legs, and who hears of them."""

    legs: list[_Leg]
    context: Context
    on_update: OnUpdate
    stop: threading.Event = field(default_factory=threading.Event)
    due: float = 0.0
    """When the next answer is told."""
    said: set[tuple[str, str, str]] = field(default_factory=set)
    """Leg, suite and test of the failures that were told to whoever watches."""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def run(self) -> None:
        first: list[Job] = [shard for leg in self.legs if (shard := leg.next(self.stop, self._heard))]
        # Those that are elsewhere need no machine of this host: one thread waits for each leg.
        count = len(self.legs) if self.context.elsewhere else self.context.machines
        run_all(first, count, self._after, self.stop)

    def results(self) -> tuple[LegResult, ...]:
        with self.lock:
            return tuple(leg.known() for leg in self.legs)

    def _after(self, job: Job) -> Sequence[Job]:
        leg = next(leg for leg in self.legs if leg.shard is job)
        with self.lock:
            self._say_failures(self.results())
            leg.end()
            self.on_update(self.results())
            following = leg.next(self.stop, self._heard)
        return [following] if following else []

    def _heard(self) -> None:
        """A test has an answer."""
        with self.lock:
            began = time.monotonic()
            if began >= self.due:
                results = self.results()
                self.on_update(results)
                self._say_failures(results)
                ended = time.monotonic()
                self.due = ended + max(INTERVAL, RATIO * (ended - began))

    def _say_failures(self, results: Sequence[LegResult]) -> None:
        """Those that nobody heard of yet: a run of hours must not keep its first failure to itself."""
        for leg in results:
            for test in leg.tests:
                key = leg.leg, test.suite, test.test
                if test.outcome in BAD and key not in self.said:
                    self.said.add(key)
                    words = f"{test.outcome}{f': {test.reason[:REASON]}' if test.reason else ''}"
                    log = str(self.context.run.path / test.log) if test.log else ""
                    self.context.progress(Event("lab", f"{leg.leg} {test.suite}/{test.test}", "bad", words, log=log))
