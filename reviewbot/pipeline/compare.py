# SPDX-License-Identifier: GPL-2.0-or-later
"""A tested run in, its comparison with base out: here, or where its shards are merged.

Builds the run's components at other commits when a rerun needs them.
"""

import errno
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reviewbot import intake, lab, trees
from reviewbot.config import use_boxes
from reviewbot.host.paths import cache_dir, data_dir
from reviewbot.host.process import CommandFailed
from reviewbot.model.build import side_of
from reviewbot.model.comparison import Comparison
from reviewbot.model.coverage import Coverage
from reviewbot.model.errors import InfraError, SeriesAtFault
from reviewbot.model.lock import Lock
from reviewbot.model.progress import Event, Progress, on_side
from reviewbot.model.results import LegResult
from reviewbot.model.stack import LegSpec
from reviewbot.model.trees import Trees
from reviewbot.pipeline.announced import with_announced
from reviewbot.pipeline.bench import with_bench
from reviewbot.pipeline.blame import Parts, blame
from reviewbot.pipeline.costs import with_costs
from reviewbot.pipeline.mixed import Mixed, with_mixed
from reviewbot.pipeline.outcomes import remember
from reviewbot.pipeline.reruns import compare, to_compare, uncompared
from reviewbot.pipeline.run import Run
from reviewbot.runner import Context, Tests, durations_for
from reviewbot.store.history import History, HistoryBroken
from reviewbot.suites.quarantine import load_quarantine
from reviewbot.suites.suite import suite_named


@dataclass(frozen=True, slots=True)
class Head:
    """The stack that was tested, and the run that makes others of it."""

    run: Run
    context: Context

    def at(self, commits: Mapping[str, str]) -> Context:
        """The named components at these commits, the others at base. Raises SeriesAtFault, InfraError."""
        return self._at(trees.above_base(self.context.build.trees, commits), side_of(commits))

    def without(self, component: str, commit: str) -> Context | None:
        """All of head but one patch; None when it cannot be taken out. Raises SeriesAtFault, InfraError."""
        moved = trees.without(self.context.build.trees, component, commit)
        return self._at(moved, f"head-without-{commit[:12]}") if moved else None

    def _at(self, moved: Trees, side: str) -> Context:
        made = self.run.build(moved, side)
        durations = durations_for(self.context.durations, made.artifacts, made.patched)
        progress = on_side(self.context.progress, side)
        return replace(self.context, build=made, durations=durations, progress=progress)


def compared(
    head: Head,
    results: Sequence[LegResult],
    known: Comparison | None = None,
    coverage: Coverage | None = None,
    mails: Path | None = None,
) -> Comparison:
    """What did not pass, run again on head and on the unpatched stack; what that costs, and who is to blame.

    known: of the suites that were compared before. coverage: of head, where it was counted. mails: `mails.mbox` of the
    posting; None: that in the run's folder. Writes comparison.json. Raises Stopping, OSError.
    """
    run, context = head.run, head.context
    planned, chosen, patched = run.plan, run.legs, context.build.trees
    history = History.at(run.site.history, data_dir(), on_broken=_without(context.progress))
    remember(chosen, results, context, history)
    base = functools.cache(lambda: head.at({}))
    fresh = _without_smoke(results) if known else results
    try:
        found = compare(chosen, fresh, context, base, history=history, quarantine=load_quarantine(run.site))
    except (OSError, InfraError) as error:
        why = _why(error)
        found = uncompared(chosen, fresh, why).model_copy(update={"unfinished": why})
    if not known and not found.base_problem and any(tree.patches for tree in patched.trees):
        try:
            found = with_costs(found, chosen, results, context, base)
            if not found.base_problem:
                found = with_bench(found, chosen, results, context, base)
            if not found.base_problem:
                found = _with_mixes(found, chosen, results, head, base)
        except (OSError, InfraError) as error:
            found = found.model_copy(update={"unfinished": _why(error)})
    if planned.blame:
        parts = Parts(patched, run.stack, head.at, head.without, coverage)
        found = blame(found, chosen, parts, budget=planned.blame, selection=context.tests.selection)
    found = with_announced(found, planned.posting, patched, mails or run.folder.path / "mails.mbox")
    found = _joined(known, found) if known else found
    context.run.write("comparison.json", found)
    return found


