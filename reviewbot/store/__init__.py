# SPDX-License-Identifier: GPL-2.0-or-later
"""Artifacts keyed by their inputs, and the folders of runs.

In: a kind, the inputs as strings, a function that fills a folder. Out: an Artifact, built once.
Must not know: what is in an artifact, or which step asks.

The database of outcomes is imported from `reviewbot.store.history`: SQLAlchemy costs a command that asks it nothing
a quarter of a second.
"""

from reviewbot.store.artifacts import Store
from reviewbot.store.damage import telling
from reviewbot.store.durations import Durations, TestSeconds
from reviewbot.store.notruns import NotRuns
from reviewbot.store.reading import read_if_whole, read_model
from reviewbot.store.runs import RunFolder, RunGone, Runs
from reviewbot.store.waiting import saying

__all__ = [
    "Durations", "NotRuns", "RunFolder", "RunGone", "Runs", "Store", "TestSeconds",
    "read_if_whole", "read_model", "saying", "telling",
]  # fmt: skip
