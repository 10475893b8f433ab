# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's last step, on this host: what it brings together and what it says is missing."""

import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import pytest

from tests.guest import MODULES

SCRIPT = """
import sys
sys.path[:0] = sys.argv[1].split(":")
import archive, coverage
coverage.KERNEL, archive.STEP_LIMIT, coverage.STEP_LIMIT = sys.argv[2], 8192, 8192
coverage.unmount = lambda: []
sys.exit(coverage.main([]))
"""


def collected(folder: Path) -> tuple[set[str], list[str]]:
    """Names of counters, and the notes, after the step ran on `folder`."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", SCRIPT, MODULES, str(folder / "kernel")], check=False,
        env={"REVIEWBOT_RUN": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (folder / "gcov").iterdir()}
    return names - {"notes"}, (folder / "gcov" / "notes").read_text().splitlines()


@pytest.fixture
def guest(tmp_path: Path) -> Path:
    (tmp_path / "gcov").mkdir()
    (tmp_path / "gcov" / "#obj#misc#fuse2fs.gcda").write_bytes(b"counters")
    (tmp_path / "kernel" / "obj" / "fs" / "fuse").mkdir(parents=True)
    (tmp_path / "kernel" / "obj" / "fs" / "fuse" / "dir.gcda").write_bytes(b"counters")
    (tmp_path / "kernel" / "reset").write_text("")
    return tmp_path


def test_counters_of_kernel_and_programs_lie_side_by_side(guest: Path) -> None:
    assert collected(guest) == ({"#obj#misc#fuse2fs.gcda", "#obj#fs#fuse#dir.gcda"}, [])


def test_a_killed_server_and_a_kernel_without_counters_are_said(guest: Path) -> None:
    (guest / "deaths").write_text("fuse2fs /dev/vdd pid 12 exit status 137\n")
    (guest / "kernel").rename(guest / "elsewhere")
    assert collected(guest)[1] == [
        "a server was killed and wrote no counters: fuse2fs /dev/vdd pid 12 exit status 137",
        "this kernel has no counters",
    ]


def test_more_than_comes_back_is_said(guest: Path) -> None:
    (guest / "gcov" / "#obj#large.gcda").write_bytes(bytes(8000))
    assert collected(guest)[1] == ["0 MiB of counters, of which 0 came back"]


def test_a_check_that_waits_is_told_to_end(guest: Path) -> None:
    turns = guest / "fstests"
    turns.mkdir()
    script = "mkfifo turn; : >idle; read -r name <turn; [ -z $name ]; exec sleep 0.1"
    check = subprocess.Popen(["/bin/sh", "-c", script], cwd=turns)
    (turns / "pid").write_text(f"{check.pid}\n")
    undertaker = Thread(target=check.wait)  # as the agent is in the guest
    undertaker.start()
    while not (turns / "idle").exists():
        time.sleep(0.01)
    collected(guest)
    undertaker.join(10)
    assert check.returncode == 0
