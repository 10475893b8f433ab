# SPDX-License-Identifier: GPL-2.0-or-later
"""The program that scans after each step, without a kernel that leaks."""

import os
import subprocess
from pathlib import Path

import pytest

from reviewbot.host.data import data_path


def wrapped(report: Path, script: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [data_path("qemu/suites/kmemleak"), "/bin/sh", "-c", script], capture_output=True, text=True, check=False,
        env={**os.environ, "REVIEWBOT_KMEMLEAK": str(report)},
    )  # fmt: skip


@pytest.mark.parametrize(("script", "status"), [("echo words; exit 3", 3), ("echo words; kill -9 $$", -9)])
def test_a_step_says_and_ends_as_it_does_without(tmp_path: Path, script: str, status: int) -> None:
    report = tmp_path / "kmemleak"
    report.touch()
    done = wrapped(report, script)
    assert (done.stdout, done.returncode) == ("words\n", status)
    assert report.read_text() == "scan\n"


def test_a_kernel_without_it_is_no_kernel_without_leaks(tmp_path: Path) -> None:
    done = wrapped(tmp_path / "absent", "echo words")
    assert done.returncode == 1 and "this kernel does not look for leaks" in done.stdout and "words" not in done.stdout
