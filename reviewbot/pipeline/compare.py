# SPDX-License-Identifier: GPL-2.0-or-later
"""A tested run in, its comparison with base out: here, or where its shards are merged.

Builds the run's components at other commits when a rerun needs them.
"""

import errno
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reviewbot import build, intake, lab, runner, suites, trees
from reviewbot.config import Site, choose_variant, load_stack, use_boxes
from reviewbot.host.paths import cache_dir, data_dir
from reviewbot.host.process import CommandFailed
from reviewbot.intake import Mailbag
from reviewbot.model.comparison import Comparison
from reviewbot.model.coverage import Coverage
from reviewbot.model.errors import InfraError, SeriesAtFault
from reviewbot.model.lock import Lock
from reviewbot.model.plan import Plan
from reviewbot.model.posting import Posting
from reviewbot.model.progress import Progress
from reviewbot.model.results import LegResult
from reviewbot.model.shard import IMAGES
from reviewbot.model.stack import LegSpec, Stack
from reviewbot.model.trees import Trees
from reviewbot.pipeline.blame import Parts, blame
from reviewbot.pipeline.costs import with_costs
from reviewbot.pipeline.mixed import Mixed, with_mixed
from reviewbot.pipeline.request import components_of
from reviewbot.pipeline.reruns import compare, remember, to_compare, uncompared
from reviewbot.store import Durations, History, NotRuns, RunFolder, Store, saying, telling
from reviewbot.suites.quarantine import load_quarantine


@dataclass(frozen=True, slots=True)
class Head:
    """A stack that was tested, and what other stacks are made of."""

    planned: Plan
    trees: Trees
    stack: Stack
    site: Site
    bench: runner.Bench

    def at(self, commits: Mapping[str, str]) -> runner.Bench:
        """The named components at these commits, the others at base. Raises SeriesAtFault, InfraError."""
        name = "+".join(f"{component}-{commit[:12]}" for component, commit in sorted(commits.items())) or "base"
        return self._built(name, trees.above_base(self.trees, commits), frozenset(commits))

    def without(self, component: str, commit: str) -> runner.Bench | None:
        """All of head but one patch; None when it cannot be taken out. Raises SeriesAtFault, InfraError."""
        moved = trees.without(self.trees, component, commit)
        return self._built(f"head-without-{commit[:12]}", moved, self.bench.patched) if moved else None

    def _built(self, name: str, moved: Trees, patched: frozenset[str]) -> runner.Bench:
        bench = self.bench
        artifacts = build.build_all(
            moved,
            self.stack,
            store=bench.store,
            site=self.site,
            kinds=components_of(self.planned, self.stack),
            logs=bench.run.logs("builds", name),
            progress=bench.progress,
            variant=self.planned.variant,
        )
        durations = runner.durations_for(bench.durations, artifacts, patched)
        return replace(bench, artifacts=artifacts, patched=patched, durations=durations)


def compared(
    head: Head, results: Sequence[LegResult], known: Comparison | None = None, coverage: Coverage | None = None
) -> Comparison:
    """What did not pass, run again on head and on the unpatched stack; what that costs, and who is to blame.

    known: of the suites that were compared before. coverage: of head, where it was counted. Writes comparison.json.
    Raises Stopping, OSError.
    """
    planned, bench = head.planned, head.bench
    chosen = [head.stack.leg(leg.leg) for leg in planned.legs]
    history = History.at(head.site.history, data_dir())
    remember(chosen, results, bench, history)
    base = functools.cache(lambda: head.at({}))
    fresh = _without_smoke(results) if known else results
    try:
        found = compare(chosen, fresh, bench, base, history=history, quarantine=load_quarantine(head.site))
    except OSError as error:
        why = _disk_full(error)
        found = uncompared(chosen, fresh, why).model_copy(update={"unfinished": why})
    if not known and not found.base_problem and any(tree.patches for tree in head.trees.trees):
        try:
            found = with_costs(found, chosen, results, bench, base)
            found = _with_mixes(found, chosen, results, head, base)
        except OSError as error:
            found = found.model_copy(update={"unfinished": _disk_full(error)})
    if planned.blame:
        parts = Parts(head.trees, head.stack, head.at, head.without, coverage)
        found = blame(found, chosen, parts, budget=planned.blame, selection=bench.selection)
    found = _joined(known, found) if known else found
    bench.run.write("comparison.json", found)
    return found


def _with_mixes(
    found: Comparison, chosen: Sequence[LegSpec], results: Sequence[LegResult], head: Head,
    base: Callable[[], runner.Bench],
) -> Comparison:  # fmt: skip
    planned = head.planned

    def mixed() -> Mixed:
        return Mixed(head.bench, base(), head.at, head.trees, head.stack)

    found = with_mixed(found, chosen, results, mixed, full=planned.compat)
    if planned.prefixes and not found.base_problem:
        prefixes = mixed().prefixes(chosen, planned.posting, rfc=planned.rfc)
        found = found.model_copy(update={"prefixes": prefixes})
    return found


