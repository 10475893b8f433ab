# SPDX-License-Identifier: GPL-2.0-or-later
"""The folders of runs."""

import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from reviewbot.host.files import write_atomic
from reviewbot.model.base import Model
from reviewbot.model.errors import UsageError


@dataclass(frozen=True, slots=True)
class RunFolder:
    """`<data>/runs/<id>/`: everything one run leaves behind."""

    id: str
    path: Path

    def write(self, name: str, content: str | bytes | Model) -> Path:
        """Write one file of the run, whole or not at all."""
        data = content.model_dump_json(indent=1) + "\n" if isinstance(content, Model) else content
        write_atomic(self.path / name, data)
        return self.path / name

    def logs(self, *parts: str) -> Path:
        """Folder below `logs/`, made if needed."""
        folder = self.path.joinpath("logs", *parts)
        folder.mkdir(parents=True, exist_ok=True)
        return folder


class Runs:
    """All runs of this user, newest last."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def create(self) -> RunFolder:
        """A new run, named by date, time (UTC) and four random hex digits."""
        name = time.strftime("%Y%m%d-%H%M%S", time.gmtime()) + "-" + secrets.token_hex(2)
        folder = self.root / name
        folder.mkdir(parents=True)
        latest = self.root / f".latest.{os.getpid()}"
        latest.symlink_to(name)
        latest.replace(self.root / "latest")
        return RunFolder(name, folder)

    def list(self) -> tuple[RunFolder, ...]:
        if not self.root.is_dir():
            return ()
        names = sorted(p.name for p in self.root.iterdir() if p.is_dir() and not p.is_symlink())
        return tuple(RunFolder(name, self.root / name) for name in names)

    def find(self, name: str) -> RunFolder:
        """By id, a unique prefix of it, `latest`, or the path of its folder. Raises UsageError."""
        given = Path(name)
        if "/" in name and (given / "plan.json").exists():
            return RunFolder(given.resolve().name, given.resolve())
        runs = self.list()
        found = runs[-1:] if name == "latest" else tuple(r for r in runs if r.id.startswith(name))
        if len(found) != 1:
            problem = "no such run" if not found else "more than one run"
            raise UsageError(f"{problem}: {name}", hint="`reviewbot runs` lists them")
        return found[0]
