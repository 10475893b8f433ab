# SPDX-License-Identifier: GPL-2.0-or-later
"""Legs side by side: only what differs is a row."""

import pytest

from reviewbot.model.comparison import Class, Compared, Comparison, Rerun, Side
from reviewbot.model.posting import Posting
from reviewbot.model.results import LegResult, Outcome, Results, TestResult
from reviewbot.report import Record
from reviewbot.report.differential import Differential, differential

RUN = "20261103-101502-7a3f"
POSTING = Posting(top="t@example.org", subject="s", author="a@example.org", source="x", parts=())
P, F, N = Outcome.PASS, Outcome.FAIL, Outcome.NOTRUN


def legs(comparison: Comparison | None = None, **outcomes: str) -> Differential | None:
    """ext4="PFN": outcomes of generic/001, 002, …; `-`: not planned there."""
    kinds = {"P": P, "F": F, "N": N, "K": Outcome.KNOWN, "I": Outcome.INFRA}
    results = tuple(
        LegResult(
            leg=leg,
            available=True,
            tests=tuple(
                TestResult(suite="fstests", test=f"generic/{n:03}", outcome=kinds[one])
                for n, one in enumerate(said, 1)
                if one != "-"
            ),
        )
        for leg, said in outcomes.items()
    )
    found = Results(run=RUN, tool="reviewbot 0", legs=results)
    return differential(Record(run=RUN, tool="reviewbot 0", posting=POSTING, results=found, comparison=comparison))


def test_a_test_that_passes_everywhere_is_counted_and_no_row() -> None:
    found = legs(ext4="PPN", fuse4fs="PPN")
    assert found == Differential(
        ("ext4", "fuse4fs"), (), ("2 tests pass on every leg", "1 test cannot run on every leg")
    )


def test_a_failure_of_one_server_is_named_and_one_of_ext4_is_not_held_against_the_servers() -> None:
    found = legs(ext4="PFP", fuse4fs="FFP", lklfuse="PFF")
    assert found
    assert found.rows == (
        ("fstests/generic/001", "fails only on fuse4fs", "PASS", "FAIL", "PASS"),
        ("fstests/generic/003", "fails only on lklfuse", "PASS", "PASS", "FAIL"),
    )
    assert found.same == ("1 test is FAIL on every leg",)


def test_what_cannot_run_on_one_leg_says_where() -> None:
    found = legs(ext4="P", fuse4fs="N")
    assert found
    assert found.rows == (("fstests/generic/001", "no result on fuse4fs", "PASS", "NOTRUN"),)


def test_tests_after_a_lost_machine_are_one_line_when_they_are_many() -> None:
    found = legs(ext4="PPPFPP", fuse4fs="FIIIII")
    assert found
    assert [row[:2] for row in found.rows] == [
        ("fstests/generic/001", "fails only on fuse4fs"),
        ("fstests/generic/004", "fails only on ext4"),
    ]
    gone = "fstests/generic/002, fstests/generic/003, fstests/generic/005"
    assert found.same == (f"4 tests have no result on fuse4fs: {gone} and 1 more",)
    few = legs(ext4="PPP", fuse4fs="FII")
    assert few and len(few.rows) == 3


def test_a_known_failure_is_told_as_one() -> None:
    found = legs(ext4="P", fuse4fs="K")
    assert found
    assert found.rows == (("fstests/generic/001", "known to fail on fuse4fs", "PASS", "KNOWN"),)
    both = legs(fuse2fs="K", fuse4fs="K")
    assert both and both.same == ("1 test is known to fail on every leg",)


def test_a_failure_that_base_has_too_says_so() -> None:
    assert base_says(F).rows == (
        ("fstests/generic/001", "fails only on fuse4fs; on base, too", "PASS", "FAIL", "FAIL"),
    )


def base_says(outcome: Outcome) -> Differential:
    old = Compared(
        leg="fuse4fs",
        suite="fstests",
        test="generic/001",
        outcome=F,
        kind=Class.PRE_EXISTING,
        reruns=(Rerun(side=Side.BASE, number=1, outcome=outcome),),
    )
    found = legs(Comparison(tests=(old,)), ext4="P", fuse4fs="F")
    assert found and found.legs == ("ext4", "fuse4fs on base", "fuse4fs")
    return found


def test_a_failure_that_base_does_not_have_says_so() -> None:
    assert base_says(P).rows == (("fstests/generic/001", "fails only on fuse4fs; not on base", "PASS", "PASS", "FAIL"),)


@pytest.mark.parametrize(
    ("base", "said"), [(N, "passes; cannot run on base"), (Outcome.KNOWN, "passes; KNOWN on base")]
)
def test_what_passes_in_every_leg_and_did_not_on_base_says_so(base: Outcome, said: str) -> None:
    results = tuple(
        LegResult(leg=leg, available=True, tests=(TestResult(suite="smoke", test="noreplace", outcome=P),))
        for leg in ("ext4", "fuse4fs")
    )
    found = differential(
        Record(
            run=RUN,
            tool="reviewbot 0",
            posting=POSTING,
            results=Results(run=RUN, tool="reviewbot 0", legs=results),
            comparison=Comparison(smoke_on_base={"fuse4fs": {"noreplace": base}}),
        )
    )
    assert found and found.rows == (("smoke/noreplace", said, "PASS", str(base), "PASS"),)


def test_a_failure_of_what_cannot_run_on_base_says_so() -> None:
    assert base_says(N).rows[0][1] == "fails only on fuse4fs; cannot run on base"


def test_one_leg_alone_is_compared_with_base() -> None:
    smoke = Comparison(smoke_on_base={"fuse4fs": {"acl": F, "mount": P, "rename": P}})
    tests = tuple(TestResult(suite="smoke", test=name, outcome=now) for name, now in (("acl", P), ("mount", P)))
    gone = TestResult(suite="smoke", test="rename", outcome=N)
    leg = LegResult(leg="fuse4fs", available=True, tests=(*tests, gone))
    results = Results(run=RUN, tool="reviewbot 0", legs=(leg,))
    found = differential(Record(run=RUN, tool="reviewbot 0", posting=POSTING, results=results, comparison=smoke))
    assert found == Differential(
        ("fuse4fs on base", "fuse4fs"),
        (
            ("smoke/acl", "fails on base only, on fuse4fs", "FAIL", "PASS"),
            ("smoke/rename", "no result on fuse4fs, passes on base", "PASS", "NOTRUN"),
        ),
        ("1 test passes on head and on base",),
    )


def test_one_leg_alone_has_no_table() -> None:
    assert legs(ext4="PF") is None
    assert legs(ext4="P-", fuse4fs="-P") is None
