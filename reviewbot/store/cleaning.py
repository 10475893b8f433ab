# SPDX-License-Identifier: GPL-2.0-or-later
"""What may be removed: leftovers of processes that were killed, and what nobody has used for long.

In: the cache and the folder of runs. Out: items with their size and last use, and why some are kept. Nothing that a
kept run needs in order to be reproduced is removed, and nothing while a run uses the cache.
"""

import contextlib
import json
import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import filelock

from reviewbot.host.files import remove_tree
from reviewbot.host.locks import Waiting, locked, shared
from reviewbot.host.tempdirs import abandoned_temp
from reviewbot.store.contents import RECORD
from reviewbot.store.runs import RunFolder, Runs

Kind = Literal["leaving", "run", "artifact", "scratch", "repository", "download"]
_FOLDERS: Mapping[str, tuple[Kind, int]] = {
    "artifacts": ("artifact", 1), "scratch": ("scratch", 2), "layers": ("scratch", 1), "worktrees": ("scratch", 1),
    "repos": ("repository", 1), "apt": ("download", 1), "lore": ("download", 1), "downloads": ("download", 1),
    "objects": ("download", 2),
}  # fmt: skip
"""Folder of the cache -> what its entries are, and how deep in it they are."""
_THROWAWAY = "work-"
"""Folders below `building` whose name, and so the name of their lock, is never used again."""
_STAMPS = (RECORD, "FETCH_HEAD", "index", "HEAD", "refs", "objects", "replies.jsonl")
"""Entries whose time tells of a use, besides the folder's own."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something that could be removed."""

    kind: Kind
    path: Path
    size: int
    """Bytes on the disk."""
    used: float
    """Seconds since the epoch: when it was used last."""
    needed_by: str = ""
    """The newest run that needs it; empty: none does."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What is to go. Leftovers of killed processes go in any case."""

    unused: float
    """Seconds after which what nobody used goes."""
    size: int | None = None
    """Bytes that the cache may have; what was not used for longest goes first. None: as many as it has."""
    run_age: float | None = None
    """Seconds after which runs go; None: none does."""
    runs: tuple[str, ...] = ()
    """Ids of runs that go."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the cache and the runs hold."""

    remove: tuple[Item, ...]
    keep: tuple[Item, ...]

    def size(self) -> int:
        """Bytes that the cache has once `remove` is gone."""
        return sum(item.size for item in self.keep if item.kind != "run")


@contextmanager
def using(cache: Path, *, waiting: Waiting | None = None) -> Iterator[None]:
    """Nothing is removed from the cache while this lasts, but leftovers. waiting: told when we wait for a removal."""
    with shared(_in_use(cache), waiting=waiting):
        yield


@contextmanager
def alone(cache: Path) -> Iterator[bool]:
    """Whether nobody uses the cache; while this lasts nobody begins to."""
    try:
        with locked(_in_use(cache), timeout=0, who="reviewbot gc"):
            yield True
    except filelock.Timeout:
        yield False


def _in_use(cache: Path) -> Path:
    return cache / "locks" / "in-use.lock"


def leftovers(cache: Path, runs: Runs) -> Iterator[Path]:
    """What killed processes left: half-built artifacts, disks of machines, temporary folders.

    Each is nobody's until the next one is asked for, so it may be removed then.
    """
    for folder in _entries(cache / "building", 1):
        lock = cache / "locks" / f"{folder.name}.lock"
        with contextlib.suppress(filelock.Timeout), locked(lock, timeout=0):
            if os.path.lexists(folder):
                yield folder
                if folder.name.startswith(_THROWAWAY) and not os.path.lexists(folder):
                    lock.unlink(missing_ok=True)
    for run in runs.list():
        if run.left_open():
            with run.abandoned() as nobody:
                if nobody:
                    yield from _disks(run)
                    if not list(_disks(run)):
                        run.close()
    yield from abandoned_temp()


def _disks(run: RunFolder) -> Iterator[Path]:
    yield from (folder for folder in run.path.rglob("disks") if folder.is_dir())


def sweep(cache: Path, runs: Runs) -> int:
    """Remove what killed processes left. Returns how many bytes that were; what cannot be removed stays."""
    freed = 0
    for folder in leftovers(cache, runs):
        size = size_of(folder)
        with contextlib.suppress(OSError):
            remove_tree(folder)
            freed += size
    return freed


