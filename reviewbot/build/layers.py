# SPDX-License-Identifier: GPL-2.0-or-later
"""What builds begin with: sources and objects of unpatched bases, which no posting can change.

Folder layout: `<root>/layers/sources-<component>-<tree>/` (`tree/`, `tree.index`), `<root>/layers/<name>-<key>/`
(`obj/`, `contents`, `layer.json`) and `<root>/building/work-…`. A layer of objects is made by building base in an empty
folder, and keyed by all that decides about it. A posting gets it as the lower part of an overlay: what it writes goes
to a throw-away folder.
"""

import hashlib
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import filelock

from reviewbot.build.contents import Contents, read_contents
from reviewbot.host import box
from reviewbot.host.checkout import Checkout, is_whole, lay_out, lay_out_above
from reviewbot.host.files import write_atomic
from reviewbot.host.locks import locked, shared
from reviewbot.host.process import run
from reviewbot.host.sandbox import Bind, Sandbox, overlays
from reviewbot.model.artifacts import Artifact
from reviewbot.model.errors import InfraError
from reviewbot.model.progress import Event, Progress, silent
from reviewbot.model.trees import Tree
from reviewbot.store import Store

_RECORD, _CONTENTS = "layer.json", "contents"
_ATTEMPTS = 3


class NotKept(InfraError):
    """A layer that is damaged as soon as it is made."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A layer of objects. Nobody changes it for as long as its user has it."""

    folder: Path
    facts: Mapping[str, Any]
    """What its maker wants to know again; JSON."""


Make = Callable[[Path, Path], Mapping[str, Any]]
"""Builds base: from the folder of the objects, and one for what else comes out, to the facts."""

Lacks = Callable[[Mapping[str, Any]], bool]
"""From the facts to whether more is to be built."""


