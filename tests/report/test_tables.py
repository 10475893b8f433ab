# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows that more than one report shows."""

from reviewbot.model.trees import AppliedPatch, Trees
from reviewbot.report.tables import stack_rows
from tests.report.records import passing


def patch(**facts: bool) -> AppliedPatch:
    return AppliedPatch(message_id="p@x", subject="s", commit="5" * 40, **facts)


def test_patches_of_the_posting_are_told_from_what_base_has_and_from_what_they_stand_on() -> None:
    record = passing()
    assert record.trees is not None
    tree = record.trees.trees[0]
    for patches, words in (
        ((), "none"),
        ((patch(), patch()), "2 patches"),
        ((patch(prerequisite=True), patch(merged=True), patch()), "1 patch, 1 already in base, on 1 prerequisite"),
        ((patch(merged=True),), "1 already in base"),
    ):
        trees = Trees(trees=(tree.model_copy(update={"patches": patches}),))
        assert stack_rows(record.model_copy(update={"trees": trees}))[0][3] == words
