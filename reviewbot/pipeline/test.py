# SPDX-License-Identifier: GPL-2.0-or-later
"""The order of `apply-and-test`.

mails → posting → plan → trees → artifacts → review → results → comparison → verdict → coverage → report

A review of a small series takes a minute or two, its tests take longer and may find that a machine is lost: so the
review goes first. It does not go before the builds: a head that does not build is the first thing to be said.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from reviewbot import build, lab, runner, suites, verdict
from reviewbot.config import Machine, Site, use_boxes
from reviewbot.host.files import sha256_file
from reviewbot.host.paths import cache_dir, data_dir
from reviewbot.lab import Accelerator
from reviewbot.model.artifacts import Artifact, Artifacts
from reviewbot.model.errors import InfraError
from reviewbot.model.lock import Lock
from reviewbot.model.progress import Event, Progress
from reviewbot.model.results import LegResult, Results
from reviewbot.model.stack import Stack
from reviewbot.model.verdict import Verdict
from reviewbot.pipeline.compare import Head, compared
from reviewbot.pipeline.coverage import with_coverage
from reviewbot.pipeline.judge import judged
from reviewbot.pipeline.patches import Desk, build_each, review_posting
from reviewbot.pipeline.plan import make_plan
from reviewbot.pipeline.previous import became, previous
from reviewbot.pipeline.request import Request, check_tests, components_of
from reviewbot.pipeline.review import blamed, desk_of
from reviewbot.pipeline.run import TOOL, Job, Outcome, carry_out, check_complete, resolve
from reviewbot.report import Record
from reviewbot.runner import shard_files
from reviewbot.store import Durations, NotRuns, RunFolder, Runs, Store, saying, telling


def apply_and_test(request: Request, stack: Stack, site: Site, progress: Progress) -> Outcome:
    """The main job. Raises ReviewbotError only before there is a posting; after that errors become the verdict."""
    lab.qemu_version()  # better now than after the builds
    use_boxes(site)
    if request.shard_dir:
        shard_files.check_new(request.shard_dir)
    planned, found = make_plan(request, stack, site, progress)
    return carry_out(Job(request, planned, found, stack, site, progress), _test)


def _test(job: Job, record: Record, run: RunFolder) -> Record:
    check_complete(job.found.posting)
    record, resolved = resolve(job, record, run)
    check_tests(job.request, job.stack, resolved)
    store = Store(cache_dir(), telling(job.progress), f"run {run.id}", saying(job.progress))
    desk = desk_of(job, resolved, store, run)
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
    machines, _ = runner.how_many(machine, chosen.name)
    durations = Durations(cache_dir() / "durations.json", suites.load_typical())
    bench = runner.Bench(
        artifacts=artifacts, accelerator=chosen, store=store, run=run,
        durations=runner.durations_for(durations, artifacts, resolved.patched), progress=job.progress,
        patched=resolved.patched,
        disks=suites.disks(machine.scratch_gib), memory=machine.memory, cpus=machine.cpus, variant=variant,
        selection=job.planned.tests, fresh=job.request.fresh, machines=machines, soak=job.site.soak,
        notruns=NotRuns(cache_dir() / "notruns.json"),
        budget=runner.Budget.of(job.planned.budget, job.found.posting.changed(rfc=job.request.rfc), job.request.shards),
        saved=job.site.machine.saved == "auto", seconds=job.site.machine.hours * 3600,
    )  # fmt: skip
    blank = Results(run=run.id, tool=TOOL, accelerator_why=chosen.why, variant=variant.name, legs=())

    def told(found: tuple[LegResult, ...]) -> None:
        run.write("results.json", blank.model_copy(update={"legs": found}))

    chosen_legs = [job.stack.leg(leg.leg) for leg in job.planned.legs]
    put_off: list[runner.Work] = []
    apart = put_off.append if job.request.shard_dir else None
    earlier = previous(job.found.posting, Runs(data_dir() / "runs"), run.id)
    first = {leg.name: earlier.fstests(leg.name) for leg in chosen_legs} if earlier else {}
    eager = replace(bench, first=first, added={} if job.request.tests else first)
    found = runner.run_legs(chosen_legs, job.planned.suites, eager, told, apart)
    results = blank.model_copy(update={"legs": found, "previous": became(earlier, found) if earlier else None})
    run.write("results.json", results)
    if any(leg.agent_seconds and not leg.reused for leg in results.legs):
        lab.confirm(chosen, cache_dir())
    record = record.model_copy(update={"results": results})
    if job.request.compare:
        record = with_coverage(record, run, job.progress)
        head = Head(job.planned, resolved, job.stack, job.site, bench)
        comparison = compared(head, results.legs, coverage=record.coverage)
        record = record.model_copy(update={"comparison": comparison})
    if job.request.shard_dir:  # where they are merged, what is compared above need not be compared again
        shard_files.write_shards(put_off, job.request.shards, bench, job.request.shard_dir)
        return record
    return judged(record, run, job.progress, unreviewed=unreviewed)


def _reviewed(job: Job, desk: Desk, built: Mapping[str, Artifact], record: Record) -> tuple[Record, str]:
    """With the review, or why there is none: what keeps us from reviewing does not keep us from testing."""
    if not job.request.review:
        return record, ""
    try:
        made = review_posting(desk, built)
    except InfraError as error:
        job.progress(Event("review", "series", "failed", str(error)))
        return record, str(error)
    desk.run.write("review.json", made)
    return record.model_copy(update={"review": made}), ""


def _blame(job: Job, desk: Desk, error: build.BuildFails) -> Verdict:
    """Head does not build; which patch is it? Only the broken component's patches are built to find out."""
    judged = verdict.judge_error(desk.run.id, error)
    if not job.request.review:
        return judged
    try:
        built, _ = build.build_components(
            desk.trees, job.stack, store=desk.store, site=job.site, logs=desk.run.logs("build"), progress=job.progress,
            kinds=build.needs(job.stack.component(error.component).recipe),
        )  # fmt: skip
        builds = build_each(desk, built.artifacts, error.component)
    except InfraError as trouble:
        return judged.model_copy(update={"lacks": {"blame": str(trouble)}})
    return blamed(job, judged, builds, error, desk.trees)


def _accelerator(site: Site, artifacts: Artifacts, progress: Progress) -> Accelerator:
    kernel = Path(artifacts.artifacts["kernel"].path) / "bzImage"
    root = Path(artifacts.artifacts["guest"].path) / "root.img"
    return lab.choose_accelerator(site.accelerator, kernel, root, cache_dir(), progress=progress)


def _machine(job: Job) -> Machine:
    """The site's, with what the variant needs."""
    site = job.site.machine
    return site.model_copy(update={"memory": site.memory + job.planned.variant.memory})


def _lock(job: Job, record: Record, artifacts: Artifacts, chosen: Accelerator, run: RunFolder) -> Lock:
    assert record.trees is not None
    return Lock(
        run=record.run, tool=TOOL, stack=job.stack.name, top=record.posting.top, artifacts=artifacts,
        mails_sha256=sha256_file(run.path / "mails.mbox"), trees=record.trees, accelerator=chosen.name,
        accelerator_why=chosen.why, variant=job.planned.variant.name,
        conditions=runner.conditions(_machine(job), job.stack, job.planned.legs, job.site.soak),
    )  # fmt: skip
