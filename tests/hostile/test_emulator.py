# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's box is the same whoever calls us: `tests/lab/test_wires.py` attacks it as who runs the tests, root mostly."""

import shutil
from pathlib import Path

import pytest

from reviewbot.lab.machine import QEMU
from tests.hostile.callers import REPOSITORY, user_calls


@pytest.mark.skipif(shutil.which(QEMU) is None or shutil.which("bwrap") is None, reason="QEMU or bwrap is missing")
def test_machines_of_an_ordinary_user_run_in_their_box_and_are_saved_and_restored_there(tmp_path: Path) -> None:
    with user_calls(tmp_path) as user:
        seen = REPOSITORY if user.uid == REPOSITORY.stat().st_uid else user.home / "repository"
        done = user.run(
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--basetemp",
            str(user.home / "base"),
            "-k",
            "nobody_of_the_host or place or descriptors",
            str(seen / "tests" / "lab" / "test_wires.py"),
        )
        assert done.returncode == 0 and "3 passed" in done.stdout, done.stdout[-3000:] + done.stderr[-3000:]
