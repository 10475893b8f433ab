# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading what something untrusted left behind."""

import os
from pathlib import Path

import pytest

from reviewbot.host.files import read_regular


def test_a_plain_file_is_read_up_to_the_limit(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc\xff" + b"d" * 100)
    assert read_regular(tmp_path / "f", limit=5) == "abc�d"


@pytest.mark.parametrize("make", [lambda p: p.symlink_to("/etc/passwd"), os.mkfifo, Path.mkdir])
def test_neither_links_nor_pipes_nor_folders_are_read(tmp_path: Path, make: object) -> None:
    assert callable(make)
    make(tmp_path / "f")
    with pytest.raises(OSError):
        read_regular(tmp_path / "f")