def _disk_full(error: OSError) -> str:
    """What is said of it, for what is known is kept; raises any other error."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        raise error
    return f"{error.strerror}: the same command goes on when there is room"


def _joined(known: Comparison, found: Comparison) -> Comparison:
    problem = known.base_problem or found.base_problem
    return known.model_copy(
        update={"tests": (*known.tests, *found.tests), "base_problem": problem, "error_bound": found.error_bound}
    )


def _without_smoke(results: Sequence[LegResult]) -> list[LegResult]:
    """Smoke was compared where the shards were made."""
    fresh = []
    for leg in results:
        tests = tuple(test for test in leg.tests if test.suite != "smoke")
        fresh.append(leg.model_copy(update={"tests": tests, "planned": len(tests)}))
    return fresh


def merged(
    planned: Plan,
    lock: Lock,
    results: Sequence[LegResult],
    known: Comparison | None,
    run: RunFolder,
    site: Site,
    progress: Progress,
) -> Comparison:
    """The comparison of a run whose shards came back: machines run here only when something has to be compared.

    known: of its smoke. Raises Stopping, OSError.
    """
    known = known or Comparison()
    if not to_compare(_without_smoke(results)):
        return known
    try:
        head = _rebuilt(planned, lock, run, site, progress)
    except (InfraError, SeriesAtFault, CommandFailed) as error:
        stack = load_stack(lock.stack, site)
        chosen = [stack.leg(leg.leg) for leg in planned.legs]
        return _joined(known, uncompared(chosen, _without_smoke(results), str(error)))
    return compared(head, results, known)


def _rebuilt(planned: Plan, lock: Lock, run: RunFolder, site: Site, progress: Progress) -> Head:
    """Head as this host can run it: from the store, or built again from the stored mails on the same bases."""
    lab.qemu_version()
    use_boxes(site)
    stack, cache = load_stack(lock.stack, site), cache_dir()
    store = Store(cache, telling(progress), f"run {run.id}", saying(progress))
    here = _trees_here(planned, lock, stack, run, site, progress)
    artifacts = build.build_all(
        here,
        stack,
        store=store,
        site=site,
        kinds=components_of(planned, stack),
        logs=run.logs("build"),
        progress=progress,
        variant=planned.variant,
    )
    was = lock.artifacts.artifacts
    if others := sorted(
        kind for kind, made in artifacts.artifacts.items() if kind in was and was[kind].key != made.key
    ):
        raise InfraError(f"this host builds another {others[0]} than the one that was tested")
    images: dict[str, Path] = {kind: Path(artifacts.artifacts[kind].path) / file for kind, file in IMAGES.items()}
    chosen = lab.choose_accelerator(site.accelerator, images["kernel"], images["guest"], cache, progress=progress)
    conditions = lock.conditions or runner.conditions(site.machine, stack, planned.legs, site.soak)
    sized = site.machine.model_copy(update={"memory": conditions.memory, "cpus": conditions.cpus})
    machines, _ = runner.how_many(sized, chosen.name)
    durations = Durations(cache / "durations.json", suites.load_typical())
    bench = runner.Bench(
        artifacts=artifacts,
        accelerator=chosen,
        store=store,
        run=run,
        durations=runner.durations_for(durations, artifacts, here.patched),
        progress=progress,
        patched=here.patched,
        disks=conditions.disks,
        memory=conditions.memory,
        cpus=conditions.cpus,
        variant=choose_variant(planned.variant.name.split(",") if planned.variant.name else ()),
        selection=planned.tests,
        machines=machines,
        soak=conditions.soak or site.soak,
        notruns=NotRuns(cache / "notruns.json"),
        saved=site.machine.saved == "auto",
        seconds=site.machine.hours * 3600,
    )
    return Head(planned, here, stack, site, bench)


def _trees_here(planned: Plan, lock: Lock, stack: Stack, run: RunFolder, site: Site, progress: Progress) -> Trees:
    """The run's trees; made again where their repositories are not on this host. Raises InfraError, SeriesAtFault."""
    if all(Path(tree.repository).is_dir() for tree in lock.trees.trees):
        return lock.trees
    made = trees.resolve(
        planned.posting,
        _mails(planned.posting, run),
        stack,
        components={tree.component for tree in lock.trees.trees},
        bases={tree.component: tree.base_commit for tree in lock.trees.trees},
        cache=cache_dir(),
        rfc=planned.rfc,
        progress=progress,
        network=site.network,
    )
    heads = {tree.component: tree.head_tree for tree in made.trees}
    if others := [tree.component for tree in lock.trees.trees if heads.get(tree.component) != tree.head_tree]:
        raise InfraError(f"{others[0]} is not what was tested when its patches are applied again")
    return made


def _mails(posting: Posting, run: RunFolder) -> dict[str, bytes]:
    """The run's mails by their Message-ID."""
    raw = intake.read_mbox(run.path / "mails.mbox").mails
    wanted = tuple(posting.message_ids())
    return {name: mail for mail in raw for name in wanted if Mailbag("", (mail,)).has(name)}
