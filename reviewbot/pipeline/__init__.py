# SPDX-License-Identifier: GPL-2.0-or-later
"""The orders of the steps, one module each; nothing else knows an order.

A request in, a run's record out. `test` is the main one, `review` boots nothing, `compare` and `blame` run what failed
again at other commits, `shards` ends a run that other hosts did, `reproduce` repeats a recorded one.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
_MODULES = {
    "BENCH": "request",
    "Outcome": "run",
    "apply_and_test": "test",
    "compare_runs": "bench",
    "make_plan": "plan",
    "merge_shards": "shards",
    "review_series": "review",
    "try_bases": "plan",
}


def __getattr__(name: str) -> Any:
    """A command imports the orders that it runs: numpy, SQLAlchemy and the lab take longer than all else of a plan."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
