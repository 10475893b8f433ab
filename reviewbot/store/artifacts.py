# SPDX-License-Identifier: GPL-2.0-or-later
"""The store: each artifact is built once, whole, and found by the hash of its inputs."""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import filelock

from reviewbot.host.files import remove_tree, write_atomic
from reviewbot.host.locks import locked
from reviewbot.model.artifacts import Artifact, Fact

Builder = Callable[[Path], Mapping[str, Fact]]
"""Fills an empty folder and returns the facts it checked; raises if there is anything wrong."""

_RECORD = "artifact.json"


def key_of(kind: str, inputs: Mapping[str, str]) -> str:
    """Hex digest that names an artifact; any change of an input changes it."""
    text = json.dumps([kind, sorted(inputs.items())], ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Store:
    """Folder layout: `<root>/artifacts/<kind>-<key>/`, `<root>/building/…`, `<root>/locks/…`.

    A folder under `artifacts/` is complete: it was renamed there after its record was on disk.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @staticmethod
    def key(kind: str, inputs: Mapping[str, str]) -> str:
        """The name such an artifact has, whether or not it is there."""
        return key_of(kind, inputs)

    def find(self, kind: str, inputs: Mapping[str, str]) -> Artifact | None:
        """The artifact, if it is there."""
        record = self.path(kind, key_of(kind, inputs)) / _RECORD
        if not record.exists():
            return None
        os.utime(record)  # garbage collection goes by last use
        return Artifact.model_validate_json(record.read_bytes()).model_copy(update={"reused": True})

    def get(
        self,
        kind: str,
        inputs: Mapping[str, str],
        build: Builder,
        *,
        waiting: Callable[[], None] | None = None,
    ) -> Artifact:
        """The artifact, built by `build` if it is not there.

        Two processes that ask for the same artifact build it once; the second waits (`waiting` is called then).
        Whatever `build` raises goes through, and the half-made folder is removed.
        """
        key = key_of(kind, inputs)
        lock = self.root / "locks" / f"{kind}-{key}.lock"
        try:
            with locked(lock, timeout=0):
                return self._get(kind, key, inputs, build)
        except filelock.Timeout:
            if waiting:
                waiting()
        with locked(lock):
            return self._get(kind, key, inputs, build)

    def _get(self, kind: str, key: str, inputs: Mapping[str, str], build: Builder) -> Artifact:
        if found := self.find(kind, inputs):
            return found
        folder = self.root / "building" / f"{kind}-{key}"
        remove_tree(folder)  # left by a process that was killed: we hold its lock now
        folder.mkdir(parents=True)
        started = time.monotonic()
        try:
            facts = dict(build(folder))
            artifact = Artifact(
                kind=kind, key=key, path=str(self.path(kind, key)), facts=facts, inputs=dict(inputs),
                seconds=time.monotonic() - started,
            )  # fmt: skip
            write_atomic(folder / _RECORD, artifact.model_dump_json(indent=1))
            final = self.path(kind, key)
            final.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(final)
        except BaseException:
            remove_tree(folder)
            raise
        return artifact

    def drop(self, artifact: Artifact) -> None:
        """Remove an artifact that proved to be of no use; nothing happens if it is gone, or another is in its place.

        Who has its files open keeps them.
        """
        final, name = Path(artifact.path), f"{artifact.kind}-{artifact.key}"
        with locked(self.root / "locks" / f"{name}.lock"):
            try:
                there = Artifact.model_validate_json((final / _RECORD).read_bytes())
            except OSError:
                return
            except ValueError:
                there = artifact
            if there.model_copy(update={"reused": artifact.reused}) == artifact:
                folder = self.root / "building" / name
                remove_tree(folder)
                folder.parent.mkdir(parents=True, exist_ok=True)
                final.rename(folder)
                remove_tree(folder)

    def path(self, kind: str, key: str) -> Path:
        """The folder of an artifact, whether or not it is there."""
        return self.root / "artifacts" / f"{kind}-{key}"

    @staticmethod
    def read(folder: Path, key: str) -> Artifact | None:
        """The artifact in a folder, if it is there, whole, and has this key."""
        try:
            found = Artifact.model_validate_json((folder / _RECORD).read_bytes())
        except (OSError, ValueError):
            return None
        if found.key != key:
            return None
        os.utime(folder / _RECORD)
        return found.model_copy(update={"path": str(folder), "reused": True})

    def scratch(self, name: str) -> Path:
        """A folder that is kept between builds (kernel objects, checked-out sources); made if needed."""
        folder = self.root / "scratch" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def lock(self, name: str) -> Path:
        """Path of a lock file for something kept in `scratch`."""
        return self.root / "locks" / f"scratch-{name.replace('/', '-')}.lock"

    def of(self, kind: str) -> Iterator[Artifact]:
        """All artifacts of a kind; one whose record is damaged is passed over."""
        for record in sorted((self.root / "artifacts").glob(f"{kind}-*/{_RECORD}")):
            with contextlib.suppress(OSError, ValueError):
                yield Artifact.model_validate_json(record.read_bytes())

    def __iter__(self) -> Iterator[Artifact]:
        for record in sorted((self.root / "artifacts").glob(f"*/{_RECORD}")):
            yield Artifact.model_validate_json(record.read_bytes())
