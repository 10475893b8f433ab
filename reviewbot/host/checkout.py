# SPDX-License-Identifier: GPL-2.0-or-later
"""Folders that hold a tree of a repository, byte for byte, whatever its `.gitattributes` say."""

import errno
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from reviewbot.host.git import git, no_conversions
from reviewbot.host.process import CommandFailed, run
from reviewbot.host.sandbox import Bind
from reviewbot.model.errors import InfraError

# What a copy of the folder changes besides the content: inodes, ctime.
_COPIED = ("-c", "core.trustctime=false", "-c", "core.checkStat=minimal")
_TIME = 1_000_000_000
"""Seconds since 1970."""
_PARALLEL = ("-c", "checkout.workers=0")


def lay_out(repository: Path, treeish: str, folder: Path) -> None:
    """Fill an empty folder (made if needed) with the tree, and keep the index beside it, as `folder.index`.

    All its files have one time, long ago: what is built of it is newer, whenever it is laid out. All of it is on disk
    when this returns. Raises CommandFailed (also for a tree whose names git refuses).
    """
    folder.mkdir(parents=True, exist_ok=True)
    no_conversions(repository)
    _index(folder).unlink(missing_ok=True)
    env = {"GIT_INDEX_FILE": str(_index(folder)), "GIT_WORK_TREE": str(folder)}
    git(repository, *_PARALLEL, "read-tree", "--reset", "-u", treeish, env=env, cwd=folder)
    run(["find", folder, "-exec", "touch", "--no-dereference", f"--date=@{_TIME}", "{}", "+"])
    git(repository, *_COPIED, "update-index", "-q", "--really-refresh", env=env, cwd=folder)
    run(["sync", "--file-system", folder])


def is_whole(repository: Path, treeish: str, folder: Path) -> bool:
    """Whether a folder that `lay_out` filled still holds this tree: each file is there, with its size and time, and
    no other. A copy of folder and index that keeps times is whole, too.
    """
    index = _index(folder)
    if not (folder.is_dir() and index.is_file()):
        return False
    env = {"GIT_INDEX_FILE": str(index), "GIT_WORK_TREE": str(folder)}
    asked = (("diff-index", "--cached", "--quiet", treeish), ("diff-files", "--quiet"))
    try:
        for words in asked:
            git(repository, *_COPIED, *words, env=env, cwd=folder)
        return not git(repository, "ls-files", "--others", env=env, cwd=folder).output
    except CommandFailed:
        return False


