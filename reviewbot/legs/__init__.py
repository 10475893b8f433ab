# SPDX-License-Identifier: GPL-2.0-or-later
"""Legs and suites in, LegResults out: work is cut into shards, shards run in machines, answers become results.

Joins `suites` (which steps, what their replies mean) and `lab` (how a step reaches a guest); neither knows the other.
Nothing is tested twice for the same inputs. Must not know: postings, trees, verdicts.
"""

from reviewbot.legs.bench import Bench, Budget, conditions
from reviewbot.legs.learned import confirm, durations_for
from reviewbot.legs.machines import how_many
from reviewbot.legs.outcome import suite_result
from reviewbot.legs.run import run_legs
from reviewbot.legs.shard import job_of
from reviewbot.legs.work import Suite, Work, images, inputs_of, missing, work_of

__all__ = [
    "Bench", "Budget", "Suite", "Work", "conditions", "confirm", "durations_for", "how_many", "images", "inputs_of",
    "job_of", "missing", "run_legs", "suite_result", "work_of",
]  # fmt: skip
