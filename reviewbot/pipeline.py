# SPDX-License-Identifier: GPL-2.0-or-later
"""The order of the steps: the only module that knows it.

mails → posting → plan → trees → artifacts → review → results → verdict → coverage → report

A review of a small series takes a minute or two, its tests take longer and may find that a machine is lost: so the
review goes first. It does not go before the builds: a head that does not build is the first thing to be said.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from reviewbot import (
    __version__,
    build,
    intake,
    judging,
    lab,
    legs,
    report,
    reviewing,
    shards,
    suites,
    trees,
    verdict,
)  # fmt: skip
from reviewbot.compared import Head, compared
from reviewbot.config import Machine, Network, Site, choose_variant, use_boxes
from reviewbot.host.files import remove_tree, sha256_file
from reviewbot.host.paths import cache_dir, data_dir
from reviewbot.host.unexpected import as_error
from reviewbot.host.version import version
from reviewbot.intake import Ask, Intake
from reviewbot.lab import Accelerator
from reviewbot.model.artifacts import Artifact, Artifacts
from reviewbot.model.errors import Blocked, InfraError, UsageError
from reviewbot.model.lock import Lock
from reviewbot.model.plan import LegPlan, Plan, SourcePlan
from reviewbot.model.posting import Posting
from reviewbot.model.progress import Event, Progress
from reviewbot.model.results import LegResult, Results
from reviewbot.model.review import PatchBuild
from reviewbot.model.stack import Stack
from reviewbot.model.trees import Trees
from reviewbot.model.verdict import Verdict
from reviewbot.report import Record
from reviewbot.request import Request, arguments, check_request, check_tests, components_of
from reviewbot.review import partners
from reviewbot.reviewing import Desk
from reviewbot.store import (
    Durations,
    NotRuns,
    RunFolder,
    RunGone,
    Runs,
    Store,
    saying,
    telling,
)  # fmt: skip

TOOL = f"reviewbot {__version__}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `apply_and_test` or `review` leaves: the record, and the folder it was written to."""

    record: Record
    folder: RunFolder


def plan(request: Request, stack: Stack, site: Site, progress: Progress) -> tuple[Plan, Intake]:
    """What would be done. Fetches mails, changes nothing else. Raises ReviewbotError."""
    check_request(request, stack, cache_dir())
    found = _take_in(request, stack, site, progress)
    chosen = request.legs or tuple(leg.name for leg in stack.legs)
    planned = Plan(
        posting=found.posting,
        rfc=request.rfc,
        sources=(),
        legs=tuple(LegPlan(leg=leg, why=stack.leg(leg).why, needs=stack.leg(leg).needs) for leg in chosen),
        suites=request.suites,
        tests=request.tests or stack.default_tests,
        budget=request.budget,
        variant=choose_variant(request.variants),
        compare=request.compare,
        blame=request.blame,
        arguments=arguments(request),
    )
    wanted = components_of(planned, stack)
    sources = tuple(
        SourcePlan(component=p.component, source=p.source, base=p.base, why=p.why)
        for p in trees.preview(
            found.posting, stack, _bases(request, found), rfc=request.rfc, from_manifest=_from_manifest(request, found)
        )
        if p.component in wanted
    )
    return planned.model_copy(update={"sources": sources}), found


def try_bases(
    request: Request, planned: Plan, found: Intake, stack: Stack, progress: Progress, network: Network | None = None
) -> Plan:
    """The plan with the bases that the changed components get. Fetches sources. A plan that is blocked stays as it is.

    What does not apply is said in the plan. Raises SourceUnreachable, WrongBase, PullGone, UnusablePull, Blocked.
    """
    if any(problem.blocking for problem in found.posting.problems):
        return planned
    tried = trees.try_bases(
        found.posting, found.mails, stack, components=tuple(component.name for component in stack.components),
        bases=_bases(request, found), cache=cache_dir(), rfc=request.rfc, progress=progress,
        from_manifest=_from_manifest(request, found), network=network,
    )  # fmt: skip
    return planned.model_copy(update={"trees": tried})


