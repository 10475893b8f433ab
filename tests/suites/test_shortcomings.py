# SPDX-License-Identifier: GPL-2.0-or-later
"""Failures of fstests that are known of unpatched servers: their own word, and only where all that is said is known."""

import pytest

from reviewbot.config import load_stack
from reviewbot.model.lab import StepReply
from reviewbot.model.results import Outcome, TestResult
from reviewbot.suites import fstests
from reviewbot.suites.shortcomings import Shortcoming, load_shortcomings

LKL = {"lkl.version": "6.0.0"}
ORPHANS = """\
    Warning!  /dev/vdb is mounted.
    Inodes that were part of a corrupted orphan linked list found.  Fix? no
    Inode 131 was part of the orphaned inode list.  IGNORED.
    Deleted inode 134 has zero dtime.  Fix? no
    Inode bitmap differences:  -131 -134
    Free inodes count wrong for group #0 (8150, counted=8152).
    /dev/vdb: ********** WARNING: Filesystem still has errors **********
    /dev/vdb: 42/65536 files (0.0% non-contiguous), 8901/262144 blocks
"""
SAID = """\
generic/013  9s ... _check_generic_filesystem: filesystem on /dev/vdb is inconsistent
(see /results/generic/013.full for details)
{more}
Ran: generic/013
Failures: generic/013
Failed 1 of 1 tests
e2fsck -n of TEST_DEV after the test: status 4
{fsck}"""


def result(
    leg: str = "lklfuse", fsck: str = ORPHANS, more: str = "", version: str = "6.0.0", **fields: str
) -> TestResult:
    reply = StepReply.model_validate(
        {"name": "fstests/generic/013", "status": "done", "exit_status": 1,
         "output": SAID.format(more=more, fsck=fsck), **fields}
    )  # fmt: skip
    (found,) = fstests.results(load_stack().leg(leg), [reply], {"lkl.version": version}.get)
    return found


def test_the_orphan_list_of_lklfuse_is_known_in_fstests_as_in_smoke() -> None:
    found = result()
    assert found.outcome is Outcome.KNOWN and found.known and found.known.components == ("lkl",)
    assert found.reason.startswith("e2fsck finds TEST_DEV inconsistent: Inodes that were part of a corrupted orphan")


def test_another_leg_or_version_has_no_such_excuse() -> None:
    assert result(leg="fuse4fs").outcome is Outcome.FAIL
    assert result(version="6.6.0").outcome is Outcome.FAIL


@pytest.mark.parametrize(
    "line",
    ["Directory inode 12, block #0, offset 0: directory corrupted", "Inode 12 ref count is 3, should be 2.  Fix? no",
     "Inode 12, i_size is 4096, should be 8192.  Fix? no", "Multiply-claimed block(s) in inode 14: 9000"],
)  # fmt: skip
def test_whatever_else_e2fsck_finds_is_news(line: str) -> None:
    assert result(fsck=f"{ORPHANS}    {line}\n").outcome is Outcome.FAIL


def test_whatever_else_the_test_complains_of_is_news() -> None:
    assert result(more="- output mismatch (see /results/generic/013.out.bad)").outcome is Outcome.FAIL
    assert result(more="[failed, exit status 1]").outcome is Outcome.FAIL


def test_a_crash_is_never_excused() -> None:
    assert result(splat="WARNING in drop_nlink", crash="warn").outcome is Outcome.CRASH


def test_each_entry_says_which_tests_and_whose_fault_and_names_known_legs() -> None:
    legs = {leg.name for leg in load_stack().legs}
    components = {component.name for component in load_stack().components}
    for entry in load_shortcomings():
        assert set(entry.components) <= components
        assert all(any(part.rstrip("*") in leg for leg in legs) for part in entry.legs)
        assert all(test.partition("/")[0] in ("smoke", "fstests") for test in entry.tests)


def test_an_entry_without_words_for_e2fsck_excuses_nothing_that_e2fsck_finds() -> None:
    entry = Shortcoming(
        legs=("x",), tests=("fstests/*",), says="", components=("lkl",), reason="long enough", link="https://x.org"
    )
    assert entry.covers("x", "fstests/generic/001", "output mismatch", (), LKL.get)
    assert not entry.covers("x", "fstests/generic/001", "e2fsck finds …", ("Inode 1",), LKL.get)
