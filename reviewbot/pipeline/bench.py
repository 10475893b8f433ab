# SPDX-License-Identifier: GPL-2.0-or-later
"""The bench suite on base, for what became slower on head.

Base's first run is cached by its inputs: every posting on the same base shares it. A row that seems slower is measured
again on both sides, one after the other, in machines of their own.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from reviewbot.model.bench import BenchChange
from reviewbot.model.comparison import Comparison, FigureChange, Side
from reviewbot.model.errors import InfraError, SeriesAtFault
from reviewbot.model.results import LegResult
from reviewbot.model.stack import LegSpec
from reviewbot.pipeline.costs import head_of, kind_of
from reviewbot.pipeline.request import BENCH
from reviewbot.pipeline.reruns import same_artifacts
from reviewbot.report import Record
from reviewbot.runner import Context, Tests, run_legs
from reviewbot.verdict import bench


def with_bench(
    comparison: Comparison,
    legs: Sequence[LegSpec],
    results: Sequence[LegResult],
    head: Context,
    base: Callable[[], Context],
) -> Comparison:
    """The comparison with what is slower on head. Raises Stopping, OSError."""
    specs = {leg.name: leg for leg in legs}
    measured = [(specs[leg.leg], leg) for leg in results if any(test.bench for test in leg.tests)]
    if not measured:
        return comparison
    try:
        before = base()
        fresh = [(leg, result) for leg, result in measured if not same_artifacts(leg, head, before)]
        found = [found for kind in _kinds(fresh) for found in _on(kind, fresh, head, before)]
    except (InfraError, SeriesAtFault) as error:
        return comparison.model_copy(update={"base_problem": str(error)})
    slow = tuple(change for _, change in found if change)
    rows = tuple(row for rows, _ in found for row in rows)
    return comparison.model_copy(update={"figures": (*comparison.figures, *slow), "bench": rows})


Measured = tuple[LegSpec, LegResult]
Found = tuple[tuple[BenchChange, ...], FigureChange | None]
"""Of a leg: all rows of the first pair of machines, and what all pairs show."""


def _kinds(measured: Sequence[Measured]) -> list[str]:
    """Of hosts that ran the suite on head."""
    return list(dict.fromkeys(kind_of(result, BENCH) for _, result in measured))


def _on(kind: str, measured: Sequence[Measured], head: Context, base: Context) -> list[Found]:
    """Legs that one kind of host measured; what another kind measures is not compared with it."""
    mine = [(leg, result) for leg, result in measured if kind_of(result, BENCH) == kind]
    was = run_legs([leg for leg, _ in mine], (BENCH,), _again(base, Side.BASE, head.tests, kind))
    both = [(*pair, one) for pair, one in zip(mine, was, strict=True) if kind_of(one, BENCH) == kind]
    return [_compared(leg, one, result, head, base) for leg, result, one in both]


def compare_runs(one: Record, other: Record) -> tuple[BenchChange, ...]:
    """Rows of all legs that both runs measured, the second run against the first."""
    was, now = ({leg.leg: leg for leg in run.results.legs} if run.results else {} for run in (one, other))
    return tuple(change for leg in now if leg in was for change in bench.compare(was[leg], now[leg]))


def _compared(leg: LegSpec, was: LegResult, now: LegResult, head: Context, base: Context) -> Found:
    kind, rows = kind_of(now, BENCH), bench.compare(was, now)
    slow, pairs = bench.slower(rows), [(was, now)]
    for number in range(2, bench.load_limits().pairs + 1):
        if not slow:
            break
        checks = tuple(sorted({one.test for one in slow}))
        beside = f"{number} beside {head_of(leg, head)}"
        again = [
            run_legs([leg], (BENCH,), _again(context, side, head.tests, kind, checks, beside))[0]
            for side, context in ((Side.BASE, base), (Side.HEAD, head))
        ]
        pairs.append((again[0], again[1]))
        shown = {one.row for one in bench.slower(bench.compare(*pairs[-1]))}
        slow = tuple(one for one in slow if one.row in shown)
    change = bench.finding(slow, pairs)
    return rows, change.model_copy(update={"machine": kind}) if change else None


def _again(
    context: Context, side: Side, tests: Tests, kind: str, checks: tuple[str, ...] = (), rerun: str = ""
) -> Context:
    """checks: measurements that run; empty: those of head's run. rerun: which run it is; empty: the first."""
    wanted = replace(tests, checks=checks, rerun=rerun and f"{side} {rerun}", fresh=False)
    return context.again(".".join(filter(None, (side, BENCH, rerun.split(" ")[0]))), wanted, kind)
