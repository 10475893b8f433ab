# SPDX-License-Identifier: GPL-2.0-or-later
"""Would these patches apply there? Answered without a checkout, in fractions of a second even for a kernel.

`git apply --cached` works on an index, and this one holds only the files that the patches name. New blobs go to a
folder of their own, so that trying leaves nothing in the repository.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reviewbot.host.git import git
from reviewbot.host.process import Completed
from reviewbot.trees.diffs import files_of

_TIMEOUT = 120.0


@dataclass(frozen=True, slots=True)
class Probe:
    """How far a list of diffs goes on one commit."""

    applied: int
    """How many from the first on."""
    total: int
    words: str = ""
    """git's words about the first that does not apply."""

    @property
    def all(self) -> bool:
        return self.applied == self.total


@dataclass(frozen=True, slots=True)
class _Index:
    repository: Path
    folder: Path

    def git(self, *arguments: str | Path, stdin: bytes = b"") -> Completed:
        env = {
            "GIT_INDEX_FILE": str(self.folder / "index"),
            "GIT_OBJECT_DIRECTORY": str(self.folder / "objects"),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(self.repository / "objects"),
        }
        return git(
            self.repository, *map(str, arguments), env=env, stdin=stdin, cwd=self.folder, check=False, timeout=_TIMEOUT
        )

    def apply(self, files: Sequence[Path], *options: str) -> Completed:
        return self.git("apply", "--cached", "--whitespace=nowarn", *options, *files)


def probe(repository: Path, commit: str, diffs: Sequence[bytes]) -> Probe:
    """How many of the diffs, from the first on, `git apply` takes in this order on top of `commit`."""
    total = len(diffs)
    if not total:
        return Probe(0, 0)
    with _prepared(repository, commit, diffs) as (index, files):
        done = index.apply(files)
        if done.status == 0:
            return Probe(total, total)
        # One call applies all of its files or none, so halve what is left until the one that is refused is alone.
        low, high = 0, total
        words = done.errors
        while high - low > 1:
            middle = (low + high) // 2
            done = index.apply(files[low:middle])
            if done.status == 0:
                low = middle
            else:
                high, words = middle, done.errors
        if high == total or low:
            words = index.apply(files[low:high]).errors
        return Probe(low, total, words.strip())


def reverts(repository: Path, commit: str, diffs: Sequence[bytes]) -> bool:
    """Whether `commit` seems to have these changes: they can be taken back there in this order, and not be made."""
    with _prepared(repository, commit, diffs) as (index, files):
        return index.apply(files[-1:]).status != 0 and index.apply(files, "--reverse").status == 0


@contextmanager
def _prepared(repository: Path, commit: str, diffs: Sequence[bytes]) -> Iterator[tuple[_Index, list[Path]]]:
    with tempfile.TemporaryDirectory(prefix="probe-") as name:
        index = _Index(repository, Path(name))
        (index.folder / "objects").mkdir()
        paths = {path for diff in diffs for file in files_of(diff) for path in file.paths}
        if all(path.isprintable() for path in paths):
            index.git("update-index", "-z", "--index-info", stdin=_entries(repository, commit, paths))
        else:  # names that are not text: rare, and not worth more than the time of a full index
            index.git("read-tree", commit)
        files = []
        for number, diff in enumerate(diffs, 1):
            file = index.folder / f"{number:04}.diff"
            file.write_bytes(diff)
            files.append(file)
        yield index, files


def _entries(repository: Path, commit: str, paths: set[str]) -> bytes:
    """`ls-tree -z` of these paths and of links and the like that stand where one of them wants a folder."""
    listed = ls_tree(repository, commit, paths)
    above: set[str] = set()
    for path in paths - set(listed):
        parts = path.split("/")
        above |= {"/".join(parts[:n]) for n in range(1, len(parts))}
    listed |= ls_tree(repository, commit, above - set(listed))
    return b"".join(
        f"{mode} {kind} {blob}\t".encode() + path.encode("utf-8", "surrogateescape") + b"\0"
        for path, (mode, kind, blob) in listed.items()
        if kind != "tree"
    )


def ls_tree(repository: Path, commit: str, paths: set[str]) -> dict[str, tuple[str, str, str]]:
    """Path -> mode, type, full id of those of these paths that the commit has."""
    found: dict[str, tuple[str, str, str]] = {}
    levels: dict[int, list[str]] = {}
    for path in sorted(path for path in paths if _plain(path)):
        levels.setdefault(path.count("/"), []).append(path)
    # Asked for a folder and a file in it at once, ls-tree lists the whole folder.
    for level in levels.values():
        for start in range(0, len(level), 500):
            command = ("ls-tree", "-z", "--full-tree", commit, "--", *level[start : start + 500])
            for row in git(repository, *command, check=False).output.split("\0"):
                facts, _, path = row.partition("\t")
                if path:
                    mode, kind, blob = facts.split(" ")
                    found[path] = (mode, kind, blob)
    return found


def _plain(path: str) -> bool:
    """A path that can be asked for: no NUL, nothing that steps out of the tree."""
    return bool(path) and "\0" not in path and not {"", ".", ".."} & set(path.split("/"))
