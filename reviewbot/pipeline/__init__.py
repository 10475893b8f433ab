# SPDX-License-Identifier: GPL-2.0-or-later
"""The orders of the steps, one module each; nothing else knows an order.

A request in, a run's record out. `test` is the main one, `review` boots nothing, `compare` and `blame` run what failed
again at other commits, `shards` ends a run that other hosts did, `reproduce` repeats a recorded one.
"""

from reviewbot.pipeline.bench import compare_runs
from reviewbot.pipeline.plan import make_plan, try_bases
from reviewbot.pipeline.request import BENCH
from reviewbot.pipeline.review import review_series
from reviewbot.pipeline.run import Outcome
from reviewbot.pipeline.shards import merge_shards
from reviewbot.pipeline.test import apply_and_test

__all__ = [
    "BENCH",
    "Outcome",
    "apply_and_test",
    "compare_runs",
    "make_plan",
    "merge_shards",
    "review_series",
    "try_bases",
]
