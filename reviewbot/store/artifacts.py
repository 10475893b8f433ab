# SPDX-License-Identifier: GPL-2.0-or-later
"""The store: each artifact is built once, whole, and found by the hash of its inputs.

A folder of it: `artifact.json` (the record), `contents.json` (names, modes and hashes of all files), and the files. No
path in them is absolute, so a store may be moved or copied. `artifact.json` is the last to be written; all is on the
disk before the folder gets its name.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from reviewbot.host.files import remove_tree, sync, sync_tree, write_atomic
from reviewbot.host.locks import Waiting, locked
from reviewbot.model.artifacts import Artifact, Fact
from reviewbot.model.errors import InfraError
from reviewbot.store.contents import CONTENTS, RECORD, difference, read_contents, read_stamp, recorded
from reviewbot.store.damage import Damaged, Told, untold
from reviewbot.store.waiting import Waits, unheard

Builder = Callable[[Path], Mapping[str, Fact]]
"""Fills an empty folder and returns the facts it checked; raises if there is anything wrong."""

FORMAT = 2
"""Of a record. One of another format counts as absent."""
_TRUSTED = 24 * 3600.0
"""Seconds after which every file is read again, though nothing seems to have changed."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def key_of(kind: str, inputs: Mapping[str, str]) -> str:
    """Hex digest that names an artifact; any change of an input changes it."""
    text = json.dumps([kind, sorted(inputs.items())], ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Store:
    """Folder layout: `<root>/artifacts/<kind>-<key>/`, `<root>/building/…`, `<root>/checked/…`, `<root>/locks/…`.

    A folder under `artifacts/` is complete: it was renamed there after its record was on disk. What is used is checked
    before: all of it is read once a day and once after each start of the host, and whenever size, times or inode of
    any file are others than at the last check. What does not fit its record counts as absent.
    """

    def __init__(self, root: Path, told: Told = untold, who: str = "", waits: Waits = unheard) -> None:
        """told: hears of each artifact that is damaged. who: `run 20261129-0512`, what others are told who wait for
        what is built here. waits: hears of each wait for others.
        """
        self.root, self.told, self.who, self.waits = root, told, who, waits
        self.damaged: list[Damaged] = []
        """What was told."""

    @staticmethod
    def key(kind: str, inputs: Mapping[str, str]) -> str:
        """The name such an artifact has, whether or not it is there."""
        return key_of(kind, inputs)

    def find(self, kind: str, inputs: Mapping[str, str]) -> Artifact | None:
        """The artifact, if it is there and undamaged."""
        key = key_of(kind, inputs)
        return self._usable(self.path(kind, key), key)

    def get(
        self,
        kind: str,
        inputs: Mapping[str, str],
        build: Builder,
        *,
        waiting: Waiting | None = None,
        durable: bool = True,
    ) -> Artifact:
        """The artifact, built by `build` if it is not there.

        Two processes that ask for the same artifact build it once; the second waits, and `waiting` (else the store's
        own `waits`) is told for whom.
        Whatever `build` raises goes through, and the half-made folder is removed.
        durable: False for what is of no use after the host's next start; its files are neither hashed nor synced.
        """
        key = key_of(kind, inputs)
        lock = self.root / "locks" / f"{kind}-{key}.lock"
        with locked(lock, who=self.doing(f"is building {kind}"), waiting=waiting or partial(self.waits, kind)):
            return self._get(kind, key, inputs, build, durable)

    def doing(self, what: str) -> str:
        """`run 20261129-0512, which is building kernel`; empty when it is not known who we are."""
        return f"{self.who}, which {what}" if self.who else ""

    def _get(self, kind: str, key: str, inputs: Mapping[str, str], build: Builder, durable: bool) -> Artifact:
        final = self.path(kind, key)
        if found := self._usable(final, key):
            return found
        self._remove(final)  # damaged, or of an older format
        folder = self.root / "building" / final.name
        remove_tree(folder)  # left by a process that was killed: we hold its lock now
        folder.mkdir(parents=True)
        started = time.monotonic()
        try:
            facts = dict(build(folder))
            artifact = Artifact(
                kind=kind,
                key=key,
                path=str(final),
                facts=facts,
                inputs=dict(inputs),
                seconds=time.monotonic() - started,
            )
            artifact = write_record(folder, artifact, durable=durable)
            final.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(final)
            if durable:
                sync(final.parent)
                self._note_checked(final)
        except BaseException:
            remove_tree(folder)
            raise
        return artifact

    def _usable(self, folder: Path, key: str) -> Artifact | None:
        """The artifact in a folder, if it is there, has this key and is as it was made."""
        try:
            if not folder.exists() or is_old(folder):
                return None
            found = read_record(folder)
            damage = None if found.key == key else (RECORD, "changed")
            if found.content and damage is None and not self._checked(folder):
                damage = _damage(folder, found)
                if damage is None:
                    self._note_checked(folder)
        except FileNotFoundError:
            damage = RECORD, "missing"
        except (OSError, ValueError, InfraError):
            damage = RECORD, "unreadable"
        if damage is not None:
            self._tell(Damaged(folder.name.removesuffix(f"-{key}"), key, *damage))
            return None
        with contextlib.suppress(OSError):  # of somebody else, or read-only
            os.utime(folder / RECORD)  # garbage collection goes by last use
        return found

    def _tell(self, damaged: Damaged) -> None:
        """Once, however often it is asked for."""
        if damaged not in self.damaged:
            self.damaged.append(damaged)
            self.told(damaged)

    def _checked(self, folder: Path) -> bool:
        """Whether all of it was read lately and nothing changed since."""
        try:
            noted: Any = json.loads((self.root / "checked" / f"{folder.name}.json").read_bytes())
            recent = 0 <= time.time() - noted["time"] < _TRUSTED
            return bool(recent and noted["boot"] == _boot() and noted["stamp"] == read_stamp(folder))
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def _note_checked(self, folder: Path) -> None:
        noted = {"boot": _boot(), "time": time.time(), "stamp": read_stamp(folder)}
        with contextlib.suppress(OSError):  # a cache that cannot be written: it is read again each time
            write_atomic(self.root / "checked" / f"{folder.name}.json", json.dumps(noted))

    def drop(self, artifact: Artifact) -> None:
        """Remove an artifact that proved to be of no use; nothing happens if it is gone, or another is in its place.

        Who has its files open keeps them.
        """
        final = Path(artifact.path)
        with locked(self.root / "locks" / f"{artifact.kind}-{artifact.key}.lock"):
            if not final.exists():
                return
            try:
                there = read_record(final)
            except (OSError, ValueError):
                there = artifact
            if there.model_copy(update={"reused": artifact.reused}) == artifact:
                self._remove(final)

    def _remove(self, final: Path) -> None:
        """The caller holds the lock of the artifact."""
        with contextlib.suppress(OSError):
            (self.root / "checked" / f"{final.name}.json").unlink()
        if os.path.lexists(final):
            folder = self.root / "building" / final.name
            remove_tree(folder)
            folder.parent.mkdir(parents=True, exist_ok=True)
            final.rename(folder)
            remove_tree(folder)

    def path(self, kind: str, key: str) -> Path:
        """The folder of an artifact, whether or not it is there."""
        return self.root / "artifacts" / f"{kind}-{key}"

    def read(self, folder: Path, key: str) -> Artifact | None:
        """The artifact in a folder, perhaps of another store, if it is there, undamaged, and has this key."""
        return self._usable(folder, key)

    def scratch(self, name: str) -> Path:
        """A folder that is kept between builds (kernel objects, checked-out sources); made if needed."""
        folder = self.root / "scratch" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def lock(self, name: str) -> Path:
        """Path of a lock file for something kept in `scratch`."""
        return self.root / "locks" / f"scratch-{name.replace('/', '-')}.lock"

    def of(self, kind: str) -> Iterator[Artifact]:
        """All artifacts of a kind by their records; one whose record is damaged is passed over."""
        return (artifact for artifact in self if artifact.kind == kind)

    def __iter__(self) -> Iterator[Artifact]:
        for record in sorted((self.root / "artifacts").glob(f"*/{RECORD}")):
            with contextlib.suppress(OSError, ValueError):
                yield read_record(record.parent).model_copy(update={"reused": False})


def write_record(folder: Path, artifact: Artifact, *, durable: bool = True) -> Artifact:
    """Write what is known of an artifact into its folder; with the hashes of its files, and synced, if durable."""
    if durable:
        contents = json.dumps(read_contents(folder), indent=0, sort_keys=True)
        write_atomic(folder / CONTENTS, contents)
        artifact = artifact.model_copy(update={"content": hashlib.sha256(contents.encode()).hexdigest()})
        sync_tree(folder)
    said = artifact.model_dump(mode="json", exclude={"path", "reused"})
    record = {"format": FORMAT, "sha256": _sum(said), "artifact": said}
    write_atomic(folder / RECORD, json.dumps(record, indent=1))
    sync(folder)
    return artifact


def read_record(folder: Path) -> Artifact:
    """What is recorded of the artifact in a folder. Raises OSError, ValueError (damaged, or of another format)."""
    record = _json(folder / RECORD)
    if not isinstance(record, dict) or not isinstance(record.get("artifact"), dict):
        raise ValueError("no record of an artifact")
    if record.get("format") != FORMAT or record.get("sha256") != _sum(record["artifact"]):
        raise ValueError("a record of another format, or one that was changed")
    return Artifact.model_validate({**record["artifact"], "path": str(folder), "reused": True})


def is_old(folder: Path) -> bool:
    """Whether another version of reviewbot, with other records, made the artifact in a folder. Raises OSError."""
    try:
        record = _json(folder / RECORD)
    except ValueError:
        return False
    return isinstance(record, dict) and record.get("format", 1 if "kind" in record else FORMAT) != FORMAT


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _sum(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _damage(folder: Path, artifact: Artifact) -> tuple[str, str] | None:
    """Every file is read. Raises OSError, InfraError."""
    try:
        text = (folder / CONTENTS).read_bytes()
    except FileNotFoundError:
        return CONTENTS, "missing"
    if hashlib.sha256(text).hexdigest() != artifact.content:
        return CONTENTS, "changed"
    return difference(recorded(folder), read_contents(folder))


def _boot() -> str:
    """Another one after each start of the host."""
    return _BOOT_ID.read_text().strip()
