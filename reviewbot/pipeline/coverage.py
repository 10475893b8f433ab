# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of a finished run reached, beside its verdict and never in it.

Joins `coverage` (which lines ran) and `verdict` (what reports call a patch); neither knows the other.
"""

from reviewbot import coverage, verdict
from reviewbot.model.errors import InfraError
from reviewbot.model.progress import Event, Progress
from reviewbot.report import Record
from reviewbot.store import RunFolder


def with_coverage(record: Record, run: RunFolder, progress: Progress) -> Record:
    """The record of a tested run; of a variant with counters with its coverage, or, once it is judged, with a note why
    there is none.

    Writes `coverage.json` and `coverage.info`.
    """
    if not (record.plan and record.plan.variant.counters) or record.coverage:
        return record
    assert record.trees and record.artifacts and record.results
    patches = [patch for tree in record.trees.trees for patch in tree.patches]
    progress(Event("coverage", "patched lines", "start"))
    try:
        made = coverage.measure(
            run.id,
            record.tool,
            record.trees,
            record.artifacts,
            legs={leg.leg: run.logs(leg.leg) for leg in record.results.legs if leg.available},
            names={p.commit: verdict.patch_ref(p, record.trees, record.posting).name for p in patches if p.commit},
            logs=run.logs("coverage"),
            notes=[f"{leg.leg}: {note}" for leg in record.results.legs for note in leg.uncounted],
        )
    except InfraError as error:
        progress(Event("coverage", "patched lines", "failed", str(error)))
        if record.verdict is None:
            return record
        judged = record.verdict.model_copy(update={"lacks": {**record.verdict.lacks, "coverage": str(error)}})
        return record.model_copy(update={"verdict": judged})
    run.write("coverage.info", made.tracefile)
    run.write("coverage.json", made.coverage)
    progress(Event("coverage", "patched lines", "done", made.coverage.words().partition(": ")[2]))
    return record.model_copy(update={"coverage": made.coverage})
