# SPDX-License-Identifier: GPL-2.0-or-later
"""A user and his folders, for tests of the command line."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.command import called
from tests.mails import mbox

COMPONENTS = ("kernel", "libfuse", "e2fsprogs")


@dataclass(frozen=True, slots=True)
class World:
    """A user with three small repositories and folders of his own."""

    folder: Path

    @property
    def runs(self) -> list[Path]:
        return sorted(p for p in (self.folder / "data" / "runs").glob("*") if p.is_dir() and not p.is_symlink())

    def site(self, **settings: object) -> None:
        components = {c: {"provider": "git", "url": str(self.folder / c), "ref": "master"} for c in COMPONENTS}
        (self.folder / "site.yaml").write_text(yaml.safe_dump({"components": components, **settings}))

    def thread(self, mails: list[bytes] | bytes) -> str:
        path = self.folder / "thread.mbox"
        path.write_bytes(mails if isinstance(mails, bytes) else mbox(mails))
        return str(path)

    def call(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return called(*arguments, cwd=self.folder, env=self._env(env))

    def start(self, *arguments: str, **env: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "reviewbot", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            cwd=self.folder, env=self._env(env),
        )  # fmt: skip

    def _env(self, env: dict[str, str]) -> dict[str, str]:
        names = {"REVIEWBOT_CACHE": "cache", "REVIEWBOT_DATA": "data", "REVIEWBOT_SITE": "site.yaml"}
        return {**os.environ, **{name: str(self.folder / where) for name, where in names.items()}, **env}

    def refuses(self, status: int, words: str, *arguments: str, **env: str) -> str:
        """The one line on stderr."""
        done = self.call(*arguments, **env)
        assert done.returncode == status, done.stderr + done.stdout
        lines = [line for line in done.stderr.splitlines() if not line.startswith("[")]  # progress of plain output
        assert len(lines) == 1, done.stderr
        assert words in lines[0]
        assert "Traceback" not in done.stderr
        return lines[0]
