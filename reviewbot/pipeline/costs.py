# SPDX-License-Identifier: GPL-2.0-or-later
"""The smoke suite on base, for what head costs a FUSE server more.

Base's run is cached by its inputs: every posting on the same base shares it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from reviewbot.model.comparison import Comparison, FigureChange, Side
from reviewbot.model.errors import InfraError, SeriesAtFault
from reviewbot.model.results import LegResult
from reviewbot.model.stack import LegSpec
from reviewbot.pipeline.reruns import same_artifacts
from reviewbot.runner import Bench, run_legs
from reviewbot.store import RunFolder
from reviewbot.suites.smoke import alone
from reviewbot.verdict import figures

SMOKE = "smoke"


def with_costs(
    comparison: Comparison, legs: Sequence[LegSpec], results: Sequence[LegResult], head: Bench,
    base: Callable[[], Bench],
) -> Comparison:  # fmt: skip
    """The comparison with what head costs a server more. Raises Stopping, OSError."""
    if not any(leg.server for leg in legs):
        return comparison
    try:
        costs = Costs(head, base())
    except (InfraError, SeriesAtFault) as error:
        return comparison.model_copy(update={"base_problem": str(error)})
    return comparison.model_copy(update={"figures": costs.changes(legs, results)})


@dataclass(frozen=True, slots=True)
class Costs:
    """Compares legs whose smoke ran on head."""

    head: Bench
    base: Bench

    def changes(self, legs: Sequence[LegSpec], results: Sequence[LegResult]) -> tuple[FigureChange, ...]:
        """Figures that grew beyond their limits, in two runs per side. Raises Stopping, OSError, InfraError."""
        specs = {leg.name: leg for leg in legs}
        found: list[FigureChange] = []
        for result in results:
            leg = specs[result.leg]
            if not leg.server or not has_smoke(result) or same_artifacts(leg, self.head, self.base):
                continue
            before = smoke(leg, self.base, Side.BASE)
            if first := figures.leading(figures.grown(before, result, SMOKE)):
                checks = checks_of(first)
                was = smoke(leg, self.base, Side.BASE, "again", checks)
                now = smoke(leg, self.head, Side.HEAD, "again", checks)
                found += figures.confirmed(first, figures.grown(was, now, SMOKE))
        return tuple(found)


def smoke(leg: LegSpec, bench: Bench, name: str, number: str = "", checks: tuple[str, ...] = ()) -> LegResult:
    """The suite in one leg. name: of the folder for its logs. number: makes another run of the same. checks: those that
    run; empty: all.
    """
    folder = RunFolder(bench.run.id, bench.run.path / "reruns" / ".".join(filter(None, (name, SMOKE, number))))
    rerun = number and f"{name} {number}"
    once = replace(bench, run=folder, fresh=False, budget=None, notruns=None, rerun=rerun, checks=checks)
    (result,) = run_legs([leg], (SMOKE,), once)
    return result


def checks_of(changes: Sequence[FigureChange]) -> tuple[str, ...]:
    """The checks of smoke that show these; empty: it takes all of them."""
    tests = [change.test for change in changes]
    return alone(tests) if all(tests) else ()


def has_smoke(result: LegResult) -> bool:
    """Whether the suite ran in the leg."""
    return result.available and any(test.suite == SMOKE for test in result.tests)
