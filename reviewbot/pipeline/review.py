# SPDX-License-Identifier: GPL-2.0-or-later
"""The order of `review`: builds, then each patch, then the verdict. Boots nothing."""

from collections.abc import Mapping

from reviewbot import build, verdict
from reviewbot.config import Site, use_boxes
from reviewbot.host.paths import cache_dir
from reviewbot.model.artifacts import Artifacts
from reviewbot.model.errors import InfraError
from reviewbot.model.progress import Event, Progress
from reviewbot.model.review import PatchBuild
from reviewbot.model.stack import Stack
from reviewbot.model.trees import Trees
from reviewbot.model.verdict import Verdict
from reviewbot.pipeline.patches import Desk, review_posting
from reviewbot.pipeline.plan import make_plan
from reviewbot.pipeline.request import Request, components_of
from reviewbot.pipeline.run import TOOL, Job, Outcome, carry_out, check_complete, resolve
from reviewbot.report import Record
from reviewbot.store import RunFolder, Store, saying, telling


def review_series(request: Request, stack: Stack, site: Site, progress: Progress) -> Outcome:
    """Look at each patch, and at how it builds; boot nothing. Raises ReviewbotError as `apply_and_test` does."""
    use_boxes(site)
    planned, found = make_plan(request, stack, site, progress)
    bare = planned.model_copy(update={"legs": (), "suites": (), "tests": ""})
    return carry_out(Job(request, bare, found, stack, site, progress), _review)


def _review(job: Job, record: Record, run: RunFolder) -> Record:
    check_complete(job.found.posting)
    record, resolved = resolve(job, record, run)
    store = Store(cache_dir(), telling(job.progress), f"run {run.id}", saying(job.progress))
    artifacts, failures = _build_for_review(job, resolved, store, run)
    made = review_posting(desk_of(job, resolved, store, run), artifacts.artifacts)
    run.write("review.json", made)
    builds = {patch.commit: patch.build for patch in made.patches if patch.build}
    heads = [blamed(job, verdict.judge_error(run.id, e), builds, e, resolved) for e in failures]
    found = verdict.judge_review(run.id, made, heads=heads)
    return record.model_copy(update={"artifacts": artifacts, "review": made, "verdict": found})


def _build_for_review(
    job: Job, resolved: Trees, store: Store, run: RunFolder
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


def blamed(
    job: Job, judged: Verdict, builds: Mapping[str, PatchBuild], error: build.BuildFails | build.BaseFails,
    resolved: Trees,
) -> Verdict:  # fmt: skip
    """With the first bad patch of a component whose base builds, by how its patches build."""
    tree = resolved.get(error.component)
    if tree is None or isinstance(error, build.BaseFails):
        return judged
    first = build.blame(builds, tree)
    return verdict.with_blame(judged, first, resolved, job.found.posting) if first else judged


def desk_of(job: Job, resolved: Trees, store: Store, run: RunFolder) -> Desk:
    return Desk(
        posting=job.found.posting, mails=job.found.mails, trees=resolved, stack=job.stack,
        reviewers=job.site.reviewers, store=store, run=run, tool=TOOL, progress=job.progress,
        each=job.request.build, fresh=job.request.fresh,
    )  # fmt: skip
