# SPDX-License-Identifier: GPL-2.0-or-later
"""What the author of a series gets: what was tested, what it means, how to do it again; nothing of our own troubles."""

from email import message_from_bytes, policy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from reviewbot.build.errors import BuildFails, FirstError
from reviewbot.model.results import Outcome
from reviewbot.report import Record, reply_mail
from reviewbot.report.mail import replies
from reviewbot.verdict import judge_error
from tests.report.records import (
    PLAN,
    POSTING,
    RECORDS,
    RUN,
    TREES,
    case,
    compared,
    failing,
    judged,
    known,
    leg,
    passing,
    passing_with_review,
    refused,
    results,
    unapplied,
)


def body(record: Record) -> str:
    return str(message_from_bytes(reply_mail(record, b""), policy=policy.default).get_content())


def words(text: str) -> str:
    """On one line, however it is wrapped."""
    return " ".join(text.split())


@pytest.mark.parametrize("name", RECORDS)
def test_the_verdict_is_the_first_word_and_in_the_subject_and_no_line_is_too_wide(name: str) -> None:
    record = RECORDS[name]()
    assert record.verdict is not None
    message = message_from_bytes(reply_mail(record, b""), policy=policy.default)
    assert message["Subject"].endswith(f" ({record.verdict.kind})")
    assert body(record).startswith(f"{record.verdict.kind}")
    assert all(len(line) <= 78 for line in body(record).splitlines())


def test_each_component_is_named_by_what_others_have() -> None:
    said = words(body(passing()))
    assert "kernel Debian linux-source-6.12 6.12.48-1 none libfuse https://github.com/libfuse/libfuse.git" in said
    assert "2b2b2b2b2b2b, 3 patches, default of the stack: master tree d1d1d1d1d1d1" in said
    assert "1a1a1a1a1a1a" not in said, "a commit that was made here by an import says nothing to others"


def test_the_tests_that_ran_are_named_or_counted() -> None:
    assert "fstests: generic/001" in body(passing())
    many = [case("fstests", f"generic/{number:03}") for number in range(100)]
    record = judged(results(leg("ext4", *many)))
    assert words("fstests: 100 tests of `generic/001 generic/023`") in words(body(record))


def test_troubles_of_the_machine_are_not_the_authors() -> None:
    said = body(passing()) + body(failing())
    for trouble in ("no route to host", "/dev/kvm", "s of CPU", "without checkpatch"):
        assert trouble not in said
    assert "the CPU was emulated (TCG)" in words(body(failing())), "but what changes the meaning of results is said"


def test_warnings_of_the_review_are_shown_and_not_only_counted() -> None:
    assert "lib/fuse.c:2872: line length of 112 exceeds 100 [checkpatch]" in words(body(passing_with_review()))


def test_a_pass_says_nothing_of_comparison_and_failures_do() -> None:
    assert "older than this series" not in body(passing())
    assert "older than this series" in words(body(failing()))


def test_a_leg_with_failures_that_holds_nothing_of_the_series_is_named() -> None:
    legs = tuple(one.model_copy(update={"needs": ("kernel", "lkl")}) for one in PLAN.legs)
    record = judged(results(leg("ext4", case("smoke", "fio", Outcome.FAIL)), leg("fuse2fs", case("smoke", "fio"))))
    record = record.model_copy(update={"plan": PLAN.model_copy(update={"legs": legs})})
    assert "leg ext4 uses no component that the series changes (e2fsprogs, libfuse)" in words(body(record))
    assert "leg fuse2fs uses" not in words(body(record)), "it passed"


def test_the_command_has_the_options_of_the_run() -> None:
    plan = PLAN.model_copy(update={"arguments": ("--legs", "ext4,fuse2fs", "--suites", "smoke", "--budget", "1800s")})
    said = body(passing().model_copy(update={"plan": plan})).partition("To reproduce:")[2]
    command = words(said.lstrip().partition("\n\n")[0].replace("\\\n", ""))
    assert command.startswith("reviewbot apply-and-test --legs ext4,fuse2fs --suites smoke --budget 1800s --base ")
    assert command.endswith(POSTING.top)


def test_a_reply_links_to_the_run_where_the_site_says_how() -> None:
    assert "Logs:" not in body(passing())
    assert "Logs: https://ci.example.org/x\n" in body(passing().model_copy(update={"url": "https://ci.example.org/x"}))


def test_a_build_that_fails_names_the_compiler_and_files_of_the_tree() -> None:
    error = FirstError("‘x’ undeclared", "lib/fuse_lowlevel.c:464", "lib/fuse_lowlevel.c:464:2: error: ‘x’ undeclared")
    found = BuildFails("libfuse", error, Path(f"/x/{RUN}/logs/build/libfuse.log"), compiler="gcc 4:12.2.0-3")
    said = body(Record(run=RUN, tool="t", posting=POSTING, plan=PLAN, trees=TREES, verdict=judge_error(RUN, found)))
    assert words(said).startswith("BUILD-FAILS: libfuse does not build: lib/fuse_lowlevel.c:464: ‘x’ undeclared lib/")
    assert "Compiler: gcc 4:12.2.0-3" in said and "/obj" not in said


