# SPDX-License-Identifier: GPL-2.0-or-later
"""The one word of a run, and what its reader must know to trust it."""

from pathlib import Path

import pytest

from reviewbot.build.errors import BuildFails, FirstError
from reviewbot.build.kconfig import ConfigLost
from reviewbot.host.process import CommandFailed, CommandTimeout, ToolMissing
from reviewbot.intake.errors import ArchiveUnreachable
from reviewbot.model.errors import Blocked, DiskFull, InfraError, ReviewbotError, SeriesAtFault
from reviewbot.model.results import Known, LegResult, Outcome, Results, TestResult
from reviewbot.model.trees import AppliedPatch, Attempt, Tree, Trees
from reviewbot.model.verdict import ExitStatus, SaidVerdict, Verdict, VerdictKind
from reviewbot.report import Record, said
from reviewbot.trees.errors import DoesNotApply, SourceUnreachable
from reviewbot.verdict import judge, judge_error
from tests.report.records import POSTING

RUN = "20261103-101502-7a3f"
NOT_COMPARED = "failures may be older than this series: this run has no base run"
EMULATED = "the CPU was emulated (TCG): times mean little, and races show up differently"


def leg(name: str, *outcomes: Outcome, reason: str = "", accelerator: str = "kvm", reused: bool = False) -> LegResult:
    """Its tests are named `0`, `1`, … and have the given outcomes."""
    tests = tuple(TestResult(suite="smoke", test=str(n), outcome=outcome) for n, outcome in enumerate(outcomes))
    return LegResult(leg=name, available=True, reason=reason, tests=tests, accelerator=accelerator, reused=reused)


def unavailable(name: str, reason: str) -> LegResult:
    return LegResult(leg=name, available=False, reason=reason)


def verdict(*legs: LegResult, trees: Trees | None = None, why: str = "") -> SaidVerdict:
    """The verdict of a run with these legs, and its sentences."""
    found = Results(run=RUN, tool="reviewbot 0", accelerator_why=why, legs=legs)
    return said(Record(run=RUN, tool="t", posting=POSTING, results=found, trees=trees, verdict=judge(RUN, found)))


def of_error(error: ReviewbotError) -> SaidVerdict:
    return said(Record(run=RUN, tool="t", posting=POSTING, verdict=judge_error(RUN, error)))


def places(found: Verdict) -> list[str]:
    return [f"{one.leg}/{one.suite}/{one.test}" for one in found.findings]


def test_tests_that_all_passed_or_could_not_run_are_a_pass() -> None:
    found = verdict(leg("ext4", Outcome.PASS, Outcome.PASS), leg("fuse2fs", Outcome.PASS, Outcome.NOTRUN))
    assert (found.kind, found.run, found.findings) == (VerdictKind.PASS, RUN, ())
    assert found.summary == "all 3 tests that could run passed in 2 legs (ext4, fuse2fs)"


def test_a_pass_names_only_the_legs_that_there_were() -> None:
    found = verdict(leg("ext4", Outcome.PASS), unavailable("lklfuse", "no lkl"))
    assert found.kind is VerdictKind.PASS
    assert found.summary == "the only test that could run passed in 1 leg (ext4)"


def known(*components: str) -> LegResult:
    why = Known(reason="ACLs are stored and not enforced", link="https://example.org", components=components)
    failed = TestResult(suite="smoke", test="acl", outcome=Outcome.KNOWN, reason="may not read", known=why)
    fine = leg("fuse4fs", Outcome.PASS)
    return fine.model_copy(update={"tests": (*fine.tests, failed)})


def test_a_known_failure_is_no_regression_and_is_counted() -> None:
    found = verdict(known("e2fsprogs"))
    assert (found.kind, found.findings) == (VerdictKind.PASS, ())
    assert "KNOWN: 1 test failed in ways the unpatched stack is known to fail" in found.notes