def _with_mixes(
    found: Comparison,
    chosen: Sequence[LegSpec],
    results: Sequence[LegResult],
    head: Head,
    base: Callable[[], Context],
) -> Comparison:
    planned = head.run.plan

    def mixed() -> Mixed:
        return Mixed(head.context, base(), head.at, head.context.build.trees, head.run.stack)

    found = with_mixed(found, chosen, results, mixed, full=planned.compat)
    if planned.prefixes and not found.base_problem:
        prefixes = mixed().prefixes(chosen, planned.posting, rfc=planned.rfc)
        found = found.model_copy(update={"prefixes": prefixes})
    return found


def _without(progress: Progress) -> Callable[[HistoryBroken], None]:
    """One line, and the run goes on without a history."""
    return lambda error: progress(
        Event("compare", "history", "say", f"{error}; {error.hint}; this run does without it")
    )


def _why(error: OSError | InfraError) -> str:
    """What ended a comparison whose results so far are kept: a full disk, or no machine. Raises any other error."""
    if isinstance(error, InfraError):
        return str(error)
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        raise error
    return f"{error.strerror}: free some space and run the command again to resume"


def _joined(known: Comparison, found: Comparison) -> Comparison:
    problem = known.base_problem or found.base_problem
    return known.model_copy(
        update={"tests": (*known.tests, *found.tests), "base_problem": problem, "error_bound": found.error_bound}
    )


def _without_smoke(results: Sequence[LegResult]) -> list[LegResult]:
    """Suites that are not cut into shards were compared where the shards were made."""
    fresh = []
    for leg in results:
        tests = tuple(test for test in leg.tests if not suite_named(test.suite).ordered)
        fresh.append(leg.model_copy(update={"tests": tests, "planned": len(tests)}))
    return fresh


def merged(run: Run, lock: Lock, results: Sequence[LegResult], known: Comparison | None) -> Comparison:
    """The comparison of a run whose shards came back: machines run here only when something has to be compared.

    known: of its smoke. Raises Stopping, OSError.
    """
    known = known or Comparison()
    if not to_compare(_without_smoke(results)):
        return known
    try:
        head = _rebuilt(run, lock)
    except (InfraError, SeriesAtFault, CommandFailed) as error:
        return _joined(known, uncompared(run.legs, _without_smoke(results), str(error)))
    return compared(head, results, known)


def _rebuilt(run: Run, lock: Lock) -> Head:
    """Head as this host can run it: from the store, or built again from the stored mails on the same bases."""
    lab.qemu_version()
    use_boxes(run.site)
    made = run.build(_trees_here(run, lock.trees))
    was, now = lock.artifacts.artifacts, made.artifacts.artifacts
    if others := sorted(kind for kind, artifact in now.items() if kind in was and was[kind].key != artifact.key):
        raise InfraError(f"this host builds a different {others[0]} than the one that was tested")
    return Head(run, run.context(made, Tests(run.plan.tests), lock.conditions))


def _trees_here(run: Run, recorded: Trees) -> Trees:
    """The run's trees; made again where their repositories are not on this host. Raises InfraError, SeriesAtFault."""
    if all(Path(tree.repository).is_dir() for tree in recorded.trees):
        return recorded
    bases = {tree.component: tree.base_commit for tree in recorded.trees}
    made = trees.resolve(
        run.plan.posting,
        intake.read_mbox(run.folder.path / "mails.mbox").by_id(),
        run.stack,
        components={tree.component for tree in recorded.trees},
        bases=trees.Bases(bases, rfc=run.plan.rfc, network=run.site.network),
        cache=cache_dir(),
        progress=run.progress,
    )
    heads = {tree.component: tree.head_tree for tree in made.trees}
    if others := [tree.component for tree in recorded.trees if heads.get(tree.component) != tree.head_tree]:
        raise InfraError(f"{others[0]} differs from what was tested when its patches are applied again")
    return made
