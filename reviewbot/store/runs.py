# SPDX-License-Identifier: GPL-2.0-or-later
"""The folders of runs."""

import contextlib
import datetime
import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reviewbot.host.files import write_atomic
from reviewbot.model.base import Model
from reviewbot.model.errors import InfraError, UsageError
from reviewbot.model.run import RunRecord
from reviewbot.store.reading import read_if_whole

_IDS = "message-ids"
"""One Message-ID a line. A file per run needs no lock, and is gone when the run is; a thousand are read in a moment."""
_LOCK = ".lock"
"""In a run's folder; its owner holds an exclusive flock(2) on it, which the kernel drops when the owner dies."""
_MARK = ".working-"
"""And the number of a process that works in the folder of a run that is over."""
_ORDER = ".order"
"""In the folder of all runs: their ids, one a line, in the order in which they were made. The ids begin with the date,
but a clock that was wrong once must not make a run the latest for years."""


class RunGone(InfraError):
    """Somebody removed the folder of a run while it was running."""

    def __init__(self, run: str) -> None:
        super().__init__(f"the folder of run {run} was removed while it ran", hint="run the same command again")
        self.run = run


@dataclass(frozen=True, slots=True)
class RunFolder:
    """`<data>/runs/<id>/`: everything one run leaves behind."""

    id: str
    path: Path
    lock: int | None = field(default=None, compare=False, repr=False)
    """Descriptor of the lock file, for the process that makes the run; None: for everybody else."""

    def write(self, name: str, content: str | bytes | Model) -> Path:
        """Write one file of the run, whole or not at all. Raises RunGone."""
        self.check()
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
        """Folder below `logs/`, made if needed. Raises RunGone."""
        self.check()
        folder = self.path.joinpath("logs", *parts)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def check(self) -> None:
        """Raises RunGone when the folder that this process made is no longer there, or is another one by now."""
        if self.lock is not None and os.fstat(self.lock).st_nlink == 0:
            raise RunGone(self.id)

    def record(self) -> RunRecord | None:
        """What the run said of itself; None: a version before this was recorded made it, or it is damaged."""
        return read_if_whole(self.path / "run.json", RunRecord)

    def running(self) -> bool:
        """Whether a process is making this run now."""
        with _opened(self.path / _LOCK) as lock:
            return lock is not None and not _flock(lock, fcntl.LOCK_SH)

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """While this lasts, nobody takes files that are made in this folder for the leftovers of a dead process."""
        with _opened(self.path / _LOCK, os.O_RDWR | os.O_CREAT) as lock:
            if lock is None:  # of somebody else, or read-only
                yield
                return
            fcntl.flock(lock, fcntl.LOCK_SH)
            mark = self.path / f"{_MARK}{os.getpid()}"
            mark.touch()
            try:
                yield
            finally:
                mark.unlink(missing_ok=True)

    def left_open(self) -> bool:
        """Whether a process that worked in this folder did not come to its end; perhaps it still works."""
        record = self.record()
        return (record is not None and record.ended is None) or any(self.path.glob(f"{_MARK}*"))

    def close(self) -> None:
        """Note that what a dead process left here was seen to. The caller found the folder `abandoned`."""
        for mark in self.path.glob(f"{_MARK}*"):
            mark.unlink(missing_ok=True)
        record = self.record()
        if record is not None and record.ended is None:
            # Its logs say how long it worked: while a kernel is built, nothing else is written.
            files = (entry for entry in self.path.rglob("*") if not entry.is_symlink())
            last = max((entry.lstat().st_mtime for entry in files), default=0.0)
            ended = max(record.started, datetime.datetime.fromtimestamp(int(last), datetime.UTC))
            self.write("run.json", record.model_copy(update={"ended": ended}))

    @contextlib.contextmanager
    def abandoned(self) -> Iterator[bool]:
        """Whether no process works in this folder; while this lasts, none begins to.

        A folder of a version that made no locks counts as in use.
        """
        with _opened(self.path / _LOCK) as lock:
            yield lock is not None and _flock(lock, fcntl.LOCK_EX)


@contextlib.contextmanager
def _opened(path: Path, flags: int = os.O_RDONLY) -> Iterator[int | None]:
    """None: it is not there. What is locked through the descriptor is free again afterwards."""
    try:
        handle = os.open(path, flags | os.O_CLOEXEC, 0o644)
    except OSError:
        yield None
        return
    try:
        yield handle
    finally:
        os.close(handle)


def _flock(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Runs:
    """All runs of this user, in the order in which they were made."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def create(self) -> RunFolder:
        """A new run, named by date, time (UTC) and four random hex digits."""
        name = time.strftime("%Y%m%d-%H%M%S", time.gmtime()) + "-" + secrets.token_hex(2)
        folder = self.root / name
        folder.mkdir(parents=True)
        with (self.root / _ORDER).open("a") as order:
            order.write(f"{name}\n")
        latest = self.root / f".latest.{os.getpid()}"
        latest.symlink_to(name)
        latest.replace(self.root / "latest")
        return RunFolder(name, folder)

    @contextlib.contextmanager
    def begin(self, tool: str, command: Sequence[str] = (), *, shards: bool = False) -> Iterator[RunFolder]:
        """A new run, made by this process for as long as the block lasts. Raises RunGone.

        tool: name and version. command, shards: as in RunRecord.
        """
        made = self.create()
        with _opened(made.path / _LOCK, os.O_RDWR | os.O_CREAT) as lock:
            assert lock is not None
            fcntl.flock(lock, fcntl.LOCK_EX)
            run = RunFolder(made.id, made.path, lock)
            began = RunRecord(run=run.id, tool=tool, command=tuple(command), started=_now(), shards=shards)
            run.write("run.json", began)
            try:
                yield run
                run.check()
            except OSError:
                run.check()  # a folder that is gone is the better reason
                raise
            finally:
                with contextlib.suppress(OSError, RunGone):
                    run.write("run.json", began.model_copy(update={"ended": _now()}))

    def list(self) -> tuple[RunFolder, ...]:
        """The newest last."""
        if not self.root.is_dir():
            return ()
        order = {name: place for place, name in enumerate(self._order(), 1)}
        names = (p.name for p in self.root.iterdir() if p.is_dir() and not p.is_symlink())
        return tuple(
            RunFolder(name, self.root / name) for name in sorted(names, key=lambda name: (order.get(name, 0), name))
        )

    def _order(self) -> Sequence[str]:
        """Ids of runs, the newest last; those of versions that kept no order are not in it."""
        try:
            return (self.root / _ORDER).read_text(errors="replace").split()
        except OSError:
            return ()

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
        if name == "latest" and not runs:
            raise UsageError(f"there is no run in {self.root}", hint="`review` and `apply-and-test` create them")
        found = runs[-1:] if name == "latest" else tuple(r for r in runs if r.id.startswith(name))
        if len(found) != 1:
            problem = "no such run" if not found else "more than one run"
            raise UsageError(f"{problem}: {name}", hint="`reviewbot runs` lists them")
        return found[0]


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)
