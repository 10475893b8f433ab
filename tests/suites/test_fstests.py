# SPDX-License-Identifier: GPL-2.0-or-later
"""What `check` says, read from what a real one wrote (fuse2fs, fstests of 2026-01; the kernel renamed)."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.config import load_stack
from reviewbot.model.lab import StepReply
from reviewbot.model.results import Outcome, TestResult
from reviewbot.suites import fstests

GOLDEN = Path(__file__).parents[1] / "golden" / "fstests"
LEG = load_stack().leg("fuse2fs")


def read(golden: str, test: str, status: int, splat: str = "") -> TestResult:
    output = (GOLDEN / f"{golden}.txt").read_text()
    reply = StepReply(
        name=f"fstests/{test}", status="done", exit_status=status, output=output, splat=splat, seconds=4.0
    )
    (result,) = fstests.results(LEG, [StepReply(name="setup/leg", status="done", exit_status=0), reply])
    assert (result.suite, result.test, result.seconds) == ("fstests", test, 4.0)
    return result


@pytest.mark.parametrize(
    ("golden", "test", "status", "outcome", "reason"),
    [
        ("pass", "generic/001", 0, Outcome.PASS, ""),
        ("notrun", "generic/003", 0, Outcome.NOTRUN, "relatime not supported by the current kernel"),
        ("mismatch", "generic/035", 1, Outcome.FAIL,
         "unexpected output: t_rename_overwrite: fstat(3): Stale file handle"),
        ("failed", "selftest/003", 1, Outcome.FAIL, "exit status 1; unexpected output: I have _fail'ed"),
        ("inconsistent", "generic/002", 1, Outcome.FAIL, "filesystem on /dev/loop0 is inconsistent after the test"),
        ("dmesg", "generic/002", 1, Outcome.FAIL, "something found in dmesg"),
        ("unknown", "generic/999", 0, Outcome.MISS, "this fstests has no such test"),
        ("nomount", "generic/001", 1, Outcome.FAIL,
         "check could not start: mount.fuse.ext4: fuse2fs could not mount /dev/loop0 on /mnt/test:"),
        ("server-died", "generic/001", 70, Outcome.CRASH,
         "server died: fuse2fs /dev/loop0 pid 19141 exit status 137, still mounted"),
    ],
)  # fmt: skip
def test_outcome_and_reason(golden: str, test: str, status: int, outcome: Outcome, reason: str) -> None:
    result = read(golden, test, status)
    assert (result.outcome, result.reason) == (outcome, reason)


def test_the_kernels_own_words_are_the_reason_when_dmesg_failed_the_test() -> None:
    splat = "WARNING: CPU: 1 PID: 77 at fs/fuse/file.c:1234"
    assert read("dmesg", "generic/002", 1, splat).reason == f"kernel: {splat}"


def test_the_diff_is_unified_and_without_checks_decoration() -> None:
    lines = read("mismatch", "generic/035", 1).diff.splitlines()
    assert lines[0].startswith("--- tests/generic/035.out")
    assert lines[1].startswith("+++ /results/generic/035")
    assert lines[2].startswith("@@ ")
    assert lines[-1] == "+t_rename_overwrite: fstat(3): Stale file handle"


def test_a_test_that_passed_has_no_diff() -> None:
    assert read("pass", "generic/001", 0).diff == ""


def test_another_tests_verdict_is_not_taken_for_this_ones() -> None:
    assert read("pass", "generic/001", 1).outcome is not Outcome.PASS
    assert read("dmesg", "generic/00", 1).reason.startswith("check could not start")
    assert read("notrun", "generic/00", 0).outcome is not Outcome.NOTRUN


def test_a_check_that_was_killed_or_said_nothing_is_no_verdict_on_the_filesystem() -> None:
    for status in (None, -9, 1):
        reply = StepReply(name="fstests/generic/001", status="done", exit_status=status)
        assert fstests.results(LEG, [reply])[0].outcome is Outcome.INFRA


def test_steps_that_never_ended_by_themselves() -> None:
    outcomes = {
        status: fstests.results(LEG, [StepReply(name="fstests/generic/001", status=status)])[0].outcome
        for status in ("timeout", "lost", "crash", "skipped")
    }
    assert outcomes == {
        "timeout": Outcome.HANG, "lost": Outcome.INFRA, "crash": Outcome.CRASH, "skipped": Outcome.MISS,
    }  # fmt: skip


def test_an_excluded_test_is_notrun_with_its_reason() -> None:
    reply = StepReply(
        name="fstests/generic/001", status="done", exit_status=77, output="excluded: stale link counts (https://x)\n"
    )
    result = fstests.results(LEG, [reply])[0]
    assert (result.outcome, result.reason) == (Outcome.NOTRUN, "excluded: stale link counts (https://x)")


@given(st.text(), st.integers(min_value=-64, max_value=255) | st.none())
def test_no_output_breaks_the_reader(output: str, status: int | None) -> None:
    reply = StepReply(name="fstests/generic/001", status="done", exit_status=status, output=output)
    result = fstests.results(LEG, [reply])[0]
    assert len(result.excerpt) <= 4096 and len(result.diff) <= 4096 and len(result.reason) <= 400
