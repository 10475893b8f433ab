# SPDX-License-Identifier: GPL-2.0-or-later
"""What variants of the stack do to a verdict, and what is said of them."""

from reviewbot.model.comparison import Cell, Class, Compared, Comparison
from reviewbot.model.deep import Deep
from reviewbot.model.results import LegResult, Outcome, Results, TestResult
from reviewbot.model.verdict import Verdict, VerdictKind
from reviewbot.report.notes import rests_on
from reviewbot.report.reproducer import reproducer
from reviewbot.report.summary import summary_markdown
from reviewbot.report.words import sentence
from reviewbot.verdict import with_deep
from tests.report.records import passing

PASS = Verdict(run="r", kind=VerdictKind.PASS, compared_with="base")


def variant(outcome: Outcome, kind: Class | None = None) -> Deep:
    log = "logs/fuse2fs/smoke/rename"
    test = TestResult(suite="smoke", test="rename", outcome=outcome, reason="lockdep: x", log=log)
    fine = TestResult(suite="smoke", test="mount", outcome=Outcome.INFRA if outcome is Outcome.INFRA else Outcome.PASS)
    leg = LegResult(leg="fuse2fs", available=True, tests=(fine, test))
    tests = (Compared(leg="fuse2fs", suite="smoke", test="rename", outcome=outcome, kind=kind),) if kind else ()
    return Deep(
        variant="kasan,lockdep", results=Results(run="r", tool="t", legs=(leg,)), comparison=Comparison(tests=tests)
    )


def judged(deep: Deep) -> Verdict:
    return with_deep(PASS, deep, lambda commit: None)


def test_what_only_a_variant_shows_is_a_regression_of_that_variant() -> None:
    found = judged(variant(Outcome.CRASH, Class.NEW))
    (finding,) = found.findings
    assert (found.kind, finding.variant) == (VerdictKind.REGRESSION, "kasan,lockdep")
    assert finding.log == "deep/kasan+lockdep/logs/fuse2fs/smoke/rename"
    assert sentence(finding).startswith("fuse2fs (kasan,lockdep) smoke/rename CRASH: lockdep: x")


def test_what_base_shows_in_that_variant_too_changes_nothing() -> None:
    assert judged(variant(Outcome.CRASH, Class.PRE_EXISTING)) == PASS


def test_a_variant_without_results_is_named_and_is_no_fault_of_the_series() -> None:
    for deep in (Deep(variant="kasan,lockdep", problem="no room"), variant(Outcome.INFRA)):
        found = judged(deep)
        assert found.kind is VerdictKind.PASS and found.findings == () and "variant kasan,lockdep" in found.lacks


def test_a_report_says_what_its_verdict_rests_on() -> None:
    record = passing()
    assert record.plan
    cell = Cell(leg="fuse2fs", patched=("kernel",), passed=9, outcome=Outcome.PASS)
    plan = record.plan.model_copy(update={"deep": True, "tests": "-g quick"})
    record = record.model_copy(
        update={"plan": plan, "deep": (variant(Outcome.PASS),), "comparison": Comparison(cells=(cell,))}
    )
    words = "this is based on the plain stack (fstests -g quick), 1 mixed stack and variant kasan,lockdep (2 passed)"
    assert rests_on(record) == words
    text = summary_markdown(record)
    assert words in text and "| fuse2fs (kasan,lockdep) | smoke | 2 | 2 |" in text


def test_what_only_a_variant_shows_is_done_again_in_that_variant_alone() -> None:
    record = passing()
    assert record.plan
    plan = record.plan.model_copy(update={"deep": True, "arguments": ("--blame", "1h", "--deep")})
    found = judged(variant(Outcome.CRASH, Class.NEW))
    words = " ".join(reproducer(record.model_copy(update={"plan": plan, "verdict": found})))
    text = " ".join(words.replace("\\", " ").split())
    assert "--legs fuse2fs --suites smoke --variant kasan,lockdep --blame 1h" in text and "--deep" not in text
