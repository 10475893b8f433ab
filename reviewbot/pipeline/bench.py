# SPDX-License-Identifier: GPL-2.0-or-later
"""The bench suite on base, for what became slower on head.

Base's first run is cached by its inputs: every posting on the same base shares it. A row that seems slower is measured
again on both sides, one after the other, in machines of their own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from reviewbot.model.bench import BenchChange
from reviewbot.model.comparison import Comparison, FigureChange, Side
from reviewbot.model.errors import InfraError, SeriesAtFault
from reviewbot.model.results import LegResult
from reviewbot.model.stack import LegSpec
from reviewbot.model.words import counted
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
    """The comparison with what is slower on head. Raises Stopping, OSError, InfraError."""
    specs = {leg.name: leg for leg in legs}
    measured = [(specs[leg.leg], leg) for leg in results if any(test.bench for test in leg.tests)]
    if not measured:
        return comparison
    try:
        before = base()
    except (InfraError, SeriesAtFault) as error:
        return comparison.model_copy(update={"base_problem": str(error)})
    fresh = [(leg, result) for leg, result in measured if not same_artifacts(leg, head, before)]
    kinds = dict.fromkeys(kind_of(result, BENCH) for _, result in fresh)  # of the hosts that measured head
    found = [one for kind in kinds for one in _on(kind, fresh, head, before)]
    return comparison.model_copy(
        update={
            "figures": (*comparison.figures, *(one.slow for one in found if one.slow)),
            "bench": tuple(row for one in found for row in one.rows),
            "unmeasured": {one.leg: one.problem for one in found if one.problem},
        }
    )


Measured = tuple[LegSpec, LegResult]
_SPARE = 2
"""Pairs of machines that may be lost before a row that seems slower is left alone."""


@dataclass(frozen=True, slots=True)
class _Found:
    """Of a leg."""

    leg: str
    rows: tuple[BenchChange, ...] = ()
    """All of the first pair of machines."""
    slow: FigureChange | None = None
    """What all pairs show."""
    problem: str = ""
    """Why rows of head were not compared."""


def _on(kind: str, measured: Sequence[Measured], head: Context, base: Context) -> list[_Found]:
    """Legs that one kind of host measured; what another kind measures is not compared with it."""
    mine = [(leg, result) for leg, result in measured if kind_of(result, BENCH) == kind]
    was = run_legs([leg for leg, _ in mine], (BENCH,), _again(base, Side.BASE, head.tests, kind))
    return [_compared(leg, one, result, head, base) for (leg, result), one in zip(mine, was, strict=True)]


def compare_runs(one: Record, other: Record) -> tuple[BenchChange, ...]:
    """Rows of all legs that both runs measured on one kind of machine, the second run against the first."""
    was, now = (
        {(leg.leg, leg.accelerator, kind_of(leg, BENCH)): leg for leg in run.results.legs} if run.results else {}
        for run in (one, other)
    )
    return tuple(change for leg in now if leg in was for change in bench.compare(was[leg], now[leg]))


def _compared(leg: LegSpec, was: LegResult, now: LegResult, head: Context, base: Context) -> _Found:
    kind, wanted = kind_of(now, BENCH), bench.load_limits().pairs
    rows = bench.compare(was, now) if kind_of(was, BENCH) == kind else ()
    problem = _without(was, list(bench.rows_of(now.tests)), kind)
    slow, pairs = bench.slower(rows), [(was, now)]
    for number in range(2, wanted + 1 + _SPARE):
        if not slow or len(pairs) == wanted:
            break
        checks = tuple(sorted({one.test for one in slow}))
        beside = f"{number} beside {head_of(leg, head)}"
        pair = [
            run_legs([leg], (BENCH,), _again(context, side, head.tests, kind, checks, beside))[0]
            for side, context in ((Side.BASE, base), (Side.HEAD, head))
        ]
        rerun = [(one.test, one.row) for one in slow]
        if lost := _without(pair[0], rerun, kind) or _without(pair[1], rerun, kind):
            continue  # a machine that was lost shows nothing
        pairs.append((pair[0], pair[1]))
        shown = {one.row for one in bench.slower(bench.compare(*pairs[-1]))}
        slow = tuple(one for one in slow if one.row in shown)
    if slow and len(pairs) < wanted:
        return _Found(leg.name, rows, problem=f"apparent slowdowns could not be measured again: {lost}")
    change = bench.finding(slow, pairs)
    return _Found(leg.name, rows, change.model_copy(update={"machine": kind}) if change else None, problem)


def _without(result: LegResult, rows: Sequence[tuple[str, str]], kind: str) -> str:
    """`no figures of create-1 and 3 more rows: the machines were lost`; empty: all are there, of this kind of host."""
    gone = [row for row in rows if row not in bench.rows_of(result.tests)]
    if not gone:
        return "" if kind_of(result, BENCH) == kind else f"its host was not of kind {kind}"
    (test, row), *others = gone
    why = next((one.reason for one in result.tests if one.test == test and one.reason), result.reason)
    more = f" and {counted(len(others), 'more row')}" if others else ""
    return f"no figures of {row}{more}{f': {why}' if why else ''}"


def _again(
    context: Context, side: Side, tests: Tests, kind: str, checks: tuple[str, ...] = (), rerun: str = ""
) -> Context:
    """checks: measurements that run; empty: those of head's run. rerun: which run it is; empty: the first."""
    wanted = replace(tests, checks=checks, rerun=rerun and f"{side} {rerun}", fresh=False)
    return context.again(".".join(filter(None, (side, BENCH, rerun.split(" ")[0]))), wanted, kind)
