# SPDX-License-Identifier: GPL-2.0-or-later
"""The order of `apply-and-test`.

mails → posting → plan → trees → artifacts → review → results → comparison → verdict → coverage → report

A review of a small series takes a minute or two, its tests take longer and may find that a machine is lost: so the
review goes first. It does not go before the builds: a head that does not build is the first thing to be said.
"""

from collections.abc import Mapping
from dataclasses import replace

from reviewbot import build, lab, runner, verdict
from reviewbot.build import BuildFails
from reviewbot.config import Site, use_boxes
from reviewbot.fleet.choose import check_commands, settings_of
from reviewbot.host.files import sha256_file
from reviewbot.host.paths import data_dir
from reviewbot.model.artifacts import Artifact
from reviewbot.model.errors import InfraError
from reviewbot.model.lock import Lock
from reviewbot.model.progress import Event, Progress
from reviewbot.model.results import LegResult, Results
from reviewbot.model.review import Review
from reviewbot.model.stack import Stack
from reviewbot.model.trees import Trees
from reviewbot.model.verdict import Verdict
from reviewbot.pipeline.compare import Head, compared
from reviewbot.pipeline.coverage import with_coverage
from reviewbot.pipeline.deep import deep_runs
from reviewbot.pipeline.judge import judged
from reviewbot.pipeline.patches import build_each, review_posting
from reviewbot.pipeline.plan import make_plan
from reviewbot.pipeline.previous import became, previous
from reviewbot.pipeline.request import Request, check_tests
from reviewbot.pipeline.review import blamed
from reviewbot.pipeline.run import TOOL, Job, Outcome, carry_out, check_complete, resolve
from reviewbot.report import Record
from reviewbot.runner import Budget, Context, SuiteJob, Tests, shard_files
from reviewbot.store import Runs


def apply_and_test(request: Request, stack: Stack, site: Site, progress: Progress) -> Outcome:
    """The main job. Raises ReviewbotError only before there is a posting; after that errors become the verdict."""
    fleet = settings_of(request.how.on, site)
    if fleet is None:
        lab.qemu_version()  # better now than after the builds
    use_boxes(site)
    if request.how.shard_dir:
        shard_files.check_new(request.how.shard_dir)
    planned, found = make_plan(request, stack, site, progress)
    if fleet:
        check_commands(fleet)
    return carry_out(request, planned, found, stack, site, progress, _test)


def _test(job: Job, record: Record) -> Record:
    request, run = job.request, job.run
    check_complete(job.found.posting)
    resolved = resolve(job)
    check_tests(request.tests, run.stack, resolved)
    record = record.model_copy(update={"trees": resolved})
    try:
        head = run.build(resolved)
    except BuildFails as error:
        return record.model_copy(update={"verdict": _blame(job, resolved, error)})
    changed = job.found.posting.changed(rfc=request.series.rfc)
    budget = Budget.of(run.plan.budget, changed, request.how.shards)
    context = run.context(head, Tests(run.plan.tests, fresh=request.how.fresh, budget=budget, rows=run.plan.rows))
    run.folder.write("lock.json", _lock(job, context))
    made, unreviewed = _reviewed(job, resolved, head.artifacts.artifacts)
    deferred: list[SuiteJob] = []
    results = _run_tests(job, context, deferred)
    record = record.model_copy(update={"artifacts": head.artifacts, "review": made, "results": results})
    if run.plan.compare:
        record = with_coverage(record, run.folder, run.progress)
        tested = Head(run, context)
        record = record.model_copy(
            update={"comparison": compared(tested, results.legs, coverage=record.coverage), "deep": deep_runs(tested)}
        )
    if request.how.shard_dir:  # where they are merged, what is compared above need not be compared again
        shard_files.write_shards(deferred, request.how.shards, context, request.how.shard_dir)
        return record
    return judged(record, run.folder, run.progress, unreviewed=unreviewed)


def _run_tests(job: Job, context: Context, deferred: list[SuiteJob]) -> Results:
    """All legs and suites, with results.json kept up to date: what failed in an earlier version of the posting first.

    deferred: gets what is for shards.
    """
    run, variant = job.run, context.build.variant.name
    blank = Results(run=run.folder.id, tool=TOOL, accelerator_why=context.accelerator.why, variant=variant, legs=())

    def on_update(found: tuple[LegResult, ...]) -> None:
        run.folder.write("results.json", blank.model_copy(update={"legs": found}))

    apart = deferred.append if job.request.how.shard_dir else None
    earlier = previous(job.found.posting, Runs(data_dir() / "runs"), run.folder.id)
    first = {leg.name: earlier.fstests(leg.name) for leg in run.legs} if earlier else {}
    tests = replace(context.tests, first=first, added={} if job.request.tests.tests else first)
    found = runner.run_legs(run.legs, run.plan.suites, replace(context, tests=tests), on_update, apart)
    results = blank.model_copy(update={"legs": found, "previous": became(earlier, found) if earlier else None})
    run.folder.write("results.json", results)
    if not context.elsewhere and any(leg.agent_seconds and not leg.reused for leg in found):
        lab.confirm(context.accelerator, run.store.root)
    return results


def _reviewed(job: Job, resolved: Trees, built: Mapping[str, Artifact]) -> tuple[Review | None, str]:
    """The review, or why there is none: what keeps us from reviewing does not keep us from testing."""
    if not job.request.how.review:
        return None, ""
    try:
        return review_posting(job, resolved, built), ""
    except InfraError as error:
        job.run.progress(Event("review", "series", "failed", str(error)))
        return None, str(error)


def _blame(job: Job, resolved: Trees, error: BuildFails) -> Verdict:
    """Head does not build; which patch is it? Only the broken component's patches are built to find out."""
    run = job.run
    judged = verdict.judge_error(run.folder.id, error)
    if not job.request.how.review:
        return judged
    try:
        built, _ = build.build_components(
            resolved,
            run.stack,
            store=run.store,
            site=run.site,
            logs=run.folder.logs("build"),
            progress=run.progress,
            kinds=build.needs(run.stack.component(error.component).recipe),
        )
        builds = build_each(run, resolved, built.artifacts, error.component)
    except InfraError as trouble:
        return judged.model_copy(update={"lacks": {"blame": str(trouble)}})
    return blamed(judged, builds, error, resolved, job.found.posting)


def _lock(job: Job, context: Context) -> Lock:
    run, head = job.run, context.build
    return Lock(
        run=run.folder.id,
        tool=TOOL,
        stack=run.stack.name,
        top=job.found.posting.top,
        artifacts=head.artifacts,
        mails_sha256=sha256_file(run.folder.path / "mails.mbox"),
        trees=head.trees,
        accelerator=context.accelerator.name,
        accelerator_why=context.accelerator.why,
        variant=head.variant.name,
        conditions=context.conditions,
    )