def apply_and_test(request: Request, stack: Stack, site: Site, progress: Progress) -> Outcome:
    """The main job. Raises ReviewbotError only before there is a posting; after that errors become the verdict."""
    lab.qemu_version()  # better now than after the builds
    use_boxes(site)
    if request.shard_dir:
        shards.check_new(request.shard_dir)
    planned, found = plan(request, stack, site, progress)
    return _carry_out(_Job(request, planned, found, stack, site, progress), _test)


def review(request: Request, stack: Stack, site: Site, progress: Progress) -> Outcome:
    """Look at each patch, and at how it builds; boot nothing. Raises ReviewbotError as `apply_and_test` does."""
    use_boxes(site)
    planned, found = plan(request, stack, site, progress)
    bare = planned.model_copy(update={"legs": (), "suites": (), "tests": ""})
    return _carry_out(_Job(request, bare, found, stack, site, progress), _review)


@dataclass(frozen=True, slots=True)
class _Job:
    """What all steps of one run share."""

    request: Request
    planned: Plan
    found: Intake
    stack: Stack
    site: Site
    progress: Progress


def _carry_out(job: _Job, work: Callable[[_Job, Record, RunFolder], Record]) -> Outcome:
    request = job.request
    with Runs(data_dir() / "runs").begin(
        f"reviewbot {version()}", request.command, shards=bool(request.shard_dir)
    ) as run:
        return _recorded(job, work, run)


def _recorded(job: _Job, work: Callable[[_Job, Record, RunFolder], Record], run: RunFolder) -> Outcome:
    run.write("mails.mbox", intake.mbox_bytes(job.found.mails))
    run.write_message_ids(job.found.posting.message_ids())
    run.write("plan.json", job.planned)
    record = Record(
        run=run.id, tool=TOOL, posting=job.found.posting, plan=job.planned, url=job.site.reports.of(run.id),
    )  # fmt: skip
    try:
        record = work(job, record, run)
    except UsageError:
        remove_tree(run.path)  # nothing was tested: the question was wrong
        raise
    except Exception as error:  # also one that nobody expected: the run keeps what it found out
        told = as_error(error, [run.path / "logs"])
        record = record.model_copy(update={"verdict": verdict.judge_error(run.id, told), **report.known(run.path)})
    return Outcome(record, run) if record.verdict is None else finish(record, job.found.mails, run)


def finish(record: Record, mails: Mapping[str, bytes], run: RunFolder) -> Outcome:
    """Write every report of a judged record. Raises RunGone when somebody removed the run meanwhile."""
    if not (run.path / "plan.json").exists():
        raise RunGone(run.id)
    for name, content in report.files(record, mails).items():
        run.write(name, content)
    return Outcome(record, run)


def _take_in(request: Request, stack: Stack, site: Site, progress: Progress) -> Intake:
    ask = Ask(
        names=request.names, mbox=request.mbox, manifest=request.manifest, part_only=request.part_only,
        wait=request.wait, latest=request.latest, rfc=request.rfc, bases=tuple(request.bases),
    )  # fmt: skip
    found = intake.take_in(ask, stack, site, cache_dir(), progress)
    return found if request.rfc else intake.leave_out_rfc(found)


def _bases(request: Request, found: Intake) -> dict[str, str]:
    """What the manifest names, and above it what the command line names."""
    return {**found.bases, **request.bases}


def _from_manifest(request: Request, found: Intake) -> tuple[str, ...]:
    return tuple(name for name in found.bases if name not in request.bases)


def check_complete(posting: Posting) -> None:
    """Raises Blocked when the posting has a problem that forbids testing it."""
    blocking = tuple(problem for problem in posting.problems if problem.blocking)
    if blocking:
        more = f" (and {len(blocking) - 1} more)" if len(blocking) > 1 else ""
        raise Blocked(f"{blocking[0].message}{more}", hint="`reviewbot plan` shows the whole posting")