def look(cache: Path, runs: Runs, limits: Limits, *, now: float | None = None) -> Found:
    """What would be removed. now: seconds since the epoch."""
    today = time.time() if now is None else now
    going = [run for run in runs.list() if not run.running() and _goes(run, limits, today)]
    gone = {run.id for run in going}
    needed = _needed(run for run in runs.list() if run.id not in gone)
    items = list(_cached(cache, needed))
    left = [Item("leaving", path, size_of(path), 0.0) for path in leftovers(cache, runs)]
    old = [item for item in items if not item.needed_by and today - item.used > limits.unused]
    rest = [item for item in items if item not in old]
    if limits.size is not None:
        more, rest = _beyond(rest, limits.size)
        old += more
    removed = [Item("run", run.path, size_of(run.path), _began(run)) for run in going]
    return Found((*left, *removed, *old), tuple(rest))


def remove(cache: Path, item: Item) -> None:
    """Remove it. The caller is `alone` with the cache. Raises OSError."""
    remove_tree(item.path)
    if item.kind == "artifact":
        (cache / "checked" / f"{item.path.name}.json").unlink(missing_ok=True)


def _goes(run: RunFolder, limits: Limits, now: float) -> bool:
    return run.id in limits.runs or (limits.run_age is not None and now - _began(run) > limits.run_age)


def _began(run: RunFolder) -> float:
    record = run.record()
    return record.started.timestamp() if record else run.path.lstat().st_mtime


def _beyond(items: Sequence[Item], size: int) -> tuple[list[Item], list[Item]]:
    """Those that go so that the others are within `size`, and the others."""
    total, go = sum(item.size for item in items), []
    for item in sorted((item for item in items if not item.needed_by), key=lambda item: item.used):
        if total <= size:
            break
        go.append(item)
        total -= item.size
    return go, [item for item in items if item not in go]


def _needed(runs: Iterable[RunFolder]) -> dict[str, str]:
    """Name of an artifact's folder -> the newest run that needs it to be reproduced."""
    found: dict[str, str] = {}
    for run in runs:
        with contextlib.suppress(OSError, ValueError, RecursionError):
            found |= dict.fromkeys(_artifacts(json.loads((run.path / "lock.json").read_bytes())), run.id)
    return found


def _artifacts(value: Any) -> Iterator[str]:
    """All that a lock file names, wherever it does: of head, and of what head was compared with."""
    if isinstance(value, dict):
        if isinstance(value.get("kind"), str) and isinstance(value.get("key"), str):
            yield f"{value['kind']}-{value['key']}"
        value = list(value.values())
    for inside in value if isinstance(value, list) else ():
        yield from _artifacts(inside)


def _cached(cache: Path, needed: Mapping[str, str]) -> Iterator[Item]:
    for place, (kind, depth) in _FOLDERS.items():
        for path in _entries(cache / place, depth):
            whose = needed.get(path.name, "") if kind == "artifact" else ""
            yield Item(kind, path, size_of(path), used(path), whose)


def _entries(folder: Path, depth: int) -> list[Path]:
    """What is so deep in a folder; files count at any depth."""
    try:
        inside = sorted(folder.iterdir())
    except OSError:
        return []
    if depth == 1:
        return inside
    return [entry for path in inside for entry in (_entries(path, depth - 1) if path.is_dir() else [path])]


def used(path: Path) -> float:
    """Seconds since the epoch: the newest of the times that tell of a use."""
    times = [0.0]
    for place in (path, *(path / name for name in _STAMPS)):
        with contextlib.suppress(OSError):
            times.append(place.lstat().st_mtime)
    return max(times)


def size_of(path: Path) -> int:
    """Bytes on the disk of a file, or of all in a folder; a file with several names in it counts once.

    What cannot be read counts as nothing.
    """
    seen: set[tuple[int, int]] = set()
    total, left = 0, [str(path)]
    while left:
        name = left.pop()
        try:
            found = os.lstat(name)
            if (found.st_dev, found.st_ino) not in seen:
                seen.add((found.st_dev, found.st_ino))
                total += found.st_blocks * 512
            if stat.S_ISDIR(found.st_mode):
                left += [entry.path for entry in os.scandir(name)]
        except OSError:
            continue
    return total