def test_a_patch_that_does_not_apply_says_first_what_the_author_does_not_have() -> None:
    error = refused()
    error.base_why, error.evidence = "declared by base-commit", ("none of 4 other bases would accept this patch",)
    said = body(Record(run=RUN, tool="t", posting=POSTING, plan=PLAN, verdict=judge_error(RUN, error)))
    assert said.index("none of 4 other bases") < said.index("@@ -2871,7")
    assert "declared by base-commit" in said


def test_a_reproduction_of_a_regression_runs_only_what_is_new() -> None:
    said = words(body(compared()).partition("To reproduce:")[2].replace("\\\n", ""))
    assert said.startswith("reviewbot apply-and-test --legs fuse2fs --suites smoke --base libfuse=2b2b2b2b2b2b2b2b ")
    installs = compared().model_copy(update={"install": "git+https://example.org/bot@0123456789ab"})
    said = body(installs).partition("To reproduce:")[2].lstrip()
    assert said.startswith("pip install git+https://example.org/bot@0123456789ab\n  reviewbot apply-and-test")


def test_what_does_not_apply_is_tried_without_building_anything() -> None:
    assert "\n  reviewbot plan --try-bases --tests " in body(unapplied())
    options = ("--legs", "ext4", "--blame", "60s", "--base", "libfuse=x", "--no-compare", "--compat", "--deep")
    asked = unapplied().model_copy(update={"plan": PLAN.model_copy(update={"arguments": options})})
    said = words(body(asked).partition("To reproduce:")[2].replace("\\\n", ""))
    assert said.startswith(f"reviewbot plan --try-bases --legs ext4 --base libfuse=x {POSTING.top} "), (
        "options that only a run takes are left out"
    )


def test_a_test_without_a_result_names_its_variant() -> None:
    record = RECORDS["fail"]()
    assert record.verdict
    deep = tuple(
        one.model_copy(update={"variant": "kasan"}) if one.outcome and one.outcome.unknown else one
        for one in record.verdict.findings
    )
    said = words(body(record.model_copy(update={"verdict": record.verdict.model_copy(update={"findings": deep})})))
    assert "2 tests got no result because of the test machine: fuse2fs (kasan) smoke/links" in said


def test_a_tested_by_is_offered_for_what_passed_only_and_never_a_reviewed_by() -> None:
    offers = {name: "| Tested-by: " in body(build()) for name, build in RECORDS.items()}
    assert {name for name, offered in offers.items() if offered} == {"pass", "pass-reviewed", "counted"}
    assert not any("Reviewed-by" in body(build()) for build in RECORDS.values())


LONG = st.sampled_from(["x" * 300, "测试" * 120, "/a/very/long/path" * 20, "a " * 200, "\t" * 90, "🦀" * 50])


@given(LONG)
def test_no_word_makes_a_line_wider_than_a_mail(word: str) -> None:
    broken = [case("smoke", "rename", Outcome.FAIL, reason=word, excerpt=word), known("acl", word)]
    record = judged(results(leg("fuse2fs", *broken, reason=word), leg("ext4", case("fstests", "generic/001"))))
    trees = [tree.model_copy(update={"source": word, "base_why": word}) for tree in TREES.trees]
    plan = PLAN.model_copy(update={"arguments": ("--tests", word, "--legs", "ext4")})
    record = record.model_copy(update={"plan": plan, "trees": TREES.model_copy(update={"trees": tuple(trees)})})
    assert max(cell_len(line) for line in body(record).splitlines()) <= 78


def test_a_reply_about_thousands_of_failures_is_short() -> None:
    legs = [
        leg(
            f"leg{n}",
            *(
                case("fstests", f"generic/{t:04}", Outcome.FAIL, reason="r" * 300, diff="d\n" * 400)
                for t in range(1500)
            ),
            reason="why " * 100,
        )
        for n in range(5)
    ]
    text = body(judged(results(*legs)))
    assert len(text.encode()) < 20_000 and len(text.splitlines()) < 200
    assert text.count("\n* leg") == 5 and "… and 7495 more." in text


def test_the_mail_of_the_guilty_patch_is_answered_and_the_cover_where_several_are() -> None:
    found = message_from_bytes(reply_of(compared()), policy=policy.default)
    assert found["In-Reply-To"] == "<libfuse.2@example.org>" and found["Subject"].startswith("Re: [PATCH 2/3] libfuse")
    record = compared()
    assert record.verdict
    first, second, *_others = record.verdict.findings
    other = first.suspects[0].model_copy(update={"message_id": "libfuse.3@example.org"})
    both = record.verdict.model_copy(update={"findings": (first, second.model_copy(update={"suspects": (other,)}))})
    found = message_from_bytes(reply_of(record.model_copy(update={"verdict": both})), policy=policy.default)
    assert found["In-Reply-To"] == f"<{POSTING.top}>"


def reply_of(record: Record) -> bytes:
    return replies(record, {})["reply.eml"]
