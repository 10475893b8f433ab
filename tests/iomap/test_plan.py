# SPDX-License-Identifier: GPL-2.0-or-later
"""What the plan of the posting says before anything is fetched or built."""

from pathlib import Path

from tests.iomap.stack import as_mbox, reviewbot


def test_a_posting_without_the_patch_that_enables_iomap_is_in_doubt_and_the_whole_one_is_not(tmp_path: Path) -> None:
    early = reviewbot(tmp_path / "early", "plan", posting=as_mbox(early=("kernel",)))
    whole = reviewbot(tmp_path / "whole", "plan", posting=as_mbox())
    assert (early.returncode, whole.returncode) == (0, 0), early.stderr + whole.stderr
    words = " ".join(early.stdout.split())
    assert "fuse4fs-iomap: no patch of kernel here enables iomap: unless base does, it cannot be enabled" in words
    assert "cannot be enabled" not in " ".join(whole.stdout.split())
    assert "11 patches in 3 parts" in whole.stdout
