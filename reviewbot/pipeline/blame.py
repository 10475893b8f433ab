# SPDX-License-Identifier: GPL-2.0-or-later
"""Find the repository and the patch of each new failure: build the stack at other commits, and run the test there.

A comparison in, the same with blame out. Failures with one cause are one search. Must not know: mails, reports.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from reviewbot.build import needs
from reviewbot.host.process import CommandFailed
from reviewbot.model.build import side_of
from reviewbot.model.comparison import Blame, Cell, Class, Compared, Comparison, Counts, FigureChange, NewMessage
from reviewbot.model.coverage import Coverage
from reviewbot.model.errors import InfraError, SeriesAtFault
from reviewbot.model.progress import Event
from reviewbot.model.results import LegResult, Outcome
from reviewbot.model.stack import LegSpec, Stack
from reviewbot.model.trees import Trees
from reviewbot.pipeline.costs import checks_of
from reviewbot.pipeline.outcomes import outcome_of, rerun_in
from reviewbot.pipeline.suspects import weights
from reviewbot.runner import Context, SuiteName, Tests, run_legs
from reviewbot.suites import smoke
from reviewbot.suites.suite import suite_named
from reviewbot.verdict.bench import figures as bench_figures
from reviewbot.verdict.blame import Changed, Search
from reviewbot.verdict.causes import cause_of
from reviewbot.verdict.features import lacks
from reviewbot.verdict.figures import measured
from reviewbot.verdict.messages import says
from reviewbot.verdict.weights import functions

AGAIN = 100.0
"""How much likelier a patch is that brought another failure."""
BuildAt = Callable[[Mapping[str, str]], Context]
"""Component -> commit, the others at base: the stack built there. Raises SeriesAtFault or InfraError."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What stacks are made of."""

    trees: Trees
    stack: Stack
    at: BuildAt
    without: Callable[[str, str], Context | None]
    """Component, commit: head without this patch; None: it cannot be taken out. Raises as `at` does."""
    coverage: Coverage | None = None


def blame(
    comparison: Comparison, legs: Sequence[LegSpec], parts: Parts, *, budget: float, selection: str = ""
) -> Comparison:
    """With the guilty repository and patch of what is new. budget: seconds per cause. selection: of fstests on head.

    A search that cannot go on, as on a full disk, says so, and the verdict stands. Raises Stopping.
    """
    specs = {leg.name: leg for leg in legs}
    known: dict[str, Blame] = {}

    def blamed(cause: str, symptom: "Symptom") -> Blame:
        if cause not in known:
            guilty = frozenset(commit for one in known.values() for commit in culprits(one))
            known[cause] = _Runs(symptom, parts, time.monotonic() + budget, guilty).search()
        return known[cause]

    tests = tuple(
        test.model_copy(update={"blame": blamed(cause_of(test), of_test(test, specs[test.leg], selection))})
        if test.kind in (Class.NEW, Class.NEWLY_NOTRUN)
        else test
        for test in comparison.tests
    )
    figures = tuple(
        change.model_copy(update={"blame": blamed(f"figure {change.figure}", of_figure(change, specs[change.leg]))})
        if change.counts
        else change
        for change in comparison.figures
    )
    # A guest says as many different things as it likes: one search per leg, and nothing is claimed of the others.
    firsts = {message.leg: message for message in reversed(comparison.messages) if message.alarm}
    messages = tuple(
        message.model_copy(update={"blame": blamed(f"message {message.text}", of_message(message, specs[message.leg]))})
        if message is firsts.get(message.leg)
        else message
        for message in comparison.messages
    )
    cells = tuple(
        cell.model_copy(update={"blame": blamed(f"stack {cell.leg} {cell.patched}", of_cell(cell, specs[cell.leg]))})
        if cell.only_here
        else cell
        for cell in comparison.cells
    )
    return comparison.model_copy(update={"tests": tests, "figures": figures, "messages": messages, "cells": cells})