def test_a_known_failure_of_what_the_series_changes_is_told_with_the_verdict() -> None:
    patch = AppliedPatch(message_id="a@b", subject="[PATCH] acl", commit="e" * 40)

    def found(component: str, patch: AppliedPatch) -> SaidVerdict:
        tree = Tree(
            component=component,
            repository="/x",
            source="s",
            base_commit="a" * 40,
            base_tree="d" * 40,
            base_why="w",
            head_commit="b" * 40,
            head_tree="c" * 40,
            patches=(patch,),
        )
        return verdict(known("e2fsprogs"), trees=Trees(trees=(tree,)))

    changed = found("e2fsprogs", patch)
    assert changed.kind is VerdictKind.PASS
    assert changed.summary.endswith(
        "; 1 known failure in components that the series changes: fuse4fs smoke/acl KNOWN: may not read"
    )
    assert changed.notes[0].endswith("; please check those in components that the series changes: fuse4fs smoke/acl")
    for other in (found("libfuse", patch), found("e2fsprogs", patch.model_copy(update={"prerequisite": True}))):
        assert "known failure" not in other.summary


@pytest.mark.parametrize("outcome", [Outcome.FAIL, Outcome.CRASH, Outcome.HANG])
def test_anything_broken_is_failures_that_are_not_compared(outcome: Outcome) -> None:
    found = verdict(leg("ext4", Outcome.PASS, Outcome.PASS, outcome), leg("fuse2fs", Outcome.PASS))
    assert found.kind is VerdictKind.FAILURES
    assert (
        found.summary == f"1 test failed on head and could not be compared with base: ext4 smoke/2 {outcome}; 3 passed"
    )
    assert found.notes[0] == NOT_COMPARED
    assert found.compared_with is None
    assert places(found) == ["ext4/smoke/2"]


@pytest.mark.parametrize("outcome", [Outcome.INFRA, Outcome.MISS])
def test_anything_unknown_says_nothing_about_the_series(outcome: Outcome) -> None:
    found = verdict(leg("ext4", Outcome.PASS, outcome, outcome), leg("fuse2fs", outcome))
    assert found.kind is VerdictKind.INFRA
    assert found.summary == (
        "3 tests got no result: 2 in ext4 (smoke/1, smoke/2), 1 in fuse2fs (smoke/0); "
        "this says nothing about the series"
    )
    assert len(found.findings) == 3


def test_tests_that_got_no_result_for_one_reason_are_one_finding() -> None:
    lost = leg("fuse4fs", Outcome.INFRA, Outcome.INFRA, Outcome.INFRA)
    why = ("the machine was lost", "the machine was lost", "no disk")
    tests = tuple(test.model_copy(update={"reason": said}) for test, said in zip(lost.tests, why, strict=True))
    found = verdict(lost.model_copy(update={"tests": tests}))
    assert [(one.said, one.also) for one in found.findings] == [
        ("the machine was lost", ("fuse4fs smoke/1",)),
        ("no disk", ()),
    ]


def test_broken_counts_before_unknown_and_its_findings_come_first() -> None:
    found = verdict(leg("ext4", Outcome.MISS, Outcome.INFRA), leg("fuse2fs", Outcome.HANG, Outcome.PASS, Outcome.FAIL))
    assert found.kind is VerdictKind.FAILURES
    assert found.summary.startswith(
        "2 tests failed on head and could not be compared with base: 2 in fuse2fs (smoke/0, smoke/2); 1 passed"
    )
    assert places(found) == [
        "fuse2fs/smoke/0",
        "fuse2fs/smoke/2",
        "ext4/smoke/0",
        "ext4/smoke/1",
    ]


@pytest.mark.parametrize(
    "legs",
    [(), (leg("ext4"),), (leg("ext4", Outcome.NOTRUN, Outcome.NOTRUN),), (unavailable("ext4", "no kernel"),)],
    ids=["no legs", "no tests", "nothing could run", "no leg available"],
)
def test_a_run_in_which_nothing_passed_is_never_a_pass(legs: tuple[LegResult, ...]) -> None:
    found = verdict(*legs)
    assert found.kind is VerdictKind.INFRA
    assert found.summary == "no test passed; this says nothing about the series"


