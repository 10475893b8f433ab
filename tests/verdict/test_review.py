# SPDX-License-Identifier: GPL-2.0-or-later
"""What a review means, by itself and beside tests."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from reviewbot.build.errors import BaseFails, BuildFails, FirstError
from reviewbot.model.results import Outcome
from reviewbot.model.review import Review, ReviewFinding, Severity
from reviewbot.model.trees import AppliedPatch
from reviewbot.model.verdict import ExitStatus, SaidVerdict, Verdict, VerdictKind
from reviewbot.report import Record, said
from reviewbot.verdict import judge_error, with_blame, with_review
from reviewbot.verdict import judge_review as facts_of
from tests.report.records import (
    FIXES,
    LONG,
    POSTING,
    RUN,
    SIGNED,
    TREES,
    built,
    case,
    judged,
    leg,
    results,
    review_clean,
    review_with_errors,
)


def judge_review(run: str, review: Review, *, heads: Sequence[Verdict] = ()) -> SaidVerdict:
    """The verdict of a review, and its sentences."""
    found = facts_of(run, review, heads=heads)
    return said(Record(run=run, tool="t", posting=POSTING, review=review, verdict=found))


def with_tests(outcome: Outcome, review: Review) -> SaidVerdict:
    """The verdict of a run with one test of this outcome, and this review."""
    record = after_tests(outcome)
    assert record.verdict is not None
    judged = with_review(record.verdict, review)
    return said(record.model_copy(update={"review": review, "verdict": judged}))


def only(review: Review, *found: ReviewFinding) -> Review:
    """The clean review with these findings on its first patch."""
    first = review.patches[0].model_copy(update={"findings": found})
    return review.model_copy(update={"patches": (first, *review.patches[1:])})


def after_tests(outcome: Outcome) -> Record:
    return judged(results(leg("ext4", case("smoke", "rename"), case("smoke", "fio", outcome))))


def test_a_clean_review_passes_and_says_that_nothing_was_tested() -> None:
    verdict = judge_review(RUN, review_clean())
    assert (verdict.kind, verdict.kind.exit_status) == (VerdictKind.PASS, ExitStatus.PASS)
    assert verdict.summary.endswith("nothing was booted or tested")
    assert verdict.findings == ()


@pytest.mark.parametrize("finding", [LONG, FIXES])
def test_warnings_and_notes_are_no_errors(finding: ReviewFinding) -> None:
    assert judge_review(RUN, only(review_clean(), finding)).kind is VerdictKind.PASS


def test_an_error_of_any_tool_ends_with_status_1_and_names_patch_and_tool() -> None:
    verdict = judge_review(RUN, only(review_clean(), LONG, SIGNED))
    assert (verdict.kind, verdict.kind.exit_status) == (VerdictKind.REVIEW_ERRORS, ExitStatus.SERIES)
    (finding,) = verdict.findings
    assert finding.what == f"libfuse patch 1/3: {SIGNED.message} [message]"
    assert finding.patch is not None and finding.patch.message_id == "libfuse.1@example.org"
    assert "1 error, 1 warning" in verdict.summary and "nothing was booted" in verdict.summary


def test_an_error_of_the_series_counts_too() -> None:
    review = review_clean().model_copy(update={"findings": (SIGNED,)})
    assert judge_review(RUN, review).kind is VerdictKind.REVIEW_ERRORS


def test_a_patch_that_does_not_build_on_its_own_outranks_errors() -> None:
    verdict = judge_review(RUN, review_with_errors())
    assert verdict.kind is VerdictKind.BUILD_FAILS
    assert verdict.summary.startswith("libfuse patch 2/3 does not build on its own: lib/fuse.c:2871: ")
    assert verdict.summary.endswith("; head builds: this breaks git bisect")
    first = verdict.findings[0]
    assert first.patch is not None
    assert (first.patch.message_id, first.log) == ("libfuse.2@example.org", "logs/review/libfuse-2.log")
    assert "error: ‘struct fuse’" in first.detail


def test_what_the_build_says_is_said_once() -> None:
    review = review_with_errors()
    repeated = (
        ReviewFinding(tool="build", severity=Severity.ERROR, message="does not build with this patch: x"),
        ReviewFinding(tool="gcc", severity=Severity.WARNING, message="unused"),
    )
    patches = tuple(patch.model_copy(update={"findings": (*patch.findings, *repeated)}) for patch in review.patches)
    same = review.model_copy(update={"patches": patches})
    assert same.words() == review.words() == "2 errors, 1 warning, 1 new compiler warning"
    assert judge_review(RUN, same).findings == judge_review(RUN, review).findings


def test_an_error_that_came_with_an_earlier_patch_says_so_and_brings_no_evidence() -> None:
    heir = built("failed", error="no", place="a.c:1", detail="cc -c a.c", came_with="libfuse: step 2")
    review = review_with_errors()
    patches = (*review.patches[:2], review.patches[2].model_copy(update={"build": heir}))
    finding = judge_review(RUN, review.model_copy(update={"patches": patches})).findings[1]
    assert finding.what == "libfuse patch 3/3 does not build: a.c:1: no (the error came with “libfuse: step 2”)"
    assert finding.detail == ""


def test_an_error_that_base_has_too_is_nobodys_fault() -> None:
    old = built("failed", error="no", place="a.c:1", of_base=True)
    patches = tuple(patch.model_copy(update={"build": old}) for patch in review_clean().patches[2:])
    review = review_clean().model_copy(update={"patches": patches})
    verdict = judge_review(RUN, review)
    assert (verdict.kind, verdict.findings) == (VerdictKind.INFRA, ()), "nothing could be built"
    assert "2 patches were not built: a.c:1: no (the state before the patches has the same error)" in verdict.notes
    head = judge_review(RUN, review, heads=[failing_base()])
    assert head.kind is VerdictKind.INFRA and "says nothing about the series" in head.summary
    both = judge_review(RUN, review, heads=[failing_base(), failing_head("kernel")])
    assert both.kind is VerdictKind.BUILD_FAILS


def test_many_broken_patches_are_counted_and_some_named() -> None:
    patches = tuple(p.model_copy(update={"build": built("failed", error="no")}) for p in review_clean().patches)
    summary = judge_review(RUN, review_clean().model_copy(update={"patches": patches})).summary
    assert summary.startswith("4 patches do not build on their own: libfuse patch 1/3, libfuse patch 2/3, ")
    assert "and 1 more" in summary


@pytest.mark.parametrize(
    ("states", "words"),
    [
        (("built",) * 4, "all 4 patches build individually"),
        (("not-affected",) * 4, "no patch changes anything that is built"),
        (
            ("built", "built", "built", "not-affected"),
            "3 of 4 patches build individually, 1 changes nothing that is built",
        ),
        (("built", "skipped", "skipped", "built"), "2 of 4 patches build individually, 2 were not built"),
        (("skipped",) * 4, "no patch was built"),
        ((None,) * 4, "no patch was built"),
        (("built",), "the patch builds"),
        (("head-only",) * 4, "the patches were built at head only"),
        (("head-only", "not-affected", "not-affected", "not-affected"), "the patches were built at head only"),
    ],
)
def test_what_was_built_is_said(states: tuple[str | None, ...], words: str) -> None:
    assert judge_review(RUN, in_states(states)).summary.startswith(f"{words};")


@pytest.mark.parametrize(
    ("states", "kind"),
    [
        (("built", "skipped", "skipped", "skipped"), VerdictKind.PASS),
        (("not-affected",) * 4, VerdictKind.PASS),
        (("head-only", "not-affected", "head-only", "not-affected"), VerdictKind.PASS),
        (("skipped",) * 4, VerdictKind.INFRA),
        (("skipped", "not-affected", "not-affected", "head-only"), VerdictKind.INFRA),
        ((None,) * 4, VerdictKind.REVIEWED),
    ],
)
def test_a_review_in_which_nothing_could_be_built_is_no_pass(states: tuple[str | None, ...], kind: VerdictKind) -> None:
    assert judge_review(RUN, in_states(states)).kind is kind


def in_states(states: tuple[str | None, ...]) -> Review:
    """The clean review, with these outcomes of its builds."""
    review = review_clean()
    patches = tuple(
        patch.model_copy(update={"build": built().model_copy(update={"state": state}) if state else None})
        for patch, state in zip(review.patches, states, strict=False)
    )
    return review.model_copy(update={"patches": patches})


def test_what_was_not_looked_at_is_in_the_notes() -> None:
    notes = judge_review(RUN, review_with_errors()).notes
    assert "without sparse: it is not in the build root" in notes
    assert "e2fsprogs patch 1/1 was not built: libfuse does not build" in notes


def failing_head(component: str = "libfuse") -> Verdict:
    error = FirstError("‘struct fuse’ has no member named ‘rename’", "lib/fuse.c:2871", "the context")
    return judge_error(RUN, BuildFails(component, error, Path(f"/data/runs/{RUN}/logs/build/{component}.log")))


def sentences(verdict: Verdict) -> SaidVerdict:
    return said(Record(run=RUN, tool="t", posting=POSTING, verdict=verdict))


def failing_base() -> Verdict:
    log = Path(f"/data/runs/{RUN}/logs/build/libfuse.log")
    error = FirstError("‘struct fuse’ has no member named ‘rename’", "lib/fuse.c:2871", "the context")
    return judge_error(RUN, BaseFails("libfuse", error, error, log, log.with_name("libfuse-base.log")))


def test_a_head_that_does_not_build_comes_first_and_the_reviewers_are_heard_all_the_same() -> None:
    verdict = judge_review(RUN, review_with_errors(), heads=[failing_head()])
    assert verdict.kind is VerdictKind.BUILD_FAILS
    assert verdict.summary == "libfuse does not build: lib/fuse.c:2871: ‘struct fuse’ has no member named ‘rename’"
    assert verdict.findings[0].log == "logs/build/libfuse.log"
    assert any(SIGNED.message in finding.what for finding in verdict.findings)
    assert [finding.detail for finding in verdict.findings if "patch 2/3" in finding.what] == [""], "it is said once"
    assert "head builds" not in verdict.summary


def test_every_component_whose_head_does_not_build_is_named() -> None:
    verdict = judge_review(RUN, review_with_errors(), heads=[failing_head("kernel"), failing_head()])
    assert verdict.summary.startswith("kernel does not build: ") and "; libfuse does not build: " in verdict.summary
    assert [finding.log for finding in verdict.findings[:2]] == ["logs/build/kernel.log", "logs/build/libfuse.log"]
    assert all(finding.detail == "the context" for finding in verdict.findings[:2])


def test_blame_names_the_first_bad_patch() -> None:
    first = AppliedPatch(message_id="libfuse.2@example.org", subject="[PATCH 2/3] libfuse: step 2", commit="e5" * 20)
    blamed = sentences(with_blame(failing_head(), first, TREES, POSTING))
    assert blamed.summary.endswith("; since libfuse patch 2/3 (libfuse: step 2)")
    assert blamed.findings[0].patch is not None
    assert blamed.findings[0].patch.message_id == "libfuse.2@example.org"


def test_blame_of_a_commit_that_came_with_git_names_its_place() -> None:
    tree = TREES.trees[1]
    commits = tuple(AppliedPatch(message_id="", subject=f"step {n}", commit=str(n) * 40) for n in (1, 2, 3))
    trees = TREES.model_copy(update={"trees": (tree.model_copy(update={"patches": commits}),)})
    blamed = sentences(with_blame(failing_head(), commits[1], trees, POSTING))
    assert blamed.summary.endswith("; since libfuse commit 2/3 (step 2)")


def test_errors_of_reviewers_do_not_change_what_the_tests_said_but_are_noted() -> None:
    verdict = with_tests(Outcome.PASS, only(review_clean(), SIGNED, LONG))
    assert verdict.kind is VerdictKind.PASS
    assert verdict.notes[0] == "review: 1 error, 1 warning"


@pytest.mark.parametrize("outcome", [Outcome.PASS, Outcome.FAIL, Outcome.INFRA])
def test_a_patch_that_does_not_build_outranks_the_tests_and_keeps_their_words(outcome: Outcome) -> None:
    before = said(after_tests(outcome))
    verdict = with_tests(outcome, review_with_errors())
    assert verdict.kind is VerdictKind.BUILD_FAILS
    assert "head builds" in verdict.summary and before.summary in verdict.summary
    assert [one.what for one in verdict.findings[1:]] == [one.what for one in before.findings]
