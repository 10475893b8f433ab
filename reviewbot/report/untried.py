# SPDX-License-Identifier: GPL-2.0-or-later
"""What a reader must know of tests that were selected and not run: excluded, over budget, or known not to run."""

from reviewbot.model.results import Exclusion, Results
from reviewbot.model.untried import excluded, left_out
from reviewbot.model.words import counted


def not_tried(results: Results) -> list[str]:
    """One line each."""
    notes = []
    places: dict[str, tuple[Exclusion, list[str]]] = {}
    for leg in results.legs:
        for entry in leg.excluded:
            same = entry.model_copy(update={"tests": ()}).model_dump_json()
            where = f"{counted(len(entry.tests), 'test')} in {leg.leg}"
            places.setdefault(same, (entry, []))[1].append(where)
    notes += [excluded(entry, ", ".join(where)) for entry, where in places.values()]
    left = [test for leg in results.legs for test in leg.left_out]
    notes += [left_out(left)] if left else []
    learned = sum(test.learned for leg in results.legs for test in leg.tests)
    if learned:
        notes.append(
            f"NOTRUN(learned): {counted(learned, 'test')} skipped because earlier runs found that they "
            "cannot run here, and nothing that this depends on has changed"
        )
    return notes