def test_a_finding_has_the_reason_the_log_and_a_little_evidence() -> None:
    test = TestResult(
        suite="fstests",
        test="generic/001",
        outcome=Outcome.FAIL,
        reason="output differs",
        excerpt="not this",
        diff="\n".join(f"+line {n}" for n in range(50)),
        log="logs/ext4/x",
    )
    (finding,) = verdict(LegResult(leg="ext4", available=True, tests=(test,))).findings
    assert finding.what == "ext4 fstests/generic/001 FAIL: output differs"
    assert finding.detail.splitlines() == [f"+line {n}" for n in range(20)]
    assert finding.log == "logs/ext4/x"


def test_without_a_diff_the_tests_own_words_are_the_evidence() -> None:
    test = TestResult(suite="smoke", test="fio", outcome=Outcome.CRASH, excerpt="server died\n" + "x" * 9000)
    (finding,) = verdict(LegResult(leg="fuse2fs", available=True, tests=(test,))).findings
    assert finding.what == "fuse2fs smoke/fio CRASH"
    assert finding.detail.startswith("server died\nx") and len(finding.detail) == 4096


def test_a_pass_needs_no_word_of_comparison() -> None:
    assert verdict(leg("ext4", Outcome.PASS)).notes == ()


def test_notes_name_legs_that_were_unavailable_or_stopped() -> None:
    found = verdict(
        leg("ext4", Outcome.PASS),
        unavailable("lklfuse", "lkl is unavailable"),
        leg("fuse2fs", Outcome.PASS, reason="stopped early: disk full"),
    )
    assert found.notes == (
        "leg lklfuse is unavailable: lkl is unavailable",
        "leg fuse2fs: stopped early: disk full",
    )


def test_notes_name_legs_whose_results_are_older() -> None:
    found = verdict(leg("ext4", Outcome.PASS, reused=True), leg("fuse2fs", Outcome.PASS), leg("fuse4fs", reused=True))
    assert found.notes == ("same inputs as an earlier run, results taken from it: ext4",)


def test_notes_say_that_and_why_a_cpu_was_emulated() -> None:
    found = verdict(leg("ext4", Outcome.PASS, accelerator="tcg"), why="/dev/kvm is not there")
    assert found.notes == ("/dev/kvm is not there: times mean little, and races show up differently",)
    broken = verdict(leg("ext4", Outcome.FAIL, accelerator="tcg"), why="/dev/kvm is not there")
    assert broken.notes[-2:] == (EMULATED, "/dev/kvm is not there")
    assert verdict(leg("ext4", Outcome.PASS, accelerator="tcg")).notes == (EMULATED,)
    assert verdict(leg("ext4", Outcome.PASS), why="/dev/kvm is not there").notes == ()


def test_notes_tell_of_sources_that_could_not_be_had_and_of_what_was_tried() -> None:
    tree = Tree(
        component="kernel",
        repository="/r",
        source="git x",
        base_commit="1" * 40,
        base_tree="2" * 40,
        base_why="default",
        head_commit="1" * 40,
        head_tree="2" * 40,
        attempts=(Attempt(what="base-commit: 333", result="git x does not have it"),),
    )
    found = verdict(leg("ext4", Outcome.PASS), trees=Trees(trees=(tree,), unavailable={"lkl": "no route to host"}))
    assert found.notes == (
        "component lkl is unavailable: no route to host",
        "kernel: base-commit: 333: git x does not have it",
    )


