# SPDX-License-Identifier: GPL-2.0-or-later
"""The page of what each test comes to, made from results of runs."""

from benchmarks.outcomes import page
from reviewbot.model.artifacts import Artifacts
from reviewbot.model.lock import Lock
from reviewbot.model.results import Known, LegResult, Outcome, Results, TestResult
from reviewbot.model.trees import Trees

LOCK = Lock(
    run="r",
    tool="t",
    stack="fuse",
    top="",
    mails_sha256="",
    trees=Trees(trees=()),
    artifacts=Artifacts(artifacts={}, unavailable={}),
)
KNOWN = Known(reason="the server forgets it", link="https://example.org/1", components=("e2fsprogs",))


def result(test: str, outcome: Outcome = Outcome.PASS, **more: object) -> TestResult:
    suite, _, name = test.partition("/")
    return TestResult.model_validate({"suite": suite, "test": name, "outcome": outcome, **more})


def results(**legs: tuple[TestResult, ...]) -> tuple[Lock, Results]:
    found = tuple(LegResult(leg=leg, available=True, tests=tests) for leg, tests in legs.items())
    return LOCK, Results(run="r", tool="t", legs=found)


def test_each_test_is_a_row_smoke_first_and_each_leg_a_column() -> None:
    first = results(ext4=(result("fstests/generic/001"), result("smoke/acl")))
    second = results(fuse2fs=(result("smoke/acl", Outcome.KNOWN, reason="1234 may not read", known=KNOWN),))
    rows = [line for line in page([first, second]).splitlines() if line.startswith("| ")]
    assert rows == [
        "| test | ext4 | fuse2fs |",
        "| --- | --- | --- |",
        "| smoke/acl | PASS | KNOWN |",
        "| fstests/generic/001 | PASS |  |",
    ]


def test_what_is_not_pass_has_its_reason_once_for_all_legs_that_give_it() -> None:
    notrun = result("fstests/generic/020", Outcome.NOTRUN, reason="attr | is missing")
    said = page([results(ext4=(notrun,), fuse2fs=(notrun,), lklfuse=(result("fstests/generic/020"),))])
    assert said.splitlines()[-1] == "- fstests/generic/020, ext4, fuse2fs: NOTRUN: attr \\| is missing"
    known = page([results(ext4=(result("smoke/acl", Outcome.KNOWN, reason="no", known=KNOWN),))])
    assert known.splitlines()[-1] == "- smoke/acl, ext4: KNOWN: no (the server forgets it)"


def test_a_test_that_a_run_did_not_come_to_is_not_in_it() -> None:
    lost = (result("smoke/acl"), result("smoke/many", Outcome.MISS), result("fstests/generic/001", Outcome.INFRA))
    said = page([results(ext4=lost)])
    assert "smoke/acl" in said and "smoke/many" not in said and "generic/001" not in said


def test_a_test_of_two_runs_is_that_of_the_last() -> None:
    old, new = results(ext4=(result("smoke/acl", Outcome.FAIL),)), results(ext4=(result("smoke/acl"),))
    assert "FAIL" not in page([old, new])
    more = results(ext4=(result("fstests/generic/001"),))
    assert "| smoke/acl | PASS |" in page([old, new, more]) and "generic/001" in page([old, new, more])
