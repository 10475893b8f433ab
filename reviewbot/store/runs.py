# SPDX-License-Identifier: GPL-2.0-or-later
"""The folders of runs."""

import json
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from reviewbot.host.files import write_atomic
from reviewbot.model.base import Model
from reviewbot.model.errors import UsageError

_IDS = "message-ids"
"""One Message-ID a line. A file per run needs no lock, and is gone when the run is; a thousand are read in a moment."""


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

    def write_message_ids(self, message_ids: Iterable[str]) -> None:
        """Say which mails the run is about, for `Runs.about`."""
        self.write(_IDS, "".join(f"{message_id}\n" for message_id in message_ids))

    def is_about(self, message_id: str) -> bool:
        """Whether the mail belongs to the run's posting."""
        try:
            return message_id.encode() in (self.path / _IDS).read_bytes().split(b"\n")
        except OSError:
            pass
        try:  # a run of a version that wrote no such file
            return json.dumps(message_id, ensure_ascii=False).encode() in (self.path / "plan.json").read_bytes()
        except OSError:
            return False

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

    def about(self, message_id: str) -> Iterator[RunFolder]:
        """Runs of postings that this mail belongs to, newest first."""
        if message_id and "\n" not in message_id:
            yield from (run for run in reversed(self.list()) if run.is_about(message_id))

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