DOES_NOT_APPLY = DoesNotApply(
    component="libfuse",
    part="2/6",
    number=3,
    total=5,
    message_id="p3@example.org",
    subject="use it",
    file="lib/fuse.c:7",
    hunk="@@ -7 +7 @@\n-old\n+new",
    words="error: patch failed: lib/fuse.c:7",
    base="v3.18",
)
BUILD_FAILS = BuildFails(
    "e2fsprogs",
    FirstError("‘x’ undeclared", "misc/fuse2fs.c:40", "int main()\nmisc/fuse2fs.c:40:1: error: ‘x’ undeclared"),
    Path(f"/home/dana/logs/runs/{RUN}/logs/build/e2fsprogs.log"),
)
ERRORS: list[tuple[ReviewbotError, VerdictKind, ExitStatus]] = [
    (DOES_NOT_APPLY, VerdictKind.DOES_NOT_APPLY, ExitStatus.SERIES),
    (BUILD_FAILS, VerdictKind.BUILD_FAILS, ExitStatus.SERIES),
    (Blocked("part 2 lacks patch 3"), VerdictKind.BLOCKED, ExitStatus.BLOCKED),
    (InfraError("QEMU is gone"), VerdictKind.INFRA, ExitStatus.INFRA),
    (DiskFull("/cache"), VerdictKind.INFRA, ExitStatus.INFRA),
    (CommandFailed(["git", "fetch"], 128, "fatal: no"), VerdictKind.INFRA, ExitStatus.INFRA),
    (CommandTimeout(["git", "fetch"], 600.0), VerdictKind.INFRA, ExitStatus.INFRA),
    (ToolMissing("bwrap"), VerdictKind.INFRA, ExitStatus.INFRA),
    (ArchiveUnreachable("https://lore.example.org", "no route"), VerdictKind.INFRA, ExitStatus.INFRA),
    (SourceUnreachable("kernel", "git x", "no route"), VerdictKind.INFRA, ExitStatus.INFRA),
]


@pytest.mark.parametrize(("error", "kind", "status"), ERRORS, ids=lambda value: type(value).__name__)
def test_an_error_becomes_its_own_verdict(error: ReviewbotError, kind: VerdictKind, status: ExitStatus) -> None:
    found = of_error(error)
    assert (found.kind, found.kind.exit_status, found.run) == (kind, status, RUN)
    assert found.kind.exit_status is error.exit_status
    assert found.summary == str(error) == found.findings[0].what
    assert "\n" not in found.summary and len(found.findings) == 1
    assert found.findings[0].in_summary
    assert SaidVerdict.model_validate_json(found.model_dump_json()) == found


def test_every_kind_of_error_that_ends_a_run_has_a_verdict() -> None:
    def kinds(error: type[ReviewbotError]) -> set[type[ReviewbotError]]:
        return {error}.union(*(kinds(child) for child in error.__subclasses__()))

    found = kinds(Blocked) | kinds(InfraError) | kinds(SeriesAtFault) - {SeriesAtFault}
    assert ConfigLost in found
    judged = {
        VerdictKind.PASS,
        VerdictKind.REVIEWED,
        VerdictKind.FAILURES,
        VerdictKind.REGRESSION,
        VerdictKind.REVIEW_ERRORS,
    }
    assert {error.verdict for error in found} == set(VerdictKind) - judged
    assert all(error.verdict is not None and error.verdict.exit_status is error.exit_status for error in found)


def test_an_error_without_a_verdict_says_nothing_about_the_series() -> None:
    assert judge_error(RUN, ReviewbotError("hm")).kind is VerdictKind.INFRA


def test_a_patch_that_does_not_apply_is_named_with_gits_words_its_hunk_and_a_hint() -> None:
    found = of_error(DOES_NOT_APPLY)
    (finding,) = found.findings
    assert finding.what == "libfuse part 2/6 patch 3/5 “use it” does not apply at lib/fuse.c:7"
    assert (finding.component, finding.file, finding.line) == ("libfuse", "lib/fuse.c", 7)
    assert finding.patch is not None and finding.patch.key == "p3@example.org"
    assert finding.detail == "applied on v3.18\nerror: patch failed: lib/fuse.c:7\n@@ -7 +7 @@\n-old\n+new"
    assert found.notes == ("name another base with --base libfuse=REF",)


