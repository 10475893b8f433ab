# SPDX-License-Identifier: GPL-2.0-or-later
"""Legs and suites in, LegResults out: work is cut into shards, shards run in machines, answers become results.

Joins `suites` (which steps, what their replies mean) and `lab` (how a step reaches a guest); neither knows the other.
Nothing is tested twice for the same inputs. Must not know: postings, trees, verdicts.
"""

from reviewbot.legs.bench import Bench, Budget
from reviewbot.legs.machines import how_many
from reviewbot.legs.run import run_legs
from reviewbot.legs.work import Work, missing

__all__ = ["Bench", "Budget", "Work", "how_many", "missing", "run_legs"]