def _test(job: _Job, record: Record, run: RunFolder) -> Record:
    check_complete(job.found.posting)
    record, resolved = _resolve(job, record, run)
    check_tests(job.request, job.stack, resolved)
    store = Store(cache_dir(), telling(job.progress), f"run {run.id}", saying(job.progress))
    desk = _desk(job, resolved, store, run)
    try:
        artifacts = build.build_all(
            resolved, job.stack, store=store, site=job.site, kinds=components_of(job.planned, job.stack),
            logs=run.logs("build"), progress=job.progress, variant=job.planned.variant,
        )  # fmt: skip
    except build.BuildFails as error:
        return record.model_copy(update={"verdict": _blame(job, desk, error)})
    record = record.model_copy(update={"artifacts": artifacts})
    chosen = _accelerator(job.site, artifacts, job.progress)
    run.write("lock.json", _lock(job, record, artifacts, chosen, run))
    record, unreviewed = _reviewed(job, desk, artifacts.artifacts, record)
    variant, machine = job.planned.variant, _machine(job)
    machines, _ = legs.how_many(machine, chosen.name)
    durations = Durations(cache_dir() / "durations.json", suites.load_typical())
    bench = legs.Bench(
        artifacts=artifacts, accelerator=chosen, store=store, run=run,
        durations=legs.durations_for(durations, artifacts, resolved.patched), progress=job.progress,
        patched=resolved.patched,
        disks=suites.disks(machine.scratch_gib), memory=machine.memory, cpus=machine.cpus, variant=variant,
        selection=job.planned.tests, fresh=job.request.fresh, machines=machines, soak=job.site.soak,
        notruns=NotRuns(cache_dir() / "notruns.json"),
        budget=legs.Budget.of(job.planned.budget, job.found.posting.changed(rfc=job.request.rfc), job.request.shards),
        saved=job.site.machine.saved == "auto", seconds=job.site.machine.hours * 3600,
    )  # fmt: skip
    blank = Results(run=run.id, tool=TOOL, accelerator_why=chosen.why, variant=variant.name, legs=())

    def told(found: tuple[LegResult, ...]) -> None:
        run.write("results.json", blank.model_copy(update={"legs": found}))

    chosen_legs = [job.stack.leg(leg.leg) for leg in job.planned.legs]
    put_off: list[legs.Work] = []
    apart = put_off.append if job.request.shard_dir else None
    results = blank.model_copy(update={"legs": legs.run_legs(chosen_legs, job.planned.suites, bench, told, apart)})
    run.write("results.json", results)
    if any(leg.agent_seconds and not leg.reused for leg in results.legs):
        lab.confirm(chosen, cache_dir())
    record = record.model_copy(update={"results": results})
    if job.request.compare:
        head = Head(job.planned, resolved, job.stack, job.site, bench)
        record = record.model_copy(update={"comparison": compared(head, results.legs)})
    if job.request.shard_dir:  # where they are merged, what is compared above need not be compared again
        shards.write_shards(put_off, job.request.shards, bench, job.request.shard_dir)
        return record
    return judging.judged(record, run, job.progress, unreviewed=unreviewed)


def _review(job: _Job, record: Record, run: RunFolder) -> Record:
    check_complete(job.found.posting)
    record, resolved = _resolve(job, record, run)
    store = Store(cache_dir(), telling(job.progress), f"run {run.id}", saying(job.progress))
    artifacts, failures = _build_for_review(job, resolved, store, run)
    made = reviewing.review_posting(_desk(job, resolved, store, run), artifacts.artifacts)
    run.write("review.json", made)
    builds = {patch.commit: patch.build for patch in made.patches if patch.build}
    heads = [_blamed(job, verdict.judge_error(run.id, e), builds, e, resolved) for e in failures]
    found = verdict.judge_review(run.id, made, heads=heads)
    return record.model_copy(update={"artifacts": artifacts, "review": made, "verdict": found})


def _build_for_review(
    job: _Job, resolved: Trees, store: Store, run: RunFolder
) -> tuple[Artifacts, tuple[build.BuildFails | build.BaseFails, ...]]:
    """Head, or only the build root when no builds are wanted: some of the checks run in it."""
    kinds = components_of(job.planned, job.stack) if job.request.build else ()
    try:
        return build.build_components(
            resolved, job.stack, store=store, site=job.site, kinds=kinds, logs=run.logs("build"), progress=job.progress
        )
    except InfraError as error:
        if job.request.build:
            raise
        job.progress(Event("build", "buildroot", "failed", str(error)))
        return Artifacts(), ()  # the review says what it could not do


