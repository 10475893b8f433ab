# SPDX-License-Identifier: GPL-2.0-or-later
"""The order of `review`: builds, then each patch, then the verdict. Boots nothing."""

from collections.abc import Mapping

from reviewbot import build, verdict
from reviewbot.config import Site, use_boxes
from reviewbot.model.artifacts import Artifacts
from reviewbot.model.errors import InfraError
from reviewbot.model.posting import Posting
from reviewbot.model.progress import Event, Progress
from reviewbot.model.review import PatchBuild
from reviewbot.model.stack import Stack
from reviewbot.model.trees import Trees
from reviewbot.model.verdict import Verdict
from reviewbot.pipeline.patches import review_posting
from reviewbot.pipeline.plan import make_plan
from reviewbot.pipeline.request import Request
from reviewbot.pipeline.run import Job, Outcome, carry_out, check_complete, resolve
from reviewbot.report import Record


def review_series(request: Request, stack: Stack, site: Site, progress: Progress) -> Outcome:
    """Look at each patch, and at how it builds; boot nothing. Raises ReviewbotError as `apply_and_test` does."""
    use_boxes(site)
    planned, found = make_plan(request, stack, site, progress)
    bare = planned.model_copy(update={"legs": (), "suites": (), "tests": ""})
    return carry_out(request, bare, found, stack, site, progress, _review)


def _review(job: Job, record: Record) -> Record:
    check_complete(job.found.posting)
    resolved = resolve(job)
    artifacts, failures = _build(job, resolved)
    made = review_posting(job, resolved, artifacts.artifacts)
    builds = {patch.commit: patch.build for patch in made.patches if patch.build}
    heads = [blamed(verdict.judge_error(record.run, e), builds, e, resolved, job.found.posting) for e in failures]
    found = verdict.judge_review(record.run, made, heads=heads)
    return record.model_copy(update={"trees": resolved, "artifacts": artifacts, "review": made, "verdict": found})


def _build(job: Job, resolved: Trees) -> tuple[Artifacts, tuple[build.BuildFails | build.BaseFails, ...]]:
    """Head, or only the build root when no builds are wanted: some of the checks run in it."""
    run = job.run
    try:
        return build.build_components(
            resolved,
            run.stack,
            store=run.store,
            site=run.site,
            kinds=run.kinds if job.request.how.build else (),
            logs=run.folder.logs("build"),
            progress=run.progress,
        )
    except InfraError as error:
        if job.request.how.build:
            raise
        run.progress(Event("build", "buildroot", "failed", str(error)))
        return Artifacts(), ()  # the review says what it could not do


def blamed(
    judged: Verdict,
    builds: Mapping[str, PatchBuild],
    error: build.BuildFails | build.BaseFails,
    resolved: Trees,
    posting: Posting,
) -> Verdict:
    """With the first bad patch of a component whose base builds, by how its patches build."""
    tree = resolved.get(error.component)
    if tree is None or isinstance(error, build.BaseFails):
        return judged
    first = build.blame(builds, tree)
    return verdict.with_blame(judged, first, resolved, posting) if first else judged
