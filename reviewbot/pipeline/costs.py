# SPDX-License-Identifier: GPL-2.0-or-later
"""The smoke suite on base, for what head costs a FUSE server more, what the kernel says more, and which features a new
filesystem has no longer.

Base's run is cached by its inputs: every posting on the same base shares it.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reviewbot.model.comparison import Comparison, FigureChange, NewMessage, Side
from reviewbot.model.errors import InfraError, SeriesAtFault
from reviewbot.model.results import LegResult, Outcome
from reviewbot.model.stack import LegSpec
from reviewbot.pipeline.reruns import same_artifacts
from reviewbot.runner import Context, Tests, run_legs
from reviewbot.suites.suite import suite_named
from reviewbot.verdict import features, figures, messages

SMOKE, MKFS = "smoke", "mkfs"
KERNEL = "kernel"


def with_costs(
    comparison: Comparison,
    legs: Sequence[LegSpec],
    results: Sequence[LegResult],
    head: Context,
    base: Callable[[], Context],
) -> Comparison:
    """The comparison with what head costs a server more, what its kernel says more, and with which features its
    filesystems are made. Raises Stopping, OSError.
    """
    if not any(_concerned(leg, head) for leg in legs):
        return comparison
    try:
        costs = Costs(head, base())
    except (InfraError, SeriesAtFault) as error:
        return comparison.model_copy(update={"base_problem": str(error)})
    return costs.compared(comparison, legs, results)


@dataclass(frozen=True, slots=True)
class Costs:
    """Compares legs whose smoke ran on head."""

    head: Context
    base: Context

    def compared(self, comparison: Comparison, legs: Sequence[LegSpec], results: Sequence[LegResult]) -> Comparison:
        """With what two runs per side show. Raises Stopping, OSError, InfraError."""
        specs = {leg.name: leg for leg in legs}
        grown: list[FigureChange] = []
        said: list[NewMessage] = []
        lost: dict[str, str] = {}
        outcomes: dict[str, dict[str, Outcome]] = {}
        for result in results:
            leg = specs[result.leg]
            if not _concerned(leg, self.head) or not has_smoke(result) or same_artifacts(leg, self.head, self.base):
                continue
            kind = kind_of(result)
            whole = () if leg.server else checks_of([MKFS])
            before = smoke(leg, self.base, Side.BASE, checks=whole, kind=kind)
            if not any(test.outcome is Outcome.PASS for test in before.tests):
                first = next((test.reason for test in before.tests if test.reason), "no check passed")
                lost[leg.name] = before.reason or first
                continue
            outcomes[leg.name] = {test.test: test.outcome for test in before.tests}
            # What two kinds of hosts take is not compared.
            more = figures.leading(figures.grown(before, result, SMOKE)) if kind_of(before) == kind else ()
            new = messages.new_messages(before, result, SMOKE) if leg.server else ()
            made = features.changed(before, result, SMOKE)
            if more or new or made:
                checks = checks_of([*(one.test for one in (*more, *made)), *(one.test for one in new)])
                # Base as it is now, beside this head: how busy the host was when another posting asked does not count.
                beside = f"again beside {head_of(leg, self.head)}"
                was = smoke(leg, self.base, Side.BASE, "again", checks, beside, kind)
                now = smoke(leg, self.head, Side.HEAD, "again", checks, kind=kind)
                confirmed = figures.confirmed(more, was, now) if kind_of(was) == kind_of(now) else ()
                grown += [change.model_copy(update={"machine": kind}) for change in confirmed]
                grown += features.confirmed(made, features.changed(was, now, SMOKE))
                said += messages.confirmed(new, messages.new_messages(was, now, SMOKE))
        found = {"figures": tuple(grown), "messages": tuple(said), "lost": lost, "smoke_on_base": outcomes}
        return comparison.model_copy(update=found)


def _concerned(leg: LegSpec, head: Context) -> bool:
    """Whether anything of it is compared: of a leg without a server only what the programs of the stack make."""
    return bool(leg.server or head.build.patched.intersection(leg.needs) - {KERNEL})


def head_of(leg: LegSpec, head: Context) -> str:
    """What names this head in a leg."""
    built = head.build.artifacts.artifacts
    keys = "".join(built[need].key for need in leg.needs if need in built)
    return hashlib.sha256(keys.encode()).hexdigest()[:12]


def smoke(
    leg: LegSpec,
    context: Context,
    name: str,
    number: str = "",
    checks: tuple[str, ...] = (),
    rerun: str = "",
    kind: str = "",
) -> LegResult:
    """The suite in one leg. name: of the folder for its logs. number: makes another run of the same. checks: those that
    run; empty: all. rerun: which run it is, when the number does not say it. kind: of host that is to run it.
    """
    tests = Tests(context.tests.selection, checks=checks, rerun=number and f"{name} {rerun or number}")
    once = context.again(".".join(filter(None, (name, SMOKE, number))), tests, kind)
    (result,) = run_legs([leg], (SMOKE,), once)
    return result


def checks_of(tests: Sequence[str], suite: str = SMOKE) -> tuple[str, ...]:
    """What has to run to see again what these tests showed; empty: all, for one that the suite as a whole showed."""
    return suite_named(suite).alone(tests) if all(tests) else ()


def kind_of(result: LegResult, suite: str = SMOKE) -> str:
    """Kind of host that ran a suite; empty: this one."""
    return next((test.machine for test in result.tests if test.suite == suite), "")


def has_smoke(result: LegResult) -> bool:
    """Whether the suite ran in the leg."""
    return result.available and any(test.suite == SMOKE for test in result.tests)
