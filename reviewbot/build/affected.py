# SPDX-License-Identifier: GPL-2.0-or-later
"""What a patch can change of a build: the directories and objects that are to be made again."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from posixpath import basename, dirname
from typing import Literal

from reviewbot.config import load_yaml
from reviewbot.host.git import git
from reviewbot.model.base import Model
from reviewbot.model.stack import Route

SMALL = 40
"""Objects of a directory up to which it is built as a whole, so that kbuild says what belongs to the configuration."""
MOST_NEAR = 80
"""Objects compiled for one patch in directories that the posting touches."""
MOST_FAR = 20
"""Up to so many of other directories join them; what a header changes beyond that shows in the build of the head."""
_ARCH = "x86"
# Built by makefiles of their own, which take no single target.
_APART = ("arch/x86/boot/", "arch/x86/entry/vdso/", "arch/x86/purgatory/", "arch/x86/realmode/", "certs/",
          "drivers/firmware/efi/libstub/", "scripts/", "tools/", "usr/")  # fmt: skip
_GENERAL = ("Makefile", "Kbuild", "Kconfig", f"arch/{_ARCH}/Makefile", f"arch/{_ARCH}/Kbuild")
_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+-]*\Z")
_TREE_FILE = re.compile(rb"/src/(\S+)")


@dataclass(frozen=True, slots=True)
class Change:
    """One path that a patch touches. status: `A`dded, `M`odified, `D`eleted, `T`ype changed."""

    status: str
    path: str


@dataclass(frozen=True, slots=True)
class Affected:
    """What to build for one patch."""

    targets: tuple[str, ...] = ()
    """Names for make; empty: there is nothing to build."""
    why: str = ""
    """Why there is nothing, or what is not built now."""
    later: bool = False
    """It may change something that only the build of the head shows."""
    configure: bool = False
    """The configuration must be made again."""


@dataclass(frozen=True, slots=True)
class Objects:
    """What kept object folders know of this configuration."""

    names: frozenset[str] = frozenset()
    """All objects, `fs/fuse/dir.o`."""
    users: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Path in the tree -> objects that are compiled from it or include it; only of paths that were asked for."""

    def below(self, folder: str) -> int:
        """How many objects are in a directory and those below it."""
        return sum(name.startswith(f"{folder}/") for name in self.names)


class Unaffecting(Model):
    """`unaffecting.yaml`: per component the paths that no build reads."""

    kernel: tuple[Route, ...]
    libfuse: tuple[Route, ...]
    e2fsprogs: tuple[Route, ...]

    def patterns(self, component: str) -> tuple[str, ...]:
        routes: tuple[Route, ...] = getattr(self, component, ())
        return tuple(route.path for route in routes)


def load_unaffecting() -> Unaffecting:
    """Raises ConfigError."""
    return load_yaml(Path(__file__).with_name("unaffecting.yaml"), Unaffecting)


def matches(path: str, patterns: Iterable[str]) -> bool:
    """`*` crosses slashes."""
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def changes(repository: Path, before: str, after: str) -> tuple[Change, ...]:
    """Paths that differ between two commits; a rename is a deletion and an addition."""
    said = git(repository, "diff-tree", "-r", "-z", "--no-renames", "--name-status", before, after).output
    words = said.split("\0")
    return tuple(Change(status, path) for status, path in zip(words[::2], words[1::2], strict=False))


def parse_cmd(content: bytes) -> tuple[str, frozenset[str]]:
    """From one of kbuild's `.dir.o.cmd` files: the source, empty if the object is made of others, and all it read."""
    source = re.search(rb"^source_\S+ := /src/(\S+)$", content, re.MULTILINE)
    read = frozenset(word.decode(errors="replace") for word in _TREE_FILE.findall(content))
    return (source[1].decode(errors="replace") if source else ""), read


def learn(records: Iterable[tuple[str, bytes]], paths: Collection[str]) -> Objects:
    """From kbuild's `.cmd` files, name and content, of a build with /src as the tree."""
    names: set[str] = set()
    users: dict[str, set[str]] = defaultdict(set)
    wanted = frozenset(paths)
    for record, content in records:
        folder, file = dirname(record), basename(record)
        if not folder or not (file.startswith(".") and file.endswith(".o.cmd")):
            continue
        name = f"{folder}/{file[1:-4]}"
        source, read = parse_cmd(content)
        if source and not name.startswith((*_APART, "include/")):
            names.add(name)
            for path in read & wanted:
                users[path].add(name)
    return Objects(frozenset(names), {path: frozenset(found) for path, found in users.items()})


