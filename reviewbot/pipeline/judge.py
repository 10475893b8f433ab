# SPDX-License-Identifier: GPL-2.0-or-later
"""A run whose tests are done in, the same with its verdict out: here, or where its shards are merged."""

from collections.abc import Callable

from reviewbot import verdict
from reviewbot.host.paths import cache_dir
from reviewbot.model.differences import differences
from reviewbot.model.progress import Progress, silent
from reviewbot.model.review import PatchRef
from reviewbot.pipeline import symbolize
from reviewbot.pipeline.coverage import with_coverage
from reviewbot.pipeline.previous import became, recalled
from reviewbot.report import Record
from reviewbot.store import RunFolder, Store


def judged(record: Record, run: RunFolder, progress: Progress = silent, *, unreviewed: str = "") -> Record:
    """A run whose tests are done, with the lines of its crashes, its verdict, and its coverage.

    unreviewed: why there is no review, if there should be one.
    """
    assert record.plan and record.results and record.trees and record.artifacts
    results = symbolize.explained(
        record.results, record.trees, record.artifacts, record.plan.variant, Store(cache_dir()), run, progress
    )
    if results.previous:  # shards have brought more since it was recorded
        results = results.model_copy(update={"previous": became(recalled(results.previous), results.legs)})
    results = results.model_copy(update={"differential": differences(results, record.comparison).rows})
    found = verdict.judge(record.run, results, record.comparison, _names(record))
    for deep in record.deep:
        found = verdict.with_deep(found, deep, _names(record))
    found = verdict.with_review(found, record.review) if record.review else found
    unfinished = record.comparison.unfinished if record.comparison else ""
    lacks = {what: why for what, why in (("review", unreviewed), ("comparison", unfinished)) if why}
    found = found.model_copy(update={"lacks": lacks})
    return with_coverage(record.model_copy(update={"results": results, "verdict": found}), run, progress)


def _names(record: Record) -> Callable[[str], PatchRef | None]:
    """From a commit to the patch of the posting that it is."""
    assert record.trees
    trees, posting = record.trees, record.posting
    patches = {patch.commit: patch for tree in trees.trees for patch in tree.patches if not patch.merged}
    return lambda commit: verdict.patch_ref(patches[commit], trees, posting) if commit in patches else None