class More(Protocol):
    """Builds more of base, in a folder that holds objects of it with these facts."""

    def __call__(self, obj: Path, out: Path, /, facts: Mapping[str, Any]) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Layers:
    """The layers in a store, for the builds of one run in one build root."""

    store: Store
    root: Artifact
    progress: Progress = silent

    @property
    def sandbox(self) -> Sandbox:
        return Sandbox(Path(self.root.path) / "root")

    @contextmanager
    def source(self, tree: Tree, commit: str) -> Iterator[Checkout]:
        """The files of a commit of the tree's repository; what is not base's is gone afterwards."""
        repository = Path(tree.repository)
        name = f"sources-{tree.component}-{tree.base_tree[:16]}"

        def intact(home: Path) -> str | None:
            if not home.exists():
                return None
            return (
                "" if is_whole(repository, tree.base_tree, home / "tree") else "it does not match the tree of its base"
            )

        def make(home: Path) -> None:
            lay_out(repository, tree.base_tree, home / "tree")

        with (
            throwaway(self.store.root) as work,
            self._held(name, tree.component, intact, make) as home,
        ):
            lower, above = home / "tree", work / "tree"
            yield lay_out_above(repository, tree.base_commit, commit, lower, above, overlay=overlays())

    @contextmanager
    def objects(self, component: str, name: str, inputs: Mapping[str, str], make: Make) -> Iterator[Kept]:
        """The layer of these inputs, made if it is not there. Raises whatever `make` raises."""

        def fill(home: Path) -> None:
            (home / "obj").mkdir(parents=True)
            self._make(home, inputs, make, time.time() - 1)

        full = f"{name}-{_key(inputs)}"
        with self._held(full, component, partial(self._intact, inputs=inputs), fill) as home:
            yield Kept(home / "obj", _read(home)["facts"])

    @contextmanager
    def known(self, component: str, name: str, inputs: Mapping[str, str]) -> Iterator[Kept | None]:
        """The layer, if it is there and undamaged."""
        home, lock = self._home(f"{name}-{_key(inputs)}")
        with shared(lock, waiting=partial(self.store.waits, component)):
            whole = self._intact(home, inputs) == ""
            yield Kept(home / "obj", _read(home)["facts"]) if whole else None

    def extend(self, component: str, name: str, inputs: Mapping[str, str], make: More, lacks: Lacks) -> None:
        """Build more of base in a layer that is there, if it lacks something and nobody uses it now.

        Raises whatever `make` raises; the layer is then not there any more.
        """
        home, lock = self._home(f"{name}-{_key(inputs)}")
        try:
            with locked(lock, timeout=0, who=self.store.doing(f"is building more of the base of {component}")):
                if not _lacks(home, lacks) or self._intact(home, inputs) != "":
                    return
                record = _read(home)
                (home / _RECORD).unlink()
                self._make(home, inputs, partial(make, facts=record["facts"]), float(record["since"]))
        except filelock.Timeout:
            return

    def drop(self, name: str, inputs: Mapping[str, str]) -> None:
        """Let a layer that proved to be of no use count as not there. Who uses it now goes on with it."""
        home, _ = self._home(f"{name}-{_key(inputs)}")
        (home / _RECORD).unlink(missing_ok=True)

    def _make(self, home: Path, inputs: Mapping[str, str], make: Make, since: float) -> None:
        with throwaway(self.store.root) as work:
            (work / "out").mkdir()
            facts = make(home / "obj", work / "out")
            contents = read_contents(self.sandbox, home / "obj", work, since)
        write_atomic(home / _CONTENTS, contents.raw)
        run(["sync", "--file-system", home], timeout=3600)
        record = {
            "inputs": dict(inputs),
            "since": since,
            "facts": dict(facts),
            "contents": hashlib.sha256(contents.raw).hexdigest(),
        }
        write_atomic(home / _RECORD, json.dumps(record))

    def _intact(self, home: Path, inputs: Mapping[str, str]) -> str | None:
        """Empty, or what is wrong; None: it is not there, or was never finished."""
        if not (home / _RECORD).exists():
            return None
        try:
            record = _read(home)
            known = Contents((home / _CONTENTS).read_bytes())
            if record["inputs"] != dict(inputs) or hashlib.sha256(known.raw).hexdigest() != record["contents"]:
                return f"{_RECORD} does not match it"
            with throwaway(self.store.root) as work:
                now = read_contents(self.sandbox, home / "obj", work, float(record["since"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            return f"its record cannot be read ({error})"
        if name := known.difference(now):
            return f"{name} was modified"
        # make compares times: an object of tomorrow would never be made again.
        return "it is dated in the future" if now.newest > time.time() else ""

    @contextmanager
    def _held(
        self, name: str, component: str, intact: Callable[[Path], str | None], make: Callable[[Path], None]
    ) -> Iterator[Path]:
        """The folder of a layer that is whole, made if need be, and locked against changes."""
        home, lock = self._home(name)
        for _ in range(_ATTEMPTS):
            with shared(lock, waiting=partial(self.store.waits, component)):
                if intact(home) == "":
                    os.utime(home)  # garbage collection goes by last use
                    yield home
                    return
            who = self.store.doing(f"is building the base of {component}")
            with locked(lock, who=who, waiting=partial(self.store.waits, component)):
                if (why := intact(home)) == "":
                    continue
                if why:
                    words = f"the cached build of the base of {component} is damaged: {why}; rebuilding it"
                    self.progress(Event("build", component, "say", words))
                box.remove(home)
                home.parent.mkdir(parents=True, exist_ok=True)
                with throwaway(self.store.root) as work:
                    make(work / "new")
                    box.remove(home)  # whatever somebody put there since
                    (work / "new").rename(home)
        raise NotKept(f"the new build of the base of {component} is damaged", hint=f"check {home}")

    def _home(self, name: str) -> tuple[Path, Path]:
        return self.store.root / "layers" / name, self.store.root / "locks" / f"layer-{name}.lock"


def _key(inputs: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(sorted(inputs.items())).encode()).hexdigest()[:32]


def _read(home: Path) -> dict[str, Any]:
    record = json.loads((home / _RECORD).read_bytes())
    if not isinstance(record, dict) or not isinstance(record.get("facts"), dict):
        raise ValueError("not a record")
    return record


def _lacks(home: Path, lacks: Lacks) -> bool:
    try:
        return lacks(_read(home)["facts"])
    except (OSError, ValueError, KeyError):
        return False


def written(bind: Bind) -> tuple[Path, ...]:
    """After a run: the folders that hold what the box saw there, the topmost first."""
    if not bind.lower:
        return (bind.path,)
    copy = bind.path / "copy"
    return (copy,) if copy.is_dir() else (bind.path / "upper", *bind.lower)


def put_aside(log: Path) -> None:
    """Keep the log of a failed build under another name: the next one in its place tells whether it was right."""
    if log.exists():
        log.replace(log.with_name(f"{log.stem}-above-base.log"))


@contextmanager
def throwaway(root: Path) -> Iterator[Path]:
    """A new folder, which boxes may write to; it is removed in the end, or by the next run if this one is killed."""
    name = f"work-{secrets.token_hex(8)}"
    folder, lock = root / "building" / name, root / "locks" / f"{name}.lock"
    with locked(lock):
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            box.remove(folder)
            lock.unlink(missing_ok=True)
