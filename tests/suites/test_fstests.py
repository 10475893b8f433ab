# SPDX-License-Identifier: GPL-2.0-or-later
"""What `check` says, read from what a real one wrote (fuse2fs, fstests of 2026-01; the kernel renamed)."""

from collections.abc import Mapping
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


WARN = {"splat": "WARNING: fs/inode.c at drop_nlink", "crash": "warn", "fingerprint": "drop_nlink:fuse_unlink",
        "splat_text": "cut here"}  # fmt: skip
OOM = {"splat": "Out of memory: Killed process (fsx)", "crash": "oom"}
HUNG = {"splat": "INFO: task fsstress blocked", "crash": "hung-task", "fingerprint": "fuse_flush"}


def read(golden: str, test: str, status: int, kernel: Mapping[str, str] = {}) -> TestResult:
    output = (GOLDEN / f"{golden}.txt").read_text()
    reply = StepReply.model_validate(
        {"name": f"fstests/{test}", "status": "done", "exit_status": status, "output": output, "seconds": 4.0, **kernel}
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
    result = read("dmesg", "generic/002", 1, OOM)
    assert (result.outcome, result.reason) == (Outcome.CRASH, "oom: Out of memory: Killed process (fsx)")


@pytest.mark.parametrize("golden", ["pass", "notrun", "dmesg", "mismatch", "inconsistent"])
def test_whatever_check_says_a_kernel_that_warned_makes_it_a_crash_with_the_fingerprint(golden: str) -> None:
    result = read(golden, "generic/002", 0, WARN)
    assert result.outcome is Outcome.CRASH
    assert result.reason == "warn: drop_nlink:fuse_unlink (WARNING: fs/inode.c at drop_nlink)"
    assert (result.crash, result.fingerprint, result.dmesg) == ("warn", "drop_nlink:fuse_unlink", "cut here")


@pytest.mark.parametrize("golden", ["pass", "mismatch"])
def test_a_task_that_the_kernel_found_waiting_makes_a_crash_of_a_test_that_ended(golden: str) -> None:
    result = read(golden, "generic/035", 0, HUNG)
    assert (result.outcome, result.crash) == (Outcome.CRASH, "hung-task")
    assert result.reason == "hung-task: fuse_flush (INFO: task fsstress blocked)"


def test_a_failure_of_checks_own_look_at_dmesg_is_excused_only_if_all_it_looks_for_is_allowed() -> None:
    known = "------------[ cut here ]------------\nWARNING: fs/inode.c:422 at drop_nlink+0x31/0x50, CPU#1: rm/6064"
    allowed = {
        "dmesg": f"[    1.000000] x\n[    2.000000] {known.splitlines()[1]}\n",
        "allowed": known,
        "splat_note": "allowed until 2026-06-30: …",
    }
    result = read("dmesg", "generic/002", 1, allowed)
    assert (result.outcome, result.reason) == (Outcome.PASS, "allowed until 2026-06-30: …")
    more = allowed | {"dmesg": allowed["dmesg"] + "XFS (vda): WARNING: Reset corrupted AGFL\n"}
    assert read("dmesg", "generic/002", 1, more).outcome is Outcome.FAIL
    assert read("mismatch", "generic/035", 1, allowed).outcome is Outcome.FAIL
    assert read("dmesg", "generic/002", 1, {"dmesg": allowed["dmesg"]}).outcome is Outcome.FAIL


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


@pytest.mark.parametrize(
    ("seconds", "limit", "hang", "reason"),
    [
        (63.0, 60.0, "was killed\nfuse connection 42: requests waiting: 3\nserver …",
         "did not finish within 60 s; was killed; fuse connection 42: requests waiting: 3"),
        (12.0, 60.0, "silence during it within 10 s; QEMU says: running\n",
         "silence during it within 10 s; QEMU says: running"),
        (63.0, 0.0, "", "did not finish within 63 s"),
    ],
)  # fmt: skip
def test_a_hang_says_how_it_ended_and_what_it_hung_in(seconds: float, limit: float, hang: str, reason: str) -> None:
    reply = StepReply(name="fstests/generic/001", status="timeout", seconds=seconds, limit=limit, hang=hang)
    (result,) = fstests.results(LEG, [reply])
    assert (result.outcome, result.reason, result.hang) == (Outcome.HANG, reason, hang)


def test_steps_that_never_ended_by_themselves() -> None:
    outcomes = {
        status: fstests.results(LEG, [StepReply(name="fstests/generic/001", status=status)])[0].outcome
        for status in ("timeout", "lost", "crash", "skipped")
    }
    assert outcomes == {
        "timeout": Outcome.HANG,
        "lost": Outcome.INFRA,
        "crash": Outcome.CRASH,
        "skipped": Outcome.MISS,
    }


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
