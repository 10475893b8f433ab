# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading what something untrusted left behind."""

import os
from pathlib import Path

import pytest

from reviewbot.host.files import read_regular, remove_tree


def test_a_plain_file_is_read_up_to_the_limit(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc\xff" + b"d" * 100)
    assert read_regular(tmp_path / "f", limit=5) == "abc�d"


@pytest.mark.parametrize("make", [lambda p: p.symlink_to("/etc/passwd"), os.mkfifo, Path.mkdir])
def test_neither_links_nor_pipes_nor_folders_are_read(tmp_path: Path, make: object) -> None:
    assert callable(make)
    make(tmp_path / "f")
    with pytest.raises(OSError):
        read_regular(tmp_path / "f")


def test_a_folder_of_any_depth_is_removed_and_what_its_links_name_stays(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("mine")
    outside.chmod(0o755)
    top = tmp_path / "top"
    top.mkdir()
    here = os.open(top, os.O_RDONLY)
    for number in range(3000):  # a path that is longer than any system call takes
        os.symlink(outside, "a link", dir_fd=here)
        os.mkfifo("a pipe", dir_fd=here)
        name = ".removed-0" if number % 2 else "deeper"
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.fchmod(here, 0)
    os.close(here)
    remove_tree(top)
    assert not top.exists()
    assert (outside / "file").read_text() == "mine" and outside.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("make", [lambda p: p.symlink_to("/etc"), os.mkfifo, Path.touch, lambda p: None])
def test_what_is_no_folder_is_removed_too(tmp_path: Path, make: object) -> None:
    assert callable(make)
    make(tmp_path / "f")
    remove_tree(tmp_path / "f")
    assert list(tmp_path.iterdir()) == [] and Path("/etc/passwd").exists()
