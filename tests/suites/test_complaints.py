# SPDX-License-Identifier: GPL-2.0-or-later
"""Why a test failed: the telling line of what `check` and the test's programs say."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from reviewbot.model.lab import StepReply
from reviewbot.model.results import Outcome
from reviewbot.suites import fstests
from tests.suites.standin import Guest, stand_in

HEAD = """\
FSTYP         -- fuse.ext4
PLATFORM      -- Linux/x86_64 guest 6.12.117
MKFS_OPTIONS  -- -O ^has_journal /dev/vdc
MOUNT_OPTIONS -- -o kernel /dev/vdc /mnt/scratch

"""
FAILED = "\nRan: generic/091\nFailures: generic/091\nFailed 1 of 1 tests\n"
FSX = [
    "Seed set to 4711",
    "main: filesystem does not support fallocate mode FALLOC_FL_COLLAPSE_RANGE, disabling!",
    "READ BAD DATA: offset = 0x1b000, size = 0x9a5f, fname = /mnt/test/junk",
    "OFFSET      GOOD    BAD     RANGE",
    "LOG DUMP (204 total operations):",
]


def judged(output: str) -> tuple[Outcome, str]:
    found = fstests.judge(
        "generic/091", StepReply(name="fstests/generic/091", status="done", exit_status=1, output=output)
    )
    return found.outcome, found.reason


def mismatch(*extra: str, told: str = "") -> str:
    diff = "".join(f"    +{line}\n" for line in extra)
    said = "generic/091  9s ... - output mismatch (see /results/generic/091.out.bad)\n    --- tests/generic/091.out\n"
    return f"{HEAD}{said}    +++ /results/generic/091.out.bad\n    @@ -1,2 +1,9 @@\n{diff}    ...\n{FAILED}{told}"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("!!! failed to remount /dev/vdb on /mnt/test", "!!! failed to remount /dev/vdb on /mnt/test"),
        ("!!! failed to mount /dev/vdb on /mnt/test", "!!! failed to mount /dev/vdb on /mnt/test"),
        ("_check_kmemleak: something found in kmemleak (see /results/generic/091.kmemleak)",
         "check_kmemleak: something found in kmemleak"),
        ("_repair_test_fs: failed, err=4", "repair_test_fs: failed, err=4"),
        ("_remount: failed to remount filesystem on /dev/vdb as ro",
         "remount: failed to remount filesystem on /dev/vdb as ro"),
        ("something that nobody has seen before", "something that nobody has seen before"),
    ],
)  # fmt: skip
def test_what_check_complains_of_itself_is_the_reason(said: str, reason: str) -> None:
    assert judged(f"{HEAD}generic/091  9s ... {said}\n{FAILED}") == (Outcome.FAIL, reason)
    assert judged(f"{HEAD}generic/091  9s ... \n{said}\n{FAILED}") == (Outcome.FAIL, reason)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("our local _scratch_mkfs routine ...\nmke2fs 1.47.2 (1-Jan-2025)\nmke2fs: Invalid argument while setting up "
         "superblock\ncheck: failed to mkfs $SCRATCH_DEV using specified options",
         "mke2fs: Invalid argument while setting up superblock"),
        ("our local _scratch_mkfs routine ...\nIllegal number of blocks\ncheck: failed to mkfs $SCRATCH_DEV using "
         "specified options", "check: failed to mkfs $SCRATCH_DEV using specified options: Illegal number of blocks"),
        ("our local _scratch_mkfs routine ...\nmke2fs 1.47.2 (1-Jan-2025)\ncheck: failed to mkfs $SCRATCH_DEV using "
         "specified options", "check: failed to mkfs $SCRATCH_DEV using specified options"),
        ("our local mount routine ...\nmount.fuse.ext4: fuse4fs could not mount /dev/vdc on /mnt/scratch:\n"
         "check: failed to mount $SCRATCH_DEV using specified options",
         "mount.fuse.ext4: fuse4fs could not mount /dev/vdc on /mnt/scratch:"),
    ],
)  # fmt: skip
def test_the_program_that_failed_says_why_check_could_not_start(words: str, reason: str) -> None:
    assert judged(f"{words}\n{HEAD}") == (Outcome.FAIL, f"check could not start: {reason}")


def test_a_test_that_found_its_filesystem_broken_and_ended_there_has_one_complaint() -> None:
    found = "_check_generic_filesystem: filesystem on /dev/vdd is inconsistent"
    ended = mismatch(found, "(see /results/generic/091.full for details)").replace(
        "generic/091  9s ... -", f"generic/091        [failed, exit status 1]{found}\n-"
    )
    assert judged(ended) == (Outcome.FAIL, f"{found.partition(': ')[2]} after the test")
    outcome, reason = judged(ended.replace("    ...", "    +READ BAD DATA: offset = 0x1\n    ..."))
    assert outcome is Outcome.FAIL and "exit status 1" in reason and "READ BAD DATA" in reason


def test_what_fsx_found_is_the_reason_not_its_seed() -> None:
    assert judged(mismatch(*FSX)) == (Outcome.FAIL, f"unexpected output: {FSX[2]}")


def test_what_fsx_found_far_below_is_the_reason_too() -> None:
    said = mismatch(*FSX[:2], told=f"told in bad: {FSX[2]}\n")
    assert judged(said) == (Outcome.FAIL, f"unexpected output: {FSX[2]}")


@pytest.mark.parametrize(
    "line",
    [
        "Size error: expected 0x1f000 stat 0x1e000 seek 0x1e000",
        "Mapped Read: non-zero data past EOF (0x2f3) page offset 0x1 is 0x5b",
        "domapwrite: mmap: No such device",
        "short read: 0x0 bytes instead of 0x4000",
        "fsstress: check_cwd failure",
        "verify: bad magic header 0, wanted acca at file /mnt/test/f offset 4096, length 4096",
        "meta: verify failed at file /mnt/test/f offset 0, length 65536 (requested block: offset=0, length=65536)",
        "[134] open ./clients/client1/x.doc failed for handle 10013 (Input/output error)",
        "Child failed with status 1",
        "./src/t: line 4: 812 Segmentation fault      $here/src/t",
    ],
)
def test_the_words_of_each_program_that_finds_a_fault_are_told(line: str) -> None:
    assert judged(mismatch("Seed set to 7", "1 2 3", line))[1] == f"unexpected output: {line}"


def test_output_without_a_telling_line_is_told_from_its_first_line_that_is_not_dull() -> None:
    assert judged(mismatch("Seed set to 7", "hello 12"))[1] == "unexpected output: hello 12"
    assert judged(mismatch("Seed set to 7"))[1] == "unexpected output: Seed set to 7"


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Guest]:
    with stand_in(tmp_path) as found:
        yield found


def test_the_guest_looks_for_telling_lines_in_what_a_failed_test_left(guest: Guest) -> None:
    guest.test("generic/005", f"seq 900; echo '{FSX[2]}'; seq 900; exit 1")
    outcome, said = guest.run("generic/005")
    assert outcome is Outcome.FAIL and f"told in full: {FSX[2]}" in said.splitlines()
    assert guest.result("generic/005").reason == FSX[2]


def test_lines_that_the_golden_output_has_are_not_told(guest: Guest) -> None:
    expected = "pwrite: Input/output error"
    guest.test("generic/005", f"echo '{expected}'; exit 1")
    (guest.tree / "tests/generic/005.out").write_text(f"QA output created by 005\n{expected}\n")
    assert "told in" not in guest.run("generic/005")[1]
