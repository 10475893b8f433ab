# SPDX-License-Identifier: GPL-2.0-or-later
"""The smoke suite on stacks of which only some changed components are patched.

Does new user space run on the old kernel, and old user space on the new one? In every run two stacks answer that, made
of artifacts that are there; all combinations are built when somebody asks for the whole table.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations

from reviewbot.host.cancel import carried
from reviewbot.model.artifacts import Artifacts
from reviewbot.model.comparison import Cell, Comparison, Prefix, Side
from reviewbot.model.errors import InfraError, SeriesAtFault
from reviewbot.model.posting import Posting
from reviewbot.model.progress import on_side
from reviewbot.model.results import LegResult, Outcome
from reviewbot.model.stack import LegSpec, Stack
from reviewbot.model.trees import Trees
from reviewbot.pipeline.blame import BuildAt, changed_of
from reviewbot.pipeline.costs import KERNEL, SMOKE, has_smoke, kind_of, smoke
from reviewbot.runner import Context
from reviewbot.suites.smoke import QUICK

MOST = 3
"""Components that are combined, so that there are at most eight stacks; more of them count as one with the last."""
_FINE = (Outcome.PASS, Outcome.KNOWN)


@dataclass(frozen=True, slots=True)
class Mixed:
    """Makes mixed stacks of a run whose smoke ran on head."""

    head: Context
    base: Context
    build_at: BuildAt
    trees: Trees
    stack: Stack

    def cells(self, legs: Sequence[LegSpec], results: Sequence[LegResult], *, full: bool) -> tuple[Cell, ...]:
        """Of each FUSE leg where kernel and user space changed; full: all combinations in each leg where two changed.

        Raises Stopping, OSError.
        """
        specs = {leg.name: leg for leg in legs}
        cells: list[Cell] = []
        for result in results:
            leg = specs[result.leg]
            if not leg.server or not has_smoke(result):
                continue
            stacks = self._all(leg) if full else self._two(leg)
            if stacks:
                before = smoke(leg, self.base, Side.BASE, kind=kind_of(result))
                checks = () if full else QUICK
                cell = carried(partial(self._cell, leg, head=result, base=before, wanted=checks))
                # The two are made of what is there, and take a machine each; the whole table has stacks to build.
                with ThreadPoolExecutor(1 if full else max(1, self.head.machines)) as pool:
                    cells += pool.map(cell, stacks, stacks.values())
        return tuple(cells)

    def _two(self, leg: LegSpec) -> dict[tuple[str, ...], Callable[[], Context]]:
        """Only user space patched, and only the kernel. Nothing is built for it."""
        user = tuple(need for need in leg.needs if need != KERNEL and self._differs(need))
        if not user or not self._differs(KERNEL):
            return {}
        return {
            user: lambda: self._with_kernel(self.base.build.artifacts, self.head.build.artifacts, user),
            (KERNEL,): lambda: self._with_kernel(self.head.build.artifacts, self.base.build.artifacts, (KERNEL,)),
        }

    def _all(self, leg: LegSpec) -> dict[tuple[str, ...], Callable[[], Context]]:
        """Every combination, base first and head last; empty when fewer than two components changed."""
        changed = changed_of(leg, self.trees, self.stack)
        heads = {one.component: one.commits[-1] for one in changed}
        names: list[tuple[str, ...]] = [(one.component,) for one in changed[: MOST - 1]]
        if len(changed) >= MOST:
            names.append(tuple(one.component for one in changed[MOST - 1 :]))
        if len(names) < 2:
            return {}
        stacks: dict[tuple[str, ...], Callable[[], Context]] = {}
        for size in range(len(names) + 1):
            for some in combinations(names, size):
                patched = tuple(component for group in some for component in group)
                commits = {component: heads[component] for component in patched}
                stacks[patched] = partial(self.build_at, commits)
        return stacks

    def _cell(
        self,
        leg: LegSpec,
        patched: tuple[str, ...],
        build: Callable[[], Context],
        *,
        head: LegResult,
        base: LegResult,
        wanted: tuple[str, ...],
    ) -> Cell:
        """Twice, when checks fail that pass on head and on base: one counts that fails in both runs."""
        name = "+".join(patched)
        if not patched:
            return _read(leg, patched, base, head, base, f"{Side.BASE}.{SMOKE}")
        if {one.component for one in changed_of(leg, self.trees, self.stack)} <= set(patched):
            return _read(leg, patched, head, head, base, "")
        try:
            context = build()
        except (InfraError, SeriesAtFault) as error:
            return Cell(leg=leg.name, patched=patched, outcome=Outcome.INFRA, reason=str(error), built=False)
        found = _read(leg, patched, smoke(leg, context, name, checks=wanted), head, base, f"{name}.{SMOKE}", wanted)
        if not found.only_here:
            return found
        repeated = smoke(leg, context, name, "again", wanted)
        again = _read(leg, patched, repeated, head, base, f"{name}.{SMOKE}.again", wanted)
        both = tuple(check for check in found.only_here if check in again.only_here)
        return found.model_copy(update={"only_here": both})

    def _with_kernel(self, kernel: Artifacts, rest: Artifacts, patched: tuple[str, ...]) -> Context:
        mixed = {**rest.artifacts, KERNEL: kernel.artifacts[KERNEL]}
        artifacts = rest.model_copy(update={"artifacts": mixed})
        build = self.head.build.model_copy(update={"artifacts": artifacts})
        return replace(self.head, build=build, progress=on_side(self.head.progress, f"{'+'.join(patched)} alone"))

    def _differs(self, component: str) -> bool:
        head, base = (context.build.artifacts.artifacts.get(component) for context in (self.head, self.base))
        return bool(head and base and head.key != base.key)

    def prefixes(self, legs: Sequence[LegSpec], posting: Posting, *, rfc: bool) -> tuple[Prefix, ...]:
        """What builds and passes smoke when only the parts up to one of them are applied. Raises Stopping, OSError."""
        commits: dict[str, str] = {}
        found: list[Prefix] = []
        for number, part in enumerate((part for part in posting.parts if rfc or not part.rfc), 1):
            tree = self.trees.get(part.component)
            own = {patch.message_id for patch in part.patches}
            applied = [p.commit for p in tree.patches if p.message_id in own and not p.merged] if tree else []
            if part.pull and tree:
                applied = [p.commit for p in tree.patches if not (p.merged or p.prerequisite or p.message_id)]
            if applied:
                commits[part.component] = applied[-1]
            name = f"{part.component} part {part.counter}"
            found.append(self._prefix(number, name, dict(commits), legs))
        return tuple(found)

    def _prefix(self, number: int, name: str, commits: Mapping[str, str], legs: Sequence[LegSpec]) -> Prefix:
        try:
            context = self.build_at(commits)
        except (InfraError, SeriesAtFault) as error:
            return Prefix(parts=number, part=name, commits=dict(commits), problem=str(error))
        cells = []
        for leg in legs:
            result = smoke(leg, context, f"parts-1-{number}")
            cells.append(_read(leg, tuple(commits), result, result, result, f"parts-1-{number}.{SMOKE}"))
        return Prefix(parts=number, part=name, commits=dict(commits), legs=tuple(cells))


def with_mixed(
    comparison: Comparison,
    legs: Sequence[LegSpec],
    results: Sequence[LegResult],
    mixed: Callable[[], Mixed],
    *,
    full: bool,
) -> Comparison:
    """The comparison with mixed stacks. Raises Stopping, OSError."""
    if not any(leg.server for leg in legs):
        return comparison
    try:
        cells = mixed().cells(legs, results, full=full)
    except (InfraError, SeriesAtFault) as error:
        return comparison.model_copy(update={"base_problem": str(error)})
    return comparison.model_copy(update={"cells": cells})


def _read(
    leg: LegSpec,
    patched: tuple[str, ...],
    here: LegResult,
    head: LegResult,
    base: LegResult,
    folder: str,
    wanted: tuple[str, ...] = (),
) -> Cell:
    """What fails here, and which of it passes on head and on base.

    folder: of the logs, below reruns/. wanted: the checks that ran; empty: all.
    """
    checks = [test for test in here.tests if test.suite == SMOKE and (not wanted or test.test in wanted)]
    failed = [test for test in checks if test.outcome.broken]
    fine = _fine(head) & _fine(base)
    lost = not here.available or not checks or any(test.outcome.unknown for test in checks)
    first = next((test for test in failed if test.test in fine), failed[0] if failed else None)
    return Cell(
        leg=leg.name,
        patched=patched,
        passed=sum(test.outcome is Outcome.PASS for test in checks),
        failed=tuple(test.test for test in failed),
        only_here=tuple(test.test for test in failed if test.test in fine),
        outcome=Outcome.FAIL if failed else Outcome.INFRA if lost else Outcome.PASS,
        reason=first.reason if first else here.reason,
        log=f"reruns/{folder}/{first.log}" if first and first.log and folder else first.log if first else "",
    )


def _fine(leg: LegResult) -> frozenset[str]:
    return frozenset(test.test for test in leg.tests if test.suite == SMOKE and test.outcome in _FINE)
