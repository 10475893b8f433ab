# SPDX-License-Identifier: GPL-2.0-or-later
"""What head costs a FUSE server more than base: requests, memory, CPU time, unmount time. Pure.

A defect may pass every test and still show here: a leak, an optimisation that was lost, a feature that is silently off.
"""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import Field

from reviewbot.config import load_yaml
from reviewbot.model.base import Model
from reviewbot.model.comparison import FigureChange
from reviewbot.model.results import LegResult, Outcome, TestResult


class Limit(Model):
    """How much more one figure may be."""

    figure: str
    ratio: float = Field(gt=1.0)
    least: float = Field(gt=0.0)
    """In the figure's unit."""
    least_in: Mapping[str, float] = {}
    """Of single tests whose figure varies less."""
    unit: str
    not_in: tuple[str, ...] = ()
    """Tests that are left out."""
    why: str


class Limits(Model):
    """`figures.yaml`."""

    limits: tuple[Limit, ...]

    def of(self, figure: str) -> Limit:
        """The limit of `requests LOOKUP` is that of `requests`."""
        return next(limit for limit in self.limits if limit.figure == figure.split(" ")[0])


@functools.cache
def load_limits(path: Path | None = None) -> Limits:
    """Raises ConfigError."""
    return load_yaml(path or Path(__file__).with_name("figures.yaml"), Limits)


def figures(tests: Sequence[TestResult]) -> dict[str, float]:
    """`requests LOOKUP`, `memory`, `cpu`, `unmount`, `leak create`, `steady-leak create`, `kernel-leak create`,
    `kernel-objects create`, `time create` -> over all of these tests; what was not measured is left out.
    """
    found: dict[str, float] = {}
    for server in (test.server for test in tests if test.server):
        for name, number in (server.requests or {}).items():
            found[f"requests {name}"] = found.get(f"requests {name}", 0.0) + number
        found["memory"] = max(found.get("memory", 0.0), float(server.pss_kib or 0))
        found["cpu"] = found.get("cpu", 0.0) + (server.cpu_seconds or 0.0)
        found["unmount"] = max(found.get("unmount", 0.0), server.umount_seconds_max or 0.0)
    for kind, cost in (pair for test in tests for pair in test.costs.items()):
        known = {
            "leak": cost.server_kib,
            "steady-leak": cost.server_steady_kib,
            "kernel-leak": cost.kernel_kib,
            "kernel-objects": cost.kernel_objects,
            "time": cost.times,
        }
        found |= {f"{name} {kind}": float(value) for name, value in known.items() if value is not None}
    return found


def grown(base: LegResult, head: LegResult, suite: str, limits: Limits | None = None) -> tuple[FigureChange, ...]:
    """Figures of a suite that grew beyond their limits, over the tests that passed on both sides.

    Where a figure grows as much in one test alone, that test is named, and its figures are given: it takes no other to
    see it again. Requests that did not grow so much in all may do so in one test.
    """
    limits = limits or load_limits()
    before, after = (_passed(leg, suite, limits) for leg in (base, head))
    both = [name for name in after if name in before]
    whole = _changes([before[name] for name in both], [after[name] for name in both], limits)
    single: dict[str, FigureChange] = {}
    for name in both:
        for change in _changes([before[name]], [after[name]], limits, name):
            known = single.get(change.figure)
            if known is None or _growth(change) > _growth(known):
                single[change.figure] = change.model_copy(update={"test": name})
    changes = {change.figure: change for change in whole}
    changes |= {name: one for name, one in single.items() if name in changes or name.startswith("requests ")}
    return tuple(change.model_copy(update={"leg": head.leg, "suite": suite}) for change in changes.values())


def measured(leg: LegResult, suite: str, test: str = "") -> dict[str, float]:
    """The figures of a suite, or of one test of it, as `grown` counts them."""
    passed = _passed(leg, suite, load_limits())
    return figures([one for name, one in passed.items() if test in ("", name)])


def _changes(
    base: Sequence[TestResult], head: Sequence[TestResult], limits: Limits, test: str = ""
) -> list[FigureChange]:
    before, after = figures(base), figures(head)
    changes = []
    for name in sorted(after):
        limit, was, now = limits.of(name), before.get(name, 0.0), after[name]
        if now - was >= limit.least_in.get(test, limit.least) and now >= was * limit.ratio:
            changes.append(FigureChange(leg="", suite="", figure=name, unit=limit.unit, base=(was,), head=(now,)))
    return changes


def _growth(change: FigureChange) -> float:
    return change.head[0] - change.base[0]


_SHOWN_BY = {
    "leak": ("steady-leak", "memory"),
    "steady-leak": ("memory",),
    "kernel-leak": ("kernel-objects",),
    "time": ("cpu",),
}


def leading(changes: Sequence[FigureChange]) -> tuple[FigureChange, ...]:
    """Of each kind of figure the one that grew most, with the names of the others.

    What another figure shows better is left out, as memory of a whole suite where a kind of operation shows the same.
    """
    kinds: dict[str, list[FigureChange]] = {}
    for change in changes:
        kinds.setdefault(change.figure.partition(" ")[0], []).append(change)
    for figure, same in _SHOWN_BY.items():
        if figure in kinds:
            for other in same:
                kinds.pop(other, None)
    found = []
    for group in kinds.values():
        most = max(group, key=_growth)
        also = tuple(change.figure for change in group if change is not most)
        found.append(most.model_copy(update={"also": also}))
    return tuple(found)


def confirmed(
    first: Sequence[FigureChange], base: LegResult, head: LegResult, limits: Limits | None = None
) -> tuple[FigureChange, ...]:
    """Those that a second run per side shows, too, with the figures of both runs; so for those named beside them."""
    limits = limits or load_limits()
    found = []
    for change in first:
        before, after = (_passed(leg, change.suite, limits) for leg in (base, head))
        both = [name for name in after if name in before and change.test in ("", name)]
        again = _changes([before[name] for name in both], [after[name] for name in both], limits, change.test)
        more = {one.figure: one for one in again}
        if one := more.get(change.figure):
            shown = {another.figure for another in grown(base, head, change.suite, limits)}
            also = tuple(figure for figure in change.also if figure in shown)
            both_runs = {"base": change.base + one.base, "head": change.head + one.head, "also": also}
            found.append(change.model_copy(update=both_runs))
    return tuple(found)


def _passed(leg: LegResult, suite: str, limits: Limits) -> Mapping[str, TestResult]:
    """Without requests where they say nothing."""
    silent = limits.of("requests").not_in
    found = {test.test: test for test in leg.tests if test.suite == suite and test.outcome is Outcome.PASS}
    for name, test in found.items():
        if test.server and name in silent:
            server = test.server.model_copy(update={"requests": None})
            found[name] = test.model_copy(update={"server": server})
    return found
