# SPDX-License-Identifier: GPL-2.0-or-later
"""Outcomes of tests as the history keeps them, and what it tells of a test. Must not know: why a test is run."""

import platform
from collections.abc import Iterator, Sequence
from dataclasses import replace

from reviewbot.model.comparison import Counts, Earlier, Rerun, Side
from reviewbot.model.results import LegResult, Outcome, TestResult
from reviewbot.model.shard import measured_as
from reviewbot.model.stack import LegSpec
from reviewbot.runner import Context, inputs_of
from reviewbot.store.history import Entry, History
from reviewbot.suites.suite import Suite, suite_named

SETUP = "setup"
"""Name of the test that a crash, or a proof that is not given, in the setup of a leg makes."""
STRIP = 10
"""Outcomes of other runs that are shown beside a failure."""


def rerun_in(suite: str, test: str) -> Suite:
    """What is run to see a test again: a kernel that crashed in the setup of its leg does so in that of smoke."""
    return suite_named("smoke" if test == SETUP else suite)


def outcome_of(result: LegResult, test: str) -> Outcome:
    """MISS without a result; a setup that went well has none of its own, but the tests after it have."""
    found = next((one.outcome for one in result.tests if one.test == test), Outcome.MISS)
    if test == SETUP and found is Outcome.MISS and any(not one.outcome.unknown for one in result.tests):
        return Outcome.PASS
    return found


def others_of(leg: LegSpec, test: TestResult, head: Context, history: History) -> tuple[Entry, ...]:
    """Of the same test in the same leg and variant, in other runs, oldest first."""
    return history.others(measured_as(leg.name, head.build.variant.name), test.suite, test.test, head.run.id)


def strip(entries: Sequence[Entry]) -> tuple[Earlier, ...]:
    """The last of them."""
    return tuple(Earlier(run=one.run, side=Side(one.side), outcome=Outcome(one.outcome)) for one in entries[-STRIP:])


def remember(legs: Sequence[LegSpec], results: Sequence[LegResult], head: Context, history: History) -> None:
    """Keep the outcomes of head; those that were taken from an earlier run are there already."""
    specs = {leg.name: leg for leg in legs}
    for leg in results:
        if leg.available and not leg.reused:
            tests = [test for test in leg.tests if not test.learned]
            history.add(entries_of(specs[leg.leg], tests, Side.HEAD, 0, head))


def flakes(entries: Sequence[Entry]) -> Counts:
    """Of base, over all its inputs, if a test passed and failed with the same ones; else no runs.

    Inputs with which it failed each time, in two runs or more, are left out: that is a defect of that base.
    """
    groups: dict[str, list[bool]] = {}
    for entry in entries:
        if entry.side == Side.BASE and (Outcome(entry.outcome).broken or entry.outcome == Outcome.PASS):
            groups.setdefault(entry.inputs, []).append(Outcome(entry.outcome).broken)
    if not any(any(group) and not all(group) for group in groups.values()):
        return Counts()
    ran = [failed for group in groups.values() if len(group) == 1 or not all(group) for failed in group]
    return Counts(failed=sum(ran), runs=len(ran))


def recalled(side: Side, number: int, entry: Entry) -> Rerun:
    """An outcome that the history has."""
    return Rerun(
        side=side, number=number, outcome=Outcome(entry.outcome), reason=entry.reason, fingerprint=entry.fingerprint
    )


def entries_of(leg: LegSpec, tests: Sequence[TestResult], side: Side, number: int, context: Context) -> Iterator[Entry]:
    """Outcomes as the history keeps them."""
    for test, inputs in zip(tests, inputs_in(leg, tests, context), strict=True):
        yield _entry(leg, test, side, number, context, inputs)


def _entry(leg: LegSpec, test: TestResult, side: Side, number: int, context: Context, inputs: str) -> Entry:
    return Entry(
        run=context.run.id,
        host=platform.node(),
        accelerator=context.accelerator.name,
        side=side,
        number=number,
        leg=measured_as(leg.name, context.build.variant.name),
        suite=test.suite,
        test=test.test,
        inputs=inputs,
        outcome=test.outcome,
        reason=test.reason,
        fingerprint=test.fingerprint,
        seconds=test.seconds,
        stack=_stack(leg, context),
    )


def _stack(leg: LegSpec, context: Context) -> str:
    """Trees of what the leg is made of."""
    built = context.build.artifacts.artifacts
    trees = {need: built[need].inputs.get("tree", "") for need in leg.needs if need in built}
    return ", ".join(f"{need} {tree[:12]}" for need, tree in trees.items() if tree)


def inputs_in(leg: LegSpec, tests: Sequence[TestResult], context: Context) -> list[str]:
    """Digest of what the outcome of each of these tests depends on; empty for a setup."""
    groups: dict[tuple[str, str], list[str]] = {}
    for test in tests:
        groups.setdefault((test.suite, test.machine), []).append(test.test)
    found = {}
    for (suite, machine), names in groups.items():
        wanted = replace(context, kind=machine or context.kind)
        names = [name for name in names if name != SETUP]
        found[suite, machine] = {**inputs_of(leg, suite_named(suite).name, names, wanted), SETUP: ""}
    return [found[test.suite, test.machine][test.test] for test in tests]
