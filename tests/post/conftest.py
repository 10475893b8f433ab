# SPDX-License-Identifier: GPL-2.0-or-later
"""A user of their own, and a run with a reply."""

import os
from pathlib import Path

import pytest

from reviewbot.report import reply_mail
from tests.post.servers import GitConfig
from tests.report.records import PARENT, passing


@pytest.fixture(autouse=True)
def git_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GitConfig:
    """Settings of a user who has none yet; those of the user who runs the tests are out of sight."""
    home = tmp_path / "home"
    home.mkdir()
    for name in os.environ:
        if name.startswith("GIT_") or name in ("XDG_CONFIG_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.chdir(home)
    return GitConfig(home / ".gitconfig")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run's folder with a reply to Dana Example."""
    run = tmp_path / "runs" / "20261103-101502-7a3f"
    run.mkdir(parents=True)
    (run / "reply.eml").write_bytes(reply_mail(passing(), PARENT))
    return run