def test_a_failed_build_is_named_with_its_component_and_context() -> None:
    (finding,) = of_error(BUILD_FAILS).findings
    assert finding.what == "e2fsprogs does not build: misc/fuse2fs.c:40: ‘x’ undeclared"
    assert (finding.component, finding.file, finding.line, finding.said) == (
        "e2fsprogs",
        "misc/fuse2fs.c",
        40,
        "‘x’ undeclared",
    )
    assert finding.detail == "int main()\nmisc/fuse2fs.c:40:1: error: ‘x’ undeclared"


def test_a_log_is_named_relative_to_the_run_also_in_the_hint() -> None:
    found = of_error(BUILD_FAILS)
    assert found.findings[0].log == "logs/build/e2fsprogs.log"
    assert found.notes == ("the whole log is logs/build/e2fsprogs.log",)
    assert "/home/dana" not in found.model_dump_json()


def test_a_log_outside_the_run_is_not_named() -> None:
    error = CommandFailed(["make"], 2, "no", log=Path("/tmp/logs/make.log"))
    assert judge_error(RUN, error).findings[0].log == ""


def test_much_evidence_is_cut() -> None:
    error = BuildFails("kernel", FirstError("x", "", "y" * 10000), Path("/x"))
    assert len(judge_error(RUN, error).findings[0].detail) == 4096


def test_an_error_without_a_hint_has_no_notes() -> None:
    assert of_error(Blocked("part 2 lacks patch 3")).notes == ()


def tree_with(*patches: AppliedPatch, attempts: tuple[Attempt, ...], justified: bool = True) -> Trees:
    tree = Tree(
        component="kernel",
        repository="/r",
        source="git x",
        base_commit="1" * 40,
        base_tree="2" * 40,
        base_why="default of the stack: master",
        head_commit="3" * 40,
        head_tree="4" * 40,
        patches=patches,
        attempts=attempts,
        justified=justified,
    )
    return Trees(trees=(tree,))


def applied(subject: str, **facts: bool) -> AppliedPatch:
    return AppliedPatch(message_id="p@x", subject=subject, commit="5" * 40, **facts)


def test_a_base_that_was_found_at_once_needs_no_note() -> None:
    found = tree_with(applied("a"), attempts=(Attempt(what="v7.1: 2 of 2 blobs match", result="chosen"),))
    assert verdict(leg("ext4", Outcome.PASS), trees=found).notes == ()


def test_what_base_has_already_and_a_base_that_nothing_justifies_are_noted() -> None:
    tried = (Attempt(what="master: test-apply", result="stopped at patch 1/2"),)
    trees = tree_with(applied("a", merged=True), applied("b"), attempts=tried, justified=False)
    assert verdict(leg("ext4", Outcome.PASS), trees=trees).notes == (
        "kernel: no evidence for this base: default of the stack: master",
        "kernel: base already has 1 patch: “a”",
        "kernel: master: test-apply: stopped at patch 1/2",
    )


@pytest.mark.parametrize(
    ("facts", "detail"),
    [
        (
            {"outcome": Outcome.HANG, "hang": "task fsx waits in fuse_wait", "excerpt": "x"},
            "task fsx waits in fuse_wait",
        ),
        ({"outcome": Outcome.CRASH, "crash": "oops", "dmesg": "BUG: bad\nRIP: 0", "diff": "-a"}, "BUG: bad\nRIP: 0"),
        ({"outcome": Outcome.FAIL, "dmesg": "ordinary words", "diff": "-a"}, "-a"),
    ],
)
def test_the_evidence_of_a_finding_is_what_tells_most(facts: dict[str, str], detail: str) -> None:
    test = TestResult.model_validate({"suite": "fstests", "test": "generic/001", **facts})
    found = LegResult(leg="fuse4fs", available=True, tests=(test,), accelerator="kvm")
    judged = judge(RUN, Results(run=RUN, tool="reviewbot", legs=(found,)))
    assert judged.findings[0].detail == detail