def _resolve(job: _Job, record: Record, run: RunFolder) -> tuple[Record, Trees]:
    wanted = {*components_of(job.planned, job.stack)}
    if job.request.review:
        wanted |= partners(job.found.posting, rfc=job.request.rfc)
    resolved = trees.resolve(
        job.found.posting, job.found.mails, job.stack, components=wanted,
        bases=_bases(job.request, job.found), cache=cache_dir(), rfc=job.request.rfc, progress=job.progress,
        from_manifest=_from_manifest(job.request, job.found), network=job.site.network,
    )  # fmt: skip
    run.write("trees.json", resolved)
    return record.model_copy(update={"trees": resolved}), resolved


def _desk(job: _Job, resolved: Trees, store: Store, run: RunFolder) -> Desk:
    return Desk(
        posting=job.found.posting, mails=job.found.mails, trees=resolved, stack=job.stack,
        reviewers=job.site.reviewers, store=store, run=run, tool=TOOL, progress=job.progress,
        each=job.request.build, fresh=job.request.fresh,
    )  # fmt: skip


def _reviewed(job: _Job, desk: Desk, built: Mapping[str, Artifact], record: Record) -> tuple[Record, str]:
    """With the review, or why there is none: what keeps us from reviewing does not keep us from testing."""
    if not job.request.review:
        return record, ""
    try:
        made = reviewing.review_posting(desk, built)
    except InfraError as error:
        job.progress(Event("review", "series", "failed", str(error)))
        return record, str(error)
    desk.run.write("review.json", made)
    return record.model_copy(update={"review": made}), ""


def _blame(job: _Job, desk: Desk, error: build.BuildFails) -> Verdict:
    """Head does not build; which patch is it? Only the broken component's patches are built to find out."""
    judged = verdict.judge_error(desk.run.id, error)
    if not job.request.review:
        return judged
    try:
        built, _ = build.build_components(
            desk.trees, job.stack, store=desk.store, site=job.site, logs=desk.run.logs("build"), progress=job.progress,
            kinds=build.needs(job.stack.component(error.component).recipe),
        )  # fmt: skip
        builds = reviewing.build_each(desk, built.artifacts, error.component)
    except InfraError as trouble:
        return judged.model_copy(update={"lacks": {"blame": str(trouble)}})
    return _blamed(job, judged, builds, error, desk.trees)


def _blamed(
    job: _Job, judged: Verdict, builds: Mapping[str, PatchBuild], error: build.BuildFails | build.BaseFails,
    resolved: Trees,
) -> Verdict:  # fmt: skip
    """With the first bad patch of a component whose base builds, by how its patches build."""
    tree = resolved.get(error.component)
    if tree is None or isinstance(error, build.BaseFails):
        return judged
    first = build.blame(builds, tree)
    return verdict.with_blame(judged, first, resolved, job.found.posting) if first else judged


def _accelerator(site: Site, artifacts: Artifacts, progress: Progress) -> Accelerator:
    kernel = Path(artifacts.artifacts["kernel"].path) / "bzImage"
    root = Path(artifacts.artifacts["guest"].path) / "root.img"
    return lab.choose_accelerator(site.accelerator, kernel, root, cache_dir(), progress=progress)


def _machine(job: _Job) -> Machine:
    """The site's, with what the variant needs."""
    site = job.site.machine
    return site.model_copy(update={"memory": site.memory + job.planned.variant.memory})


def _lock(job: _Job, record: Record, artifacts: Artifacts, chosen: Accelerator, run: RunFolder) -> Lock:
    assert record.trees is not None
    return Lock(
        run=record.run, tool=TOOL, stack=job.stack.name, top=record.posting.top, artifacts=artifacts,
        mails_sha256=sha256_file(run.path / "mails.mbox"), trees=record.trees, accelerator=chosen.name,
        accelerator_why=chosen.why, variant=job.planned.variant.name,
        conditions=legs.conditions(_machine(job), job.stack, job.planned.legs, job.site.soak),
    )  # fmt: skip
