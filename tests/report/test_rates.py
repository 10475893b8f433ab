# SPDX-License-Identifier: GPL-2.0-or-later
"""How often a test failed, in words."""

import pytest

from reviewbot.model.comparison import Class, Compared, Counts, Rerun, Side
from reviewbot.model.results import Outcome
from reviewbot.report.rates import rates


@pytest.mark.parametrize(
    ("on_base", "words"),
    [
        ((Outcome.NOTRUN, Outcome.NOTRUN), "2/2 on head, NOTRUN 2/2 on base"),
        ((Outcome.PASS, Outcome.PASS), "2/2 on head, 0/2 on base"),
        ((Outcome.NOTRUN, Outcome.PASS), "2/2 on head, 0/2 on base"),
    ],
)
def test_what_cannot_run_on_base_is_no_pass(on_base: tuple[Outcome, ...], words: str) -> None:
    test = Compared(
        leg="fuse2fs",
        suite="smoke",
        test="exchange",
        outcome=Outcome.HANG,
        kind=Class.NEW,
        head=Counts(failed=2, runs=2),
        base=Counts(failed=0, runs=2),
        reruns=tuple(Rerun(side=Side.BASE, number=n, outcome=one) for n, one in enumerate(on_base, 1)),
    )
    assert rates(test) == words
