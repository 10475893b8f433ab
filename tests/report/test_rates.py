# SPDX-License-Identifier: GPL-2.0-or-later
"""How often a test failed, in words."""

import pytest

from reviewbot.model.comparison import Class, Compared, Counts, Rerun, Side
from reviewbot.model.results import Outcome
from reviewbot.report.rates import otherwise, rates
from reviewbot.report.words import headline
from tests.report.records import compared


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


@pytest.mark.parametrize(
    ("head", "base", "told"),
    [
        (("size is 5", "size is 6"), ("size is 7", "size is 8"), False),  # but for numbers the same
        (("size is 5", "no such file"), ("size is 7", "no such file"), False),
        (("size is 5", "size is 5"), ("no such file", "no such file"), True),
        (("size is 5", "size is 5"), ("size is 7", "no such file"), False),
        (("size is 5", "size is 5"), ("", ""), False),  # says nothing
        (("size is 5", "size is 5"), (), False),
    ],
)
def test_a_failure_that_base_has_in_another_way_is_told(
    head: tuple[str, ...], base: tuple[str, ...], *, told: bool
) -> None:
    sides = ((Side.HEAD, head), (Side.BASE, base))
    test = Compared(
        leg="fuse2fs",
        suite="fstests",
        test="generic/001",
        outcome=Outcome.FAIL,
        reason="size is 4",
        kind=Class.PRE_EXISTING,
        reruns=tuple(
            Rerun(side=side, number=number, outcome=Outcome.FAIL, reason=words)
            for side, all_words in sides
            for number, words in enumerate(all_words, 1)
        ),
    )
    words = "fuse2fs fstests/generic/001 fails in another way than on base: “size is 4”, on base “no such file”"
    assert otherwise(test) == (words if told else "")


@pytest.mark.parametrize(("failed", "verb"), [(4, "crashes"), (2, "crashes sometimes")])
def test_the_headline_tells_a_failure_that_comes_and_goes(failed: int, verb: str) -> None:
    record = compared()
    assert record.verdict
    finding = record.verdict.findings[0]
    assert finding.compared
    test = finding.compared.model_copy(update={"head": Counts(failed=failed, runs=4)})
    finding = finding.model_copy(update={"compared": test, "outcome": Outcome.CRASH})
    verdict = record.verdict.model_copy(update={"findings": (finding,)})
    said = headline(record.model_copy(update={"verdict": verdict}))
    assert said.startswith(f"fuse2fs {finding.suite}/{finding.test} {verb} since libfuse patch 2/3")
