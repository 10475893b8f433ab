# SPDX-License-Identifier: GPL-2.0-or-later
"""Two machines of a leg at once: one folder for the tests of both, each its own for its setup."""

import io
import tarfile
from pathlib import Path

from reviewbot.lab.step_files import StepFiles
from reviewbot.model.lab import GuestStep

SETUP = GuestStep(name="setup/leg", argv=("true",), timeout=1, gate=True)
TEST = GuestStep(name="fstests/generic/001", argv=("true",), timeout=1)


def disk(path: Path, **members: str) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name.replace("__", "/"))
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content.encode()))
    return path


def test_what_one_machine_says_while_it_is_set_up_is_not_overwritten_by_another(tmp_path: Path) -> None:
    one, two = (StepFiles(tmp_path, tmp_path / name) for name in ("ext4-fstests", "ext4-fstests.2"))
    one.write(SETUP, "a warning")
    two.write(SETUP, "nothing")
    assert (tmp_path / "ext4-fstests" / "setup" / "leg" / "dmesg.txt").read_text() == "a warning"
    assert (
        one.write(TEST, "") == two.write(TEST, "", "passed", "paused") == str(tmp_path / "fstests" / "generic" / "001")
    )
    assert (tmp_path / "fstests" / "generic" / "001" / "output.txt").read_text() == "passed"


def test_what_only_the_disk_of_a_lost_machine_has_goes_where_it_belongs(tmp_path: Path) -> None:
    (tmp_path / "logs" / "lost").mkdir(parents=True)
    kept = disk(
        tmp_path / "disk", setup__leg__dead__12="core", fstests__generic__001__001__x="x", fstests__generic__002__x="y"
    )
    StepFiles(tmp_path / "logs", tmp_path / "logs" / "lost").recover(kept, [SETUP, TEST])
    found = {str(path.relative_to(tmp_path / "logs")) for path in (tmp_path / "logs").rglob("*") if path.is_file()}
    assert found == {"lost/setup/leg/dead/12", "fstests/generic/001/001/x"}
