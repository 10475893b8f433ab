# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a posting was not tested is said in every report."""

import pytest

from reviewbot.model.posting import Problem
from reviewbot.report.notes import notes
from tests.report import records


@pytest.mark.parametrize("kind", ["elsewhere", "stray-patch", "part-only", "other-posting"])
def test_a_part_that_was_left_out_is_the_first_note(kind: str) -> None:
    record = records.passing()
    problem = Problem(kind=kind, message="“fusefatfs: x” is for another repository; 2 patches left out")
    posting = record.posting.model_copy(update={"problems": (problem,)})
    found = notes(record.model_copy(update={"posting": posting}))
    assert (found[0].text, found[0].operator) == (problem.message, False)


def test_other_notes_on_a_posting_stay_in_the_plan() -> None:
    record = records.passing()
    problem = Problem(kind="several-threads", message="two threads, all taken")
    posting = record.posting.model_copy(update={"problems": (problem,)})
    assert problem.message not in [note.text for note in notes(record.model_copy(update={"posting": posting}))]