def folders_of(changed: Iterable[Change]) -> frozenset[str]:
    """Directories with sources that a posting touches: what depends on a header is looked at there first."""
    return frozenset(dirname(change.path) for change in changed if change.path.endswith((".c", ".S")))


def profiled(changed: Iterable[Change]) -> tuple[str, ...]:
    """Directories of the kernel whose objects count what runs, for a change: those of its sources and private headers.

    None of what is not linked into the kernel, where nothing would hold the counters, or of another architecture. What
    lies in include/ is counted where it is inlined in one of these. Sorted.
    """
    paths = (change.path for change in changed if change.status != "D" and change.path.endswith((".c", ".S", ".h")))
    return tuple(
        sorted(
            {
                dirname(path)
                for path in paths
                if not path.startswith((*_APART, "include/"))
                and "/include/" not in path
                and not _foreign(path)
                and _SAFE.match(path)
                and dirname(path)
            }
        )
    )


def affected(
    changed: Sequence[Change], known: Objects, first: Collection[str], ignored: Collection[str], fresh: Collection[str]
) -> Affected:
    """What one kernel patch can change.

    first: directories whose objects count most when there are too many. ignored: patterns of paths that do not
    matter. fresh: directories that the posting makes.
    """
    folders: set[str] = set()
    objects: set[str] = set()
    notes: list[str] = []
    counted = [c for c in changed if not matches(c.path, ignored) and not _foreign(c.path)]
    for change in counted:
        path, folder = change.path, dirname(change.path)
        users = known.users.get(path, frozenset())
        objects |= users
        if path.startswith(_APART) or path in _GENERAL:
            notes.append(f"changes in {path} show up in the build of head")
        elif not users and _may_add(change):
            where = _where(folder, known, fresh)
            if where == "small":
                folders.add(folder)
            elif where == "big" and (change.status == "A" or not path.endswith((".c", ".S"))):
                notes.append(f"what {path} adds shows up in the build of head")
    chosen = _capped(objects, first)
    if len(chosen) < len(objects):
        notes.append(f"{len(objects)} objects depend on it: {len(chosen)} were built, the others together with head")
    targets = _outermost({f"{folder}/" for folder in folders} | {_target(name, known, first) for name in chosen})
    safe = tuple(sorted(target for target in targets if _SAFE.match(target) and ".." not in target))
    why = "; ".join(notes) if safe or notes else "nothing that it touches is built in this configuration"
    return Affected(safe, why, bool(notes), any(basename(change.path).startswith("Kconfig") for change in counted))


def _foreign(path: str) -> bool:
    """Of another architecture."""
    return path.startswith("arch/") and "/" in path[5:] and not path.startswith(f"arch/{_ARCH}/")


def _may_add(change: Change) -> bool:
    """Whether objects that nobody knows may come with it."""
    return basename(change.path).startswith(("Kconfig", "Makefile", "Kbuild")) or change.path.endswith((".c", ".S"))


def _where(folder: str, known: Objects, fresh: Collection[str]) -> Literal["small", "big", "nowhere"]:
    """small: to be built as a whole; nowhere: not configured."""
    count = known.below(folder)
    if not folder or count > SMALL:
        return "big"
    return "small" if count or folder in fresh or not known.names else "nowhere"


def _capped(objects: Collection[str], first: Collection[str]) -> list[str]:
    near = sorted(name for name in objects if dirname(name) in first)[:MOST_NEAR]
    far = sorted(name for name in objects if dirname(name) not in first)
    return near + far[: max(0, MOST_FAR - len(near))]


def _target(name: str, known: Objects, first: Collection[str]) -> str:
    """The object's directory where the posting touches it and it is small, else the object alone."""
    folder = dirname(name)
    return f"{folder}/" if folder in first and known.below(folder) <= SMALL else name


def _outermost(targets: Collection[str]) -> set[str]:
    """Without those that another one holds."""
    folders = tuple(target for target in targets if target.endswith("/"))
    return {t for t in targets if not any(t != folder and t.startswith(folder) for folder in folders)}


def affects_anything(changed: Sequence[Change], ignored: Collection[str]) -> Affected:
    """A component that is always built as a whole: everything, unless no path matters."""
    if all(matches(change.path, ignored) for change in changed):
        return Affected(why="nothing that it touches is built")
    return Affected(("all",), configure=any(_configures(change.path) for change in changed))


def _configures(path: str) -> bool:
    """What the project's own makefiles see to less well than a new start of its configure script."""
    return path == "configure" or path.startswith("config/")
