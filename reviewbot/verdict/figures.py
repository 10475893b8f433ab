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
    """`requests LOOKUP`, `memory`, `cpu`, `unmount`, `leak create`, `kernel-leak create`, `time create` -> over all of
    these tests; what was not measured is left out.
    """
    found: dict[str, float] = {}
    for server in (test.server for test in tests if test.server):
        for name, number in (server.requests or {}).items():
            found[f"requests {name}"] = found.get(f"requests {name}", 0.0) + number
        found["memory"] = max(found.get("memory", 0.0), float(server.pss_kib or 0))
        found["cpu"] = found.get("cpu", 0.0) + (server.cpu_seconds or 0.0)
        found["unmount"] = max(found.get("unmount", 0.0), server.umount_seconds_max or 0.0)
    for kind, cost in (pair for test in tests for pair in test.costs.items()):
        known = {"leak": cost.server_kib, "kernel-leak": cost.kernel_kib, "time": cost.times}
        found |= {f"{name} {kind}": float(value) for name, value in known.items() if value is not None}
    return found


def grown(base: LegResult, head: LegResult, suite: str, limits: Limits | None = None) -> tuple[FigureChange, ...]:
    """Figures of a suite that grew beyond their limits, over the tests that passed on both sides.

    Requests that did not grow so much in all may do so in one test: then that test is named.
    """
    limits = limits or load_limits()
    before, after = (
        {name: _counted(test, limits) for name, test in _passed(leg, suite).items()} for leg in (base, head)
    )
    both = [name for name in after if name in before]
    changes = _changes([before[name] for name in both], [after[name] for name in both], limits)
    changes = [change.model_copy(update={"test": _measured_in(change, after)}) for change in changes]
    for name in both:
        known = {change.figure for change in changes}
        more = _changes([before[name]], [after[name]], limits)
        changes += [
            change.model_copy(update={"test": name})
            for change in more
            if change.figure.startswith("requests ") and change.figure not in known
        ]
    return tuple(change.model_copy(update={"leg": head.leg, "suite": suite}) for change in changes)


def _counted(test: TestResult, limits: Limits) -> TestResult:
    """Without requests where they say nothing."""
    if not test.server or test.test not in limits.of("requests").not_in:
        return test
    return test.model_copy(update={"server": test.server.model_copy(update={"requests": None})})


def _changes(base: Sequence[TestResult], head: Sequence[TestResult], limits: Limits) -> list[FigureChange]:
    before, after = figures(base), figures(head)
    changes = []
    for name in sorted(after):
        limit, was, now = limits.of(name), before.get(name, 0.0), after[name]
        if now - was >= limit.least and now >= was * limit.ratio:
            changes.append(FigureChange(leg="", suite="", figure=name, unit=limit.unit, base=(was,), head=(now,)))
    return changes


def _measured_in(change: FigureChange, after: Mapping[str, TestResult]) -> str:
    """The test that counts one kind of operation; empty for what is counted over all."""
    kind = change.figure.partition(" ")[2]
    return next((name for name, test in after.items() if kind in test.costs), "")


def leading(changes: Sequence[FigureChange]) -> tuple[FigureChange, ...]:
    """Of each kind of figure the one that grew most, with the names of the others.

    Memory and CPU time of a whole suite are left out where a kind of operation shows the same.
    """
    kinds: dict[str, list[FigureChange]] = {}
    for change in changes:
        kinds.setdefault(change.figure.partition(" ")[0], []).append(change)
    if "leak" in kinds:
        kinds.pop("memory", None)
    if "time" in kinds:
        kinds.pop("cpu", None)
    found = []
    for group in kinds.values():
        most = max(group, key=lambda change: change.head[0] - change.base[0])
        also = tuple(change.figure for change in group if change is not most)
        found.append(most.model_copy(update={"also": also}))
    return tuple(found)


def confirmed(first: Sequence[FigureChange], again: Sequence[FigureChange]) -> tuple[FigureChange, ...]:
    """Those that a second run per side shows, too, with the figures of both runs; so for those named beside them."""
    shown = {(change.leg, change.figure) for change in again}
    known = {(change.leg, change.suite, change.test, change.figure): change for change in again}
    return tuple(
        change.model_copy(
            update={
                "base": change.base + more.base,
                "head": change.head + more.head,
                "also": tuple(figure for figure in change.also if (change.leg, figure) in shown),
            }
        )
        for change in first
        if (more := known.get((change.leg, change.suite, change.test, change.figure)))
    )


def _passed(leg: LegResult, suite: str) -> Mapping[str, TestResult]:
    return {test.test: test for test in leg.tests if test.suite == suite and test.outcome is Outcome.PASS}
