# SPDX-License-Identifier: GPL-2.0-or-later
"""What head's failures mean once base was run, too."""

from reviewbot.model.comparison import (
    Blame,
    BlamedPatch,
    Cell,
    Class,
    Compared,
    Comparison,
    Counts,
    FigureChange,
)
from reviewbot.model.results import LegResult, Outcome, Results, TestResult
from reviewbot.model.review import PatchRef
from reviewbot.model.verdict import FindingKind, Verdict, VerdictKind
from reviewbot.verdict import judge

RUN = "20261103-101502-7a3f"
PATCH = PatchRef(component="libfuse", message_id="libfuse.2@example.org", number=2, total=3, subject="libfuse: step 2")


def results(*outcomes: Outcome, reason: str = "output differs") -> Results:
    """Tests `generic/001`, … of one leg."""
    tests = tuple(
        TestResult(suite="fstests", test=f"generic/{n:03}", outcome=outcome, reason=f"{reason} {n}")
        for n, outcome in enumerate(outcomes, 1)
    )
    return Results(run=RUN, tool="reviewbot 0", legs=(LegResult(leg="fuse4fs", available=True, tests=tests),))


def compared(number: int, kind: Class, *, fingerprint: str = "", reason: str = "") -> Compared:
    blame = Blame(
        components=("libfuse",), patches=(BlamedPatch(component="libfuse", commits=("c2",), probability=1.0),)
    )
    return Compared(
        leg="fuse4fs",
        suite="fstests",
        test=f"generic/{number:03}",
        outcome=Outcome.FAIL,
        kind=kind,
        fingerprint=fingerprint,
        reason=reason,
        head=Counts(failed=4, runs=4),
        base=Counts(runs=4),
        blame=blame if kind is Class.NEW else None,
    )


def verdict(found: Results, *tests: Compared, **more: object) -> Verdict:
    comparison = Comparison.model_validate({"tests": tests, **more})
    return judge(RUN, found, comparison, {"c2": PATCH}.get)


def test_a_failure_that_only_head_has_is_a_regression_with_its_patch() -> None:
    found = verdict(results(Outcome.FAIL, Outcome.PASS), compared(1, Class.NEW))
    assert (found.kind, found.compared_with) == (VerdictKind.REGRESSION, "base")
    (finding,) = found.findings
    assert (finding.test, finding.suspects) == ("generic/001", (PATCH,))


def test_failures_that_base_has_too_and_flaky_ones_accuse_nobody() -> None:
    kinds = (Class.PRE_EXISTING, Class.FLAKY, Class.UNDECIDED)
    found = verdict(
        results(Outcome.FAIL, Outcome.FAIL, Outcome.FAIL, Outcome.PASS),
        *(compared(number, kind) for number, kind in enumerate(kinds, 1)),
    )
    assert (found.kind, found.findings) == (VerdictKind.PASS, ())


def test_checks_that_a_hang_kept_from_running_are_no_findings_of_their_own() -> None:
    tests = [
        TestResult(suite="smoke", test=name, outcome=outcome, reason="the machine was abandoned after smoke/exchange")
        for name, outcome in (("exchange", Outcome.HANG), ("links", Outcome.INFRA), ("xattr", Outcome.INFRA))
    ]
    found = Results(run=RUN, tool="reviewbot 0", legs=(LegResult(leg="fuse2fs", available=True, tests=tuple(tests)),))
    hung = compared(1, Class.NEW).model_copy(update={"leg": "fuse2fs", "suite": "smoke", "test": "exchange"})
    assert [finding.test for finding in verdict(found, hung).findings] == ["exchange"]
    hang, lost = verdict(found).findings  # a hang that base has too explains nothing of the series
    assert (hang.test, lost.test, lost.also) == ("exchange", "links", ("fuse2fs smoke/xattr",))


def test_a_test_that_can_no_longer_run_is_a_regression() -> None:
    found = verdict(results(Outcome.NOTRUN, Outcome.PASS), compared(1, Class.NEWLY_NOTRUN))
    assert found.kind is VerdictKind.REGRESSION
    assert found.findings[0].outcome is Outcome.NOTRUN


def test_a_feature_that_the_posting_takes_away_decides_nothing() -> None:
    found = verdict(results(Outcome.NOTRUN, Outcome.PASS), compared(1, Class.WITHDRAWN))
    assert (found.kind, found.findings) == (VerdictKind.PASS, ())


def test_failures_of_one_cause_are_one_finding_that_lists_the_other_tests() -> None:
    tests = [compared(n, Class.NEW, reason=f"e2fsck finds TEST_DEV inconsistent: inode {n}") for n in (1, 2, 3)]
    found = verdict(results(Outcome.FAIL, Outcome.FAIL, Outcome.FAIL), *tests)
    (finding,) = found.findings
    assert finding.also == ("fuse4fs fstests/generic/002", "fuse4fs fstests/generic/003")


def test_failures_of_two_causes_are_two_findings() -> None:
    tests = [compared(1, Class.NEW, fingerprint="a:b"), compared(2, Class.NEW, fingerprint="a:c")]
    assert len(verdict(results(Outcome.CRASH, Outcome.CRASH), *tests).findings) == 2


def test_a_leak_is_a_regression_though_all_tests_pass() -> None:
    leak = FigureChange(leg="fuse4fs", suite="smoke", figure="memory", unit="KiB", base=(6.0, 6.0), head=(90.0, 91.0))
    found = verdict(results(Outcome.PASS), figures=(leak,))
    assert (found.kind, found.findings[0].kind) == (VerdictKind.REGRESSION, FindingKind.FIGURE)


def test_a_mixed_stack_that_fails_alone_is_a_regression_and_one_that_fails_like_base_is_not() -> None:
    fails = Cell(
        leg="fuse4fs",
        patched=("libfuse",),
        failed=("mount", "acl"),
        only_here=("mount",),
        outcome=Outcome.FAIL,
        reason="mount(8) failed",
    )
    passes = Cell(leg="fuse4fs", patched=("kernel",), failed=("acl",), outcome=Outcome.FAIL)
    found = verdict(results(Outcome.PASS), cells=(fails, passes))
    assert found.kind is VerdictKind.REGRESSION
    assert [finding.cell for finding in found.findings] == [fails]
    assert verdict(results(Outcome.PASS), cells=(passes,)).kind is VerdictKind.PASS


def test_without_base_nothing_is_called_a_regression() -> None:
    uncompared = compared(1, Class.UNCOMPARED)
    found = verdict(results(Outcome.FAIL, Outcome.PASS), uncompared, base_problem="the unpatched kernel does not build")
    assert (found.kind, found.compared_with) == (VerdictKind.FAILURES, None)


def test_when_all_that_failed_is_old_and_nothing_passed_nothing_is_said_of_the_series() -> None:
    assert verdict(results(Outcome.FAIL), compared(1, Class.PRE_EXISTING)).kind is VerdictKind.INFRA
