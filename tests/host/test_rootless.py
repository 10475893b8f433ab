# SPDX-License-Identifier: GPL-2.0-or-later
"""Being root over one's own files."""

import os
from pathlib import Path

import pytest

from reviewbot.host.process import run
from reviewbot.host.rootless import as_root
from reviewbot.model.errors import InfraError


def test_root_needs_no_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert as_root() == ()


def test_others_get_a_namespace_or_are_told_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr("shutil.which", lambda name, path: f"/usr/bin/{name}")
    assert as_root()[0] == "unshare" and as_root()[-1] == "--"
    monkeypatch.setattr("shutil.which", lambda name, path: None)
    with pytest.raises(InfraError) as caught:
        as_root()
    assert "uidmap" in caught.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="this user is root")
def test_files_of_several_owners_can_be_made_and_removed(tmp_path: Path) -> None:
    try:
        words = as_root()
    except InfraError as error:
        pytest.skip(str(error))
    run([*words, "sh", "-c", 'mkdir "$0/d" && touch "$0/d/f" && chown -R 42:42 "$0/d"', tmp_path])
    assert (tmp_path / "d").stat().st_uid not in (0, os.getuid())
    run([*words, "rm", "-r", tmp_path / "d"])