@dataclass(frozen=True, slots=True)
class Symptom:
    """What tells in one leg that a stack has the defect."""

    leg: LegSpec
    suite: SuiteName
    test: str
    """Empty: it takes all of the suite."""
    checks: tuple[str, ...]
    """Of smoke or bench that have to run; empty: all."""
    selection: str
    """Of fstests that have to run."""
    head: Counts
    base: Counts
    seen: Callable[[LegResult], bool | None]
    """Whether a result shows it; None: the result says nothing."""
    frames: tuple[str, ...] = ()
    """Functions of the crash."""
    among: tuple[str, ...] = ()
    """Components of a mixed stack that shows it, all others at base; empty: head shows it."""
    machine: str = ""
    """Kind of host that showed it; empty: this one."""

    @property
    def name(self) -> str:
        return f"{self.suite}/{self.test}" if self.test else self.suite


def of_test(test: Compared, leg: LegSpec, selection: str = "") -> Symptom:
    """A test that fails, or that can no longer run. selection: of head, for fstests that fail only after others."""
    absent = test.kind is Class.NEWLY_NOTRUN

    def seen(result: LegResult) -> bool | None:
        outcome = outcome_of(result, test.test)
        if outcome in (Outcome.INFRA, Outcome.MISS):
            return None
        return outcome is Outcome.NOTRUN if absent else outcome.broken

    head = Counts(failed=1, runs=1) if absent else test.head
    frames, suite = functions(test.fingerprint), rerun_in(test.suite, test.test)
    checks = (suite.up_to if test.order_dependent else suite.alone)([test.test])
    selected = selection if test.order_dependent else test.test
    return Symptom(leg, suite.name, test.test, checks, selected, head, test.base, seen, frames, machine=test.machine)


def of_figure(change: FigureChange, leg: LegSpec) -> Symptom:
    """A figure of smoke or bench that is nearer to head's than to base's, or a feature that only base has."""
    limit = (min(change.head) + max(change.base)) / 2

    def seen(result: LegResult) -> bool | None:
        if not result.tests or any(test.outcome in (Outcome.INFRA, Outcome.MISS) for test in result.tests):
            return None
        if change.feature:
            return lacks(result, change)
        if change.suite == "bench":
            now = bench_figures(result.tests).get(change.figure)
            return None if now is None else now > limit
        return measured(result, change.suite, change.test).get(change.figure, 0.0) > limit

    head = Counts(failed=len(change.head), runs=len(change.head))
    base = Counts(runs=len(change.base))
    suite, checks = suite_named(change.suite).name, checks_of([change.test], change.suite)
    return Symptom(leg, suite, "", checks, "", head, base, seen, machine=change.machine)


def of_message(message: NewMessage, leg: LegSpec) -> Symptom:
    """A kernel message of smoke; two runs on head had it, and two on base had not."""

    def seen(result: LegResult) -> bool | None:
        if not result.tests or any(test.outcome in (Outcome.INFRA, Outcome.MISS) for test in result.tests):
            return None
        return says(result, message)

    head, base = Counts(failed=2, runs=2), Counts(runs=2)
    return Symptom(leg, "smoke", message.test, checks_of([message.test]), "", head, base, seen)


def of_cell(cell: Cell, leg: LegSpec) -> Symptom:
    """A check of smoke that fails on a mixed stack in two runs, and passes on base."""
    test = cell.only_here[0]

    def seen(result: LegResult) -> bool | None:
        outcome = outcome_of(result, test)
        return None if outcome.unknown else outcome.broken

    head, base = Counts(failed=2, runs=2), Counts(runs=1)
    return Symptom(leg, "smoke", test, smoke.alone([test]), "", head, base, seen, among=cell.patched)


def culprits(blame: Blame) -> tuple[str, ...]:
    """Patches that a search found, and that were confirmed."""
    return tuple(one.commits[0] for one in blame.patches if len(one.commits) == 1 and one.at.failed)


