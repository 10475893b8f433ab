# SPDX-License-Identifier: GPL-2.0-or-later
"""Legs and suites in, LegResults out: work is cut into shards, shards run in machines, answers become results.

Joins `suites` (which steps, what their replies mean) and `lab` (how a step reaches a guest); neither knows the other.
Nothing is tested twice for the same inputs. Must not know: postings, trees, verdicts.
"""

from reviewbot.runner.context import Budget, Context, Tests, conditions
from reviewbot.runner.known_notrun import confirm, durations_for
from reviewbot.runner.machines import how_many
from reviewbot.runner.plan_suites import images, inputs_of, missing, suite_job_of
from reviewbot.runner.results import suite_result
from reviewbot.runner.run import run_legs
from reviewbot.runner.shard_run import job_of
from reviewbot.runner.suite_job import SuiteJob
from reviewbot.suites.suite import SuiteName

__all__ = [
    "Budget",
    "Context",
    "SuiteJob",
    "SuiteName",
    "Tests",
    "conditions",
    "confirm",
    "durations_for",
    "how_many",
    "images",
    "inputs_of",
    "job_of",
    "missing",
    "run_legs",
    "suite_job_of",
    "suite_result",
]
