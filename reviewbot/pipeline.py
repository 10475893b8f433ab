# SPDX-License-Identifier: GPL-2.0-or-later
"""The order of the steps: the only module that knows it.

mails → posting → plan → trees → artifacts → results → verdict → report
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reviewbot import __version__, build, intake, lab, legs, report, suites, trees, verdict
from reviewbot.config import Site
from reviewbot.host.files import remove_tree
from reviewbot.host.paths import cache_dir, data_dir
from reviewbot.intake import Ask, Intake
from reviewbot.lab import Accelerator
from reviewbot.model.artifacts import Artifacts
from reviewbot.model.errors import Blocked, ReviewbotError, UsageError
from reviewbot.model.lock import Lock
from reviewbot.model.plan import LegPlan, Plan, SourcePlan
from reviewbot.model.posting import Posting
from reviewbot.model.progress import Progress
from reviewbot.model.results import Results
from reviewbot.model.stack import Stack
from reviewbot.model.trees import Trees
from reviewbot.report import Record
from reviewbot.store import Durations, RunFolder, Runs, Store

TOOL = f"reviewbot {__version__}"
SUITES = ("smoke", "fstests")


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for."""

    names: tuple[str, ...] = ()
    """Message-IDs or URLs; see `reviewbot.intake.names`."""
    mbox: Path | None = None
    manifest: Path | None = None
    part_only: bool = False
    legs: tuple[str, ...] = ()
    """Empty: all legs of the stack."""
    suites: tuple[str, ...] = SUITES
    tests: str = ""
    """Empty: the stack's default selection."""
    bases: Mapping[str, str] = field(default_factory=dict)
    rfc: bool = False
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `apply_and_test` leaves: the record, and the folder it was written to."""

    record: Record
    folder: RunFolder


def plan(request: Request, stack: Stack, site: Site, progress: Progress) -> tuple[Plan, Intake]:
    """What would be done. Fetches mails, changes nothing else. Raises ReviewbotError."""
    found = _take_in(request, stack, site, progress)
    chosen = _chosen_legs(request, stack)
    _check_names(request, stack)
    return (
        Plan(
            posting=found.posting,
            rfc=request.rfc,
            sources=tuple(
                SourcePlan(
                    component=p.component, source=p.source, base=p.base, why=_why(p.component, p.why, request, found)
                )
                for p in trees.preview(found.posting, stack, _bases(request, found), rfc=request.rfc)
            ),
            legs=tuple(LegPlan(leg=leg, why=stack.leg(leg).why, needs=stack.leg(leg).needs) for leg in chosen),
            suites=request.suites,
            tests=request.tests or stack.default_tests,
        ),
        found,
    )


def apply_and_test(request: Request, stack: Stack, site: Site, progress: Progress) -> Outcome:
    """The main job. Raises ReviewbotError only before there is a posting; after that errors become the verdict."""
    lab.qemu_version()  # better now than after the builds
    planned, found = plan(request, stack, site, progress)
    run = Runs(data_dir() / "runs").create()
    mbox = intake.mbox_bytes(found.mails)
    run.write("mails.mbox", mbox)
    run.write("plan.json", planned)
    record = Record(run=run.id, tool=TOOL, posting=found.posting, plan=planned)
    try:
        record = _test(record, planned, found, stack, site, run, hashlib.sha256(mbox).hexdigest(), request, progress)
    except UsageError:
        remove_tree(run.path)  # nothing was tested: the question was wrong
        raise
    except ReviewbotError as error:
        record = record.model_copy(update={"verdict": verdict.judge_error(run.id, error), **_known(run)})
    return finish(record, found.mails, run)


def finish(record: Record, mails: Mapping[str, bytes], run: RunFolder) -> Outcome:
    """Write every report of a judged record."""
    for name, content in report.files(record, mails).items():
        run.write(name, content)
    return Outcome(record, run)


def _take_in(request: Request, stack: Stack, site: Site, progress: Progress) -> Intake:
    ask = Ask(request.names, request.mbox, request.manifest, request.part_only)
    found = intake.take_in(ask, stack, site, cache_dir(), progress)
    return found if request.rfc else intake.leave_out_rfc(found)


def _why(component: str, why: str, request: Request, found: Intake) -> str:
    return "named by the manifest" if component in found.bases and component not in request.bases else why


def _bases(request: Request, found: Intake) -> dict[str, str]:
    """What the manifest names, and above it what the command line names."""
    return {**found.bases, **request.bases}


def _chosen_legs(request: Request, stack: Stack) -> tuple[str, ...]:
    known = tuple(leg.name for leg in stack.legs)
    for leg in request.legs:
        if leg not in known:
            raise UsageError(f"stack {stack.name} has no leg {leg}", hint=f"legs: {', '.join(known)}")
    return request.legs or known


def _check_names(request: Request, stack: Stack) -> None:
    components = tuple(component.name for component in stack.components)
    for name in request.bases:
        if name not in components:
            raise UsageError(f"--base {name}: no such component", hint=f"components: {', '.join(components)}")
    for suite in request.suites:
        if suite not in SUITES:
            raise UsageError(f"no suite {suite}", hint=f"suites: {', '.join(SUITES)}")


def check_complete(posting: Posting) -> None:
    """Raises Blocked when the posting has a problem that forbids testing it."""
    blocking = tuple(problem for problem in posting.problems if problem.blocking)
    if blocking:
        more = f" (and {len(blocking) - 1} more)" if len(blocking) > 1 else ""
        raise Blocked(f"{blocking[0].message}{more}", hint="`reviewbot plan` shows the whole posting")


def _test(
    record: Record, planned: Plan, found: Intake, stack: Stack, site: Site, run: RunFolder, mails_sha256: str,
    request: Request, progress: Progress,
) -> Record:  # fmt: skip
    check_complete(found.posting)
    wanted = _components(planned, stack)
    resolved = trees.resolve(
        found.posting, found.mails, stack, components=wanted, bases=_bases(request, found), cache=cache_dir(),
        rfc=request.rfc, progress=progress,
    )  # fmt: skip
    record = record.model_copy(update={"trees": resolved})
    run.write("trees.json", resolved)
    store = Store(cache_dir())
    artifacts = build.build_all(
        resolved, stack, store=store, site=site, kinds=wanted, logs=run.logs("build"), progress=progress
    )
    record = record.model_copy(update={"artifacts": artifacts})
    chosen = _accelerator(site, artifacts, progress)
    run.write("lock.json", _lock(record, stack, resolved, artifacts, chosen, mails_sha256))
    bench = legs.Bench(
        artifacts=artifacts, accelerator=chosen, store=store, run=run,
        durations=Durations(cache_dir() / "durations.json"), progress=progress,
        disks=suites.disks(site.machine.scratch_gib), memory=site.machine.memory, cpus=site.machine.cpus,
        selection=planned.tests, fresh=request.fresh,
    )  # fmt: skip
    results = Results(run=run.id, tool=TOOL, accelerator_why=chosen.why, legs=())
    for leg in planned.legs:
        result = legs.run_leg(stack.leg(leg.leg), planned.suites, bench)
        results = results.model_copy(update={"legs": (*results.legs, result)})
        run.write("results.json", results)
    if any(leg.agent_seconds and not leg.reused for leg in results.legs):
        lab.confirm(chosen, cache_dir())
    judged = verdict.judge(run.id, results, trees=resolved, artifacts=artifacts, posting=found.posting)
    return record.model_copy(update={"results": results, "verdict": judged})


def _components(planned: Plan, stack: Stack) -> tuple[str, ...]:
    """What the legs and suites need, and what the posting changes, in the stack's order."""
    wanted = {need for leg in planned.legs for need in leg.needs}
    wanted |= {part.component for part in planned.posting.parts if planned.rfc or not part.rfc}
    if "fstests" in planned.suites:
        wanted.add("fstests")
    # A later component is built with earlier ones only.
    for component in reversed(stack.components):
        if component.name in wanted:
            wanted |= set(build.needs(component.recipe))
    return tuple(component.name for component in stack.components if component.name in wanted)


def _accelerator(site: Site, artifacts: Artifacts, progress: Progress) -> Accelerator:
    kernel = Path(artifacts.artifacts["kernel"].path) / "bzImage"
    root = Path(artifacts.artifacts["guest"].path) / "root.img"
    return lab.choose_accelerator(site.accelerator, kernel, root, cache_dir(), progress=progress)


def _lock(
    record: Record, stack: Stack, resolved: Trees, artifacts: Artifacts, chosen: Accelerator, mails_sha256: str
) -> Lock:
    return Lock(
        run=record.run, tool=TOOL, stack=stack.name, top=record.posting.top if record.posting else "",
        mails_sha256=mails_sha256, trees=resolved, artifacts=artifacts, accelerator=chosen.name,
        accelerator_why=chosen.why,
    )  # fmt: skip


def _known(run: RunFolder) -> dict[str, object]:
    """What an aborted run had already found out, from its own files."""
    known: dict[str, object] = {}
    for name, model in (("trees", Trees), ("results", Results)):
        path = run.path / f"{name}.json"
        if path.exists():
            known[name] = model.model_validate_json(path.read_bytes())
    return known