def changed_of(leg: LegSpec, trees: Trees, stack: Stack) -> tuple[Changed, ...]:
    """Components that the posting changes and that are in the leg, in the stack's order."""
    used = set(leg.needs)
    for component in reversed(stack.components):
        if component.name in used:
            used |= set(needs(component.recipe))
    found = []
    for component in stack.components:
        tree = trees.get(component.name)
        commits = [p.commit for p in tree.patches if not (p.merged or p.prerequisite)] if tree else []
        if commits and component.name in used:
            found.append(Changed(component.name, tuple(commits)))
    return tuple(found)


@dataclass(slots=True)
class _Runs:
    """Runs of one symptom's test on other stacks."""

    symptom: Symptom
    parts: Parts
    deadline: float
    """time.monotonic() when the budget is spent."""
    guilty: frozenset[str] = frozenset()
    """Patches that brought other failures: one defect often makes several tests fail in different ways."""
    built: dict[str, Context | None] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)

    def search(self) -> Blame:
        """Who is to blame, as far as that could be found out."""
        try:
            symptom, asking = self.symptom, (self.ask, self._time_left, self.ask_without, self.content)
            search = Search(self._changed(), symptom.head, symptom.base, *asking)
            return search.run()
        except (OSError, CommandFailed) as error:
            return Blame(components=(), problem=(getattr(error, "strerror", "") or str(error)).splitlines()[0])

    def _changed(self) -> tuple[Changed, ...]:
        """With how likely each patch is."""
        parts, symptom = self.parts, self.symptom
        found = []
        for one in changed_of(symptom.leg, parts.trees, parts.stack):
            if symptom.among and one.component not in symptom.among:
                continue
            tree = parts.trees.get(one.component)
            assert tree
            likely = weights(tree, symptom.frames, symptom.leg.name, parts.coverage) if len(one.commits) > 1 else ()
            again = [AGAIN if commit in self.guilty else 1.0 for commit in one.commits]
            weighed = tuple(weight * more for weight, more in zip(likely, again, strict=False))
            found.append(replace(one, weights=weighed))
        return tuple(sorted(found, key=lambda one: self.guilty.isdisjoint(one.commits)))

    def _time_left(self) -> bool:
        return time.monotonic() < self.deadline

    def ask(self, commits: Mapping[str, str]) -> bool | None:
        """Whether the symptom shows there; None: no such stack, or its machine was lost."""
        return self._ask(side_of(commits), lambda: self.parts.at(commits))

    def ask_without(self, component: str, commit: str) -> bool | None:
        """The same of head without one patch; of a mixed stack that is not asked."""
        if self.symptom.among:
            return None
        return self._ask(f"head-without-{commit[:12]}", lambda: self.parts.without(component, commit))

    def content(self, commits: Mapping[str, str]) -> str:
        """What the components that differ from base were built to; empty: not known."""
        context = self._context(side_of(commits), lambda: self.parts.at(commits))
        made = [context.build.artifacts.artifacts[one].content for one in sorted(commits)] if context else []
        return " ".join(made) if all(made) else ""

    def _context(self, name: str, build: Callable[[], Context | None]) -> Context | None:
        if name not in self.built:
            try:
                self.built[name] = build()
            except (SeriesAtFault, InfraError):
                self.built[name] = None
        return self.built[name]

    def _ask(self, name: str, build: Callable[[], Context | None]) -> bool | None:
        if (context := self._context(name, build)) is None:
            return None
        self.numbers[name] = number = self.numbers.get(name, 0) + 1
        return self._once(context, name, number)

    def _once(self, context: Context, name: str, number: int) -> bool | None:
        symptom = self.symptom
        tests = Tests(symptom.selection, checks=symptom.checks, rerun=f"{name} {number}")
        once = context.again(f"{name}.{number}", tests, symptom.machine)
        what = f"{symptom.leg.name} {symptom.name} on {name}"
        context.progress(Event("blame", what, "start", f"run {number}"))
        try:
            (result,) = run_legs([symptom.leg], (symptom.suite,), once)
            seen = symptom.seen(result)
        except InfraError:
            seen = None
        said = "no result" if seen is None else "shows it" if seen else "does not show it"
        context.progress(Event("blame", what, "done", said))
        return seen
