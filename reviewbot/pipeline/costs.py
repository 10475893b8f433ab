# SPDX-License-Identifier: GPL-2.0-or-later
"""The smoke suite on base, for what head costs a FUSE server more; and on stacks of which only some parts are patched.

Base's run is cached by its inputs: every posting on the same base shares it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from reviewbot.model.artifacts import Artifacts
from reviewbot.model.comparison import Cell, Comparison, FigureChange, Side
from reviewbot.model.errors import InfraError, SeriesAtFault
from reviewbot.model.results import LegResult, Outcome
from reviewbot.model.stack import LegSpec
from reviewbot.pipeline.reruns import same_artifacts
from reviewbot.runner import Bench, run_legs
from reviewbot.store import RunFolder
from reviewbot.verdict import figures

SMOKE = "smoke"
KERNEL = "kernel"


def with_costs(
    comparison: Comparison, legs: Sequence[LegSpec], results: Sequence[LegResult], head: Bench,
    base: Callable[[], Bench],
) -> Comparison:  # fmt: skip
    """The comparison with what head costs a server more, and with mixed stacks. Raises Stopping, OSError."""
    if not any(leg.server for leg in legs):
        return comparison
    try:
        costs = Costs(head, base())
    except (InfraError, SeriesAtFault) as error:
        return comparison.model_copy(update={"base_problem": str(error)})
    changes, cells = costs.changes(legs, results), costs.cells(legs, results)
    return comparison.model_copy(update={"figures": changes, "cells": cells})


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
            if not leg.server or not _has_smoke(result) or same_artifacts(leg, self.head, self.base):
                continue
            before = self.smoke(leg, self.base, Side.BASE)
            if first := figures.grown(before, result, SMOKE):
                was, now = (
                    self.smoke(leg, self.base, Side.BASE, "again"),
                    self.smoke(leg, self.head, Side.HEAD, "again"),
                )
                found += figures.confirmed(first, figures.grown(was, now, SMOKE))
        return tuple(found)

    def smoke(self, leg: LegSpec, bench: Bench, name: str, number: str = "") -> LegResult:
        """The suite in one leg. name: of the folder for its logs. number: makes another run of the same."""
        folder = RunFolder(bench.run.id, bench.run.path / "reruns" / ".".join(filter(None, (name, SMOKE, number))))
        once = replace(bench, run=folder, fresh=False, budget=None, notruns=None, rerun=number and f"{name} {number}")
        (result,) = run_legs([leg], (SMOKE,), once)
        return result

    def cells(self, legs: Sequence[LegSpec], results: Sequence[LegResult]) -> tuple[Cell, ...]:
        """New user space on the old kernel, and the other way round, in each FUSE leg where both changed.

        Nothing is built for it. Raises Stopping, OSError, InfraError.
        """
        specs = {leg.name: leg for leg in legs}
        cells = []
        for result in results:
            leg = specs[result.leg]
            user = tuple(need for need in leg.needs if need != KERNEL and self._differs(need))
            if not leg.server or not _has_smoke(result) or not user or not self._differs(KERNEL):
                continue
            for patched, kernel, rest in ((user, self.base, self.head), ((KERNEL,), self.head, self.base)):
                mixed = replace(self.head, artifacts=_mixed(kernel.artifacts, rest.artifacts))
                cells.append(self._cell(leg, patched, result, mixed))
        return tuple(cells)

    def _cell(self, leg: LegSpec, patched: tuple[str, ...], head: LegResult, mixed: Bench) -> Cell:
        """Twice, when it fails: a check counts that fails in both runs."""
        name = "+".join(patched)
        found = _cell(leg, patched, head, self.smoke(leg, mixed, name))
        if not found.outcome.broken:
            return found
        again = _cell(leg, patched, head, self.smoke(leg, mixed, name, "again"))
        failed = tuple(check for check in found.failed if check in again.failed)
        return found.model_copy(update={"failed": failed} if failed else {"failed": (), "outcome": Outcome.PASS})

    def _differs(self, component: str) -> bool:
        head, base = (bench.artifacts.artifacts.get(component) for bench in (self.head, self.base))
        return bool(head and base and head.key != base.key)


def _has_smoke(result: LegResult) -> bool:
    return result.available and any(test.suite == SMOKE for test in result.tests)


def _mixed(kernel: Artifacts, rest: Artifacts) -> Artifacts:
    return rest.model_copy(update={"artifacts": {**rest.artifacts, KERNEL: kernel.artifacts[KERNEL]}})


def _cell(leg: LegSpec, patched: tuple[str, ...], head: LegResult, mixed: LegResult) -> Cell:
    """Compared with head: what head fails, too, is told of head."""
    fine = {
        test.test for test in head.tests if test.suite == SMOKE and not (test.outcome.broken or test.outcome.unknown)
    }
    broken = [test for test in mixed.tests if test.outcome.broken and test.test in fine]
    lost = not mixed.available or any(test.outcome.unknown for test in mixed.tests)
    outcome = Outcome.FAIL if broken else Outcome.INFRA if lost else Outcome.PASS
    first = broken[0] if broken else None
    log = f"reruns/{'+'.join(patched)}.{SMOKE}/{first.log}" if first else ""
    reason = first.reason if first else mixed.reason
    failed = tuple(test.test for test in broken)
    return Cell(leg=leg.name, patched=patched, failed=failed, outcome=outcome, reason=reason, log=log)
