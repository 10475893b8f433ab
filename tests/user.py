# SPDX-License-Identifier: GPL-2.0-or-later
"""A user at the command line."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.command import called
from tests.mails import mbox

COMPONENTS = ("kernel", "libfuse", "e2fsprogs")


@dataclass(frozen=True, slots=True)
class User:
    """With three small repositories, and folders of their own."""

    folder: Path

    @property
    def runs(self) -> list[Path]:
        return sorted(p for p in (self.folder / "data" / "runs").glob("*") if p.is_dir() and not p.is_symlink())

    def site(self, **settings: object) -> None:
        components = {c: {"provider": "git", "url": str(self.folder / c), "ref": "master"} for c in COMPONENTS}
        (self.folder / "site.yaml").write_text(yaml.safe_dump({"components": components, **settings}))

    def thread(self, mails: Sequence[bytes] | bytes, name: str = "thread") -> str:
        path = self.folder / f"{name}.mbox"
        path.write_bytes(mails if isinstance(mails, bytes) else mbox(mails))
        return str(path)

    def call(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return called(*arguments, cwd=self.folder, env=self.env(**env))

    def start(self, *arguments: str, **env: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "reviewbot", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            cwd=self.folder, env=self.env(**env),
        )  # fmt: skip

    def env(self, **more: str) -> dict[str, str]:
        names = {"REVIEWBOT_CACHE": "cache", "REVIEWBOT_DATA": "data", "REVIEWBOT_SITE": "site.yaml"}
        return {**os.environ, **{name: str(self.folder / where) for name, where in names.items()}, **more}

    def refuses(self, status: int, words: str, *arguments: str, **env: str) -> str:
        """The one line on stderr."""
        done = self.call(*arguments, **env)
        assert done.returncode == status, done.stderr + done.stdout
        lines = [line for line in done.stderr.splitlines() if not line.startswith("[")]  # progress of plain output
        assert len(lines) == 1, done.stderr
        assert words in lines[0]
        assert "Traceback" not in done.stderr
        return lines[0]