@dataclass(frozen=True, slots=True)
class Checkout:
    """The files of a commit: in `folder` those that differ from base, the others in `lower`, the tree of base.

    A name of base that the commit does not have is an overlay whiteout in `folder`. Without `lower`, `folder` has all
    files; those of base are hard links. Nobody may write to any file of either folder.
    """

    repository: Path
    folder: Path
    lower: Path | None

    @property
    def bind(self) -> Bind:
        """What a box is to see of it."""
        return Bind(self.folder, lower=(self.lower,) if self.lower else ())

    def advance(self, now: str, wanted: str) -> None:
        """Hold another commit or tree than `now`. Files that differ between the two are made anew, not written to.

        Raises CommandFailed; the folder is then of no use.
        """
        no_conversions(self.repository)
        changes = {Path(os.fsdecode(name)): status for name, status in changed(self.repository, now, wanted).items()}
        there = [path for path, status in changes.items() if status != "D"]
        with tempfile.TemporaryDirectory(prefix=".checkout-", dir=self.folder.parent) as name:
            env = {"GIT_INDEX_FILE": str(Path(name) / "index"), "GIT_WORK_TREE": str(self.folder)}
            git(self.repository, "read-tree", wanted, env=env)  # refuses names that lead out of the folder
            for path in (path for path, status in changes.items() if status != "A"):
                self._remove(path, hide=changes[path] == "D")
            for path in there:
                self._make_room(path)
            names = b"".join(os.fsencode(path) + b"\0" for path in there)
            words = ("checkout-index", "--force", "--quiet", "-z", "--stdin")
            git(self.repository, *words, env=env, cwd=self.folder, stdin=names)

    def _remove(self, path: Path, *, hide: bool) -> None:
        """hide: also what base has there, and the directories that are empty without it."""
        self._unlink(path)
        if hide and self._in_lower(path):
            self._make_room(path)
            _make_whiteout(self.folder / path)
        while hide and (path := path.parent) != Path() and not self._entries(path):
            for left in (self.folder / path).iterdir():
                left.unlink()
            (self.folder / path).rmdir()
            if self._in_lower(path):
                _make_whiteout(self.folder / path)

    def _unlink(self, path: Path) -> None:
        place = self.folder / path
        if place.is_dir() and not place.is_symlink():
            place.rmdir()  # of a submodule, which is never filled
        else:
            place.unlink(missing_ok=True)

    def _make_room(self, path: Path) -> None:
        """Its parents are directories in `folder`, in which nothing of base shows that the commit does not have."""
        for parent in reversed(path.parents[:-1]):
            place = self.folder / parent
            if _is_whiteout(place):
                place.unlink()
                place.mkdir()
                for name in self._names_in_lower(parent):
                    _make_whiteout(place / name)
            else:
                place.mkdir(exist_ok=True)
        if _is_whiteout(self.folder / path):
            (self.folder / path).unlink()

    def _entries(self, path: Path) -> bool:
        """Whether the commit has something in a directory."""
        place = self.folder / path
        names = {entry.name: _is_whiteout(entry) for entry in place.iterdir()} if place.is_dir() else {}
        return not all(names.values()) or any(name not in names for name in self._names_in_lower(path))

    def _names_in_lower(self, path: Path) -> list[str]:
        found = self._in_lower(path)
        return [entry.name for entry in found.iterdir()] if found and found.is_dir() and not found.is_symlink() else []

    def _in_lower(self, path: Path) -> Path | None:
        """Where base has it; no link is followed."""
        if self.lower is None or any((self.lower / parent).is_symlink() for parent in path.parents[:-1]):
            return None
        return found if os.path.lexists(found := self.lower / path) else None


def lay_out_above(
    repository: Path, base: str, head: str, lower: Path, folder: Path, *, overlay: bool = False
) -> Checkout:
    """The files of `head` above those of `base` in `lower`, in `folder`, which is not there yet.

    A file that differs is newer than all others. overlay: only these are in `folder`, whose user has to mount it above
    `lower`; else `folder` has all. Raises CommandFailed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    if overlay:
        folder.mkdir()
    else:
        run(["cp", "-al", "--", lower, folder])
    made = Checkout(repository, folder, lower if overlay else None)
    made.advance(base, head)
    return made


def changed(repository: Path, before: str, after: str) -> dict[bytes, str]:
    """Paths that differ between two commits or trees, whatever bytes they are of, and `A`, `M`, `D` or `T`.

    A rename is a deletion and an addition.
    """
    with tempfile.TemporaryDirectory(prefix="reviewbot-") as name:
        said = Path(name) / "changes"
        git(repository, "diff-tree", "-r", "-z", "--no-renames", "--name-status", before, after, stdout=said)
        words = said.read_bytes().split(b"\0")
    return dict(zip(words[1::2], map(bytes.decode, words[::2]), strict=False))


def _make_whiteout(place: Path) -> None:
    """Whoever mounts it sees nothing of this name. Everybody may make one (Linux 5.8), where the filesystem has them.

    Raises InfraError, OSError.
    """
    try:
        os.mknod(place, stat.S_IFCHR | 0o600, os.makedev(0, 0))
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EACCES, errno.EINVAL, errno.EOPNOTSUPP):
            raise
        raise InfraError(
            f"the cache's filesystem does not support overlay whiteouts: {error.strerror}",
            hint="use `box: {layers: copied}` in the site file",
        ) from error


def _is_whiteout(place: Path | os.DirEntry[str]) -> bool:
    try:
        found = place.stat(follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def _index(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.index")
