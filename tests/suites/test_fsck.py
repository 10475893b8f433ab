# SPDX-License-Identifier: GPL-2.0-or-later
"""What e2fsck says after a test belongs to that test: our scripts and a real e2fsck around the bones of a `check`."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from reviewbot.model.lab import StepReply
from reviewbot.model.results import Fsck, Outcome
from reviewbot.suites.complaints import checked
from reviewbot.suites.shortcomings import known, load_shortcomings
from tests.suites.standin import LIMIT, Guest, stand_in, wait_for

NEEDED = ("mke2fs", "e2fsck", "debugfs")
CORRUPT = "debugfs -w -R 'clri <11>' $TEST_DEV"
CLEAN = Fsck(device="TEST_DEV", status=0)


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Guest]:
    if not all(any(os.access(f"{place}/{name}", os.X_OK) for place in ("/sbin", "/usr/sbin")) for name in NEEDED):
        pytest.skip("e2fsprogs is not installed")
    config = ["export FSTYP=fuse.ext4 TEST_DIR=/nonexistent"]
    for name in ("TEST_DEV", "SCRATCH_DEV"):
        config.append(f"export {name}={tmp_path / name}")
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, 8 << 20)
        subprocess.run(["/sbin/mke2fs", "-q", "-F", "-t", "ext4", tmp_path / name], check=True)
    with stand_in(tmp_path, "\n".join(config)) as found:
        found.test("generic/001", "touch $RESULT_DIR/require_test")
        yield found


def test_a_corruption_is_told_of_its_test_and_of_no_other(guest: Guest) -> None:
    guest.test("generic/005", f"touch $RESULT_DIR/require_test; {CORRUPT}")
    before, guilty, after = (guest.result(f"generic/{name}") for name in ("001", "005", "001"))
    assert (before.outcome, before.fsck, after.outcome, after.fsck) == (Outcome.PASS, (CLEAN,), Outcome.PASS, (CLEAN,))
    (said,) = guilty.fsck
    assert (guilty.outcome, said.device, said.status, said.clean_after) == (Outcome.FAIL, "TEST_DEV", 4, "")
    assert "lost+found" in said.said and "Pass 1" not in said.said
    assert guilty.reason.startswith("e2fsck finds TEST_DEV inconsistent: ")


ORPHANED = """\
head -c 30000 /dev/zero > content
printf '%s\n' 'write content f1' 'write content f2' 'write content f3' 'mkdir d' 'unlink f1' 'unlink f2' 'unlink f3' \
    'unlink d' 'sif <12> links_count 0' 'sif <13> links_count 0' 'sif <14> links_count 0' 'sif <15> links_count 0' \
    'sif <12> dtime 13' 'sif <13> dtime 14' 'sif <14> dtime 0' 'sif <15> dtime 12' 'sif / links_count 3' > commands
debugfs -w -f commands $TEST_DEV"""
"""Files and a folder that are deleted, and still on the list of those that are open."""


@pytest.mark.parametrize(("more", "excused"), [("", True), (f"; {CORRUPT}", False)])
def test_all_that_e2fsck_says_of_lklfuses_orphans_is_known_and_no_more(guest: Guest, more: str, excused: bool) -> None:
    guest.test("generic/013", f"{ORPHANED}{more}")
    found = guest.result("generic/013")
    lines = found.fsck[0].said.splitlines()
    assert any("zero dtime" in line for line in lines) and any("Directories count wrong" in line for line in lines)
    why = known(
        "lklfuse", "fstests/generic/013", [found.reason], load_shortcomings(), {"lkl.version": "6.0.0"}.get, lines
    )
    assert (why is not None) is excused, lines


def test_a_test_that_did_not_ask_for_test_dev_answers_for_it_all_the_same(guest: Guest) -> None:
    guest.test("generic/005", CORRUPT)
    assert [guest.result(f"generic/{name}").outcome for name in ("001", "005", "001", "003")] == [
        Outcome.PASS,
        Outcome.FAIL,
        Outcome.PASS,
        Outcome.PASS,
    ]


def test_where_nobody_looked_it_is_said_since_when(guest: Guest) -> None:
    guest.test("generic/005", f"{CORRUPT}; exit 77")
    outcomes = [guest.result(f"generic/{name}") for name in ("003", "005", "001", "001")]
    assert [one.outcome for one in outcomes] == [Outcome.PASS, Outcome.NOTRUN, Outcome.FAIL, Outcome.PASS]
    assert outcomes[2].fsck[0].clean_after == "generic/003"
    assert outcomes[2].reason.endswith("(last clean after generic/003)")


def test_scratch_dev_is_looked_at_after_a_test_that_failed_and_gives_no_reason(guest: Guest) -> None:
    guest.test("generic/005", f"touch $RESULT_DIR/require_scratch; {CORRUPT.replace('TEST', 'SCRATCH')}; exit 1")
    guest.result("generic/001")
    result = guest.result("generic/005")
    assert [(fsck.device, fsck.status) for fsck in result.fsck] == [("TEST_DEV", 0), ("SCRATCH_DEV", 4)]
    assert (result.outcome, "SCRATCH" in result.reason) == (Outcome.FAIL, False)


def test_after_a_test_that_never_ended_test_dev_is_made_anew(guest: Guest) -> None:
    guest.test("generic/005", f"{CORRUPT}; echo >there; sleep 1000")
    guest.result("generic/001")
    step = guest.start("generic/005")
    wait_for(guest.tree / "there")
    os.killpg(step.pid, signal.SIGKILL)
    step.wait(LIMIT)
    result = guest.result("generic/001")
    assert (result.outcome, result.fsck) == (Outcome.PASS, (CLEAN,))


def test_after_a_servers_death_test_dev_is_made_anew(guest: Guest) -> None:
    guest.test("generic/005", f"{CORRUPT}; echo fuse2fs died >>{guest.folder}/deaths; exit 1")
    outcomes = [guest.result(f"generic/{name}") for name in ("001", "005", "001")]
    assert [one.outcome for one in outcomes] == [Outcome.PASS, Outcome.CRASH, Outcome.PASS]
    assert outcomes[1].fsck[0].status == 4


def test_words_that_only_look_like_ours_are_bounded() -> None:
    line = "e2fsck -n of TEST_DEV after the test: status 4\n"
    reply = StepReply(name="fstests/generic/001", status="done", exit_status=1, output=line * 9 + "    x" * 9000)
    (fsck,) = checked(reply)
    assert len(fsck.said) <= 2048


def test_hundreds_of_one_complaint_leave_room_for_the_others() -> None:
    orphans = "".join(f"Inode {number} was part of the orphaned inode list.  IGNORED.\n" for number in range(12, 200))
    lines = f"{orphans}Entry 'x' has deleted/unused inode 7.\n".splitlines()
    said = "e2fsck -n of TEST_DEV after the test: status 4\n" + "".join(f"    {line}\n" for line in lines)
    (found,) = checked(StepReply(name="fstests/generic/005", status="done", exit_status=1, output=said))
    assert found.said.splitlines() == [*lines[:3], lines[-1]]
