# SPDX-License-Identifier: GPL-2.0-or-later
"""What was found in the last version of a posting, and what became of it."""

from pathlib import Path

import pytest

from reviewbot.model.comparison import Class, Compared, Comparison
from reviewbot.model.plan import Plan
from reviewbot.model.posting import Part, Posting, Version
from reviewbot.model.results import LegResult, Outcome, Reported, Results, TestResult
from reviewbot.pipeline.previous import Earlier, became, previous, recalled, same_series
from reviewbot.report.notes import previous_words
from reviewbot.store import Runs


def posting(version: int, *, subject: str = "fuse: faster", change: str | None = None, top: str = "") -> Posting:
    part = Part(
        component="kernel",
        counter="1/1",
        version=version,
        rfc=False,
        subject=subject,
        cover=None,
        change_id=change,
        patches=(),
    )
    return Posting(
        top=top or f"v{version}@x",
        subject=f"[PATCHSET v{version}] {subject}",
        author="D <d@x>",
        source="x",
        parts=(part,),
    )


def run(runs: Runs, series: Posting, outcomes: dict[str, Outcome], kinds: dict[str, Class] | None = None) -> str:
    """One run of a version. kinds: of tests that were compared; None: it was not compared."""
    folder = runs.create()
    folder.write("plan.json", Plan(posting=series, rfc=False, sources=(), legs=(), suites=("fstests",), tests=""))
    legs = (leg(outcomes),)
    folder.write("results.json", Results(run=folder.id, tool="t", legs=legs))
    if kinds is not None:
        tests = tuple(
            Compared(leg="ext4", suite="fstests", test=test, outcome=outcomes[test], kind=kind)
            for test, kind in kinds.items()
        )
        folder.write("comparison.json", Comparison(tests=tests))
    return folder.id


def leg(outcomes: dict[str, Outcome]) -> LegResult:
    tests = tuple(TestResult(suite="fstests", test=test, outcome=outcome) for test, outcome in outcomes.items())
    return LegResult(leg="ext4", available=True, tests=tests)


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path / "runs")


def test_new_failures_of_the_last_version_are_what_was_found(runs: Runs) -> None:
    outcomes = dict.fromkeys(("a/1", "a/2", "a/3"), Outcome.FAIL) | {"a/4": Outcome.NOTRUN}
    kinds = {"a/1": Class.NEW, "a/2": Class.PRE_EXISTING, "a/3": Class.FLAKY, "a/4": Class.NEWLY_NOTRUN}
    run(runs, posting(5), {"a/9": Outcome.FAIL}, {"a/9": Class.NEW})
    last = run(runs, posting(6), outcomes, kinds)
    run(runs, posting(6, subject="another series"), {"a/8": Outcome.FAIL}, {"a/8": Class.NEW})
    found = previous(posting(7), runs, "own")
    assert found and (found.version, found.run) == (6, last)
    assert [(one.test, one.absent) for one in found.failed] == [("a/1", False), ("a/4", True)]
    assert found.fstests("ext4") == ("a/1", "a/4") and found.fstests("fuse2fs") == ()


def test_without_a_comparison_every_failure_was_reported(runs: Runs) -> None:
    run(runs, posting(1), {"a/1": Outcome.CRASH, "a/2": Outcome.PASS})
    found = previous(posting(2), runs, "own")
    assert found and [one.test for one in found.failed] == ["a/1"]


def test_the_same_version_and_a_later_one_are_no_earlier_ones(runs: Runs) -> None:
    run(runs, posting(2), {"a/1": Outcome.FAIL})
    run(runs, posting(3), {"a/1": Outcome.FAIL})
    assert previous(posting(2), runs, "own") is None


def test_a_run_without_results_says_nothing_of_its_version(runs: Runs) -> None:
    told = run(runs, posting(1), {"a/1": Outcome.FAIL})
    run(runs, posting(1), {"a/1": Outcome.INFRA})
    found = previous(posting(2), runs, "own")
    assert found and found.run == told


def test_a_run_that_cannot_be_read_is_passed_over(runs: Runs) -> None:
    run(runs, posting(1), {"a/1": Outcome.FAIL})
    broken = runs.create()
    broken.write("plan.json", "{")
    assert previous(posting(2), runs, "own")


def test_versions_know_each_other_by_change_id_by_name_or_by_subject_and_author() -> None:
    old = posting(1, subject="old name", change="20261101-fuse-abc")
    assert same_series(old, posting(2, subject="new name", change="20261101-fuse-abc"))
    named = Version(message_id="v1@x", subject="old name", version=1, date=0, how="supersedes", newer=False)
    assert same_series(old, posting(2, subject="new name").model_copy(update={"versions": (named,)}))
    assert same_series(posting(1), posting(2))
    assert not same_series(old, posting(2, subject="new name"))
    assert not same_series(posting(1).model_copy(update={"author": "E <e@x>"}), posting(2))


def reported(*tests: str, absent: bool = False) -> tuple[Reported, ...]:
    return tuple(Reported(leg="ext4", suite="fstests", test=test, absent=absent) for test in tests)


def test_what_became_of_it_is_told_in_one_line() -> None:
    earlier = Earlier(6, "r", (*reported("a/1", "a/2", "a/3"), *reported("a/4", absent=True)))
    now = leg({"a/1": Outcome.PASS, "a/2": Outcome.FAIL, "a/4": Outcome.PASS})
    found = became(earlier, [now])
    assert previous_words(found) == "4 found in v6: 2 gone, 1 still there (ext4 fstests/a/2), 1 not tested this time"
    assert previous_words(became(Earlier(6, "r", ()), [now])) == "there were no findings in v6"


def test_shards_that_come_later_say_what_was_not_known_before() -> None:
    earlier = Earlier(6, "r", reported("a/1"))
    begun = became(earlier, [])
    assert begun.unknown and became(recalled(begun), [leg({"a/1": Outcome.PASS})]).gone == reported("a/1")
