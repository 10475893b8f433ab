# SPDX-License-Identifier: GPL-2.0-or-later
"""Folders that hold a tree of a repository, byte for byte, whatever its `.gitattributes` say."""

import contextlib
import os
import tempfile
from pathlib import Path

from reviewbot.host.git import git, no_conversions
from reviewbot.host.process import CommandFailed, run

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


def lay_out_above(repository: Path, base: str, head: str, lower: Path, folder: Path) -> None:
    """Make `folder`, which is not there, hold `head`: files as in `base` are hard links to those in `lower`.

    Nobody may write to any file of it. A file that differs is newer than all others. Raises CommandFailed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    run(["cp", "-al", "--", lower, folder])
    advance(repository, base, head, folder)


def advance(repository: Path, now: str, wanted: str, folder: Path) -> None:
    """Make a folder of `lay_out_above` hold another commit than `now`. Files that differ are made anew, not written to.

    Raises CommandFailed; the folder is then of no use.
    """
    no_conversions(repository)
    changes = changed(repository, now, wanted)
    for path in (path for path, status in changes.items() if status != "A"):
        _unlink(folder, path)
    if there := [path for path, status in changes.items() if status != "D"]:
        with tempfile.TemporaryDirectory(prefix=".checkout-", dir=folder.parent) as name:
            env = {"GIT_INDEX_FILE": str(Path(name) / "index"), "GIT_WORK_TREE": str(folder)}
            git(repository, "read-tree", wanted, env=env)
            git(repository, "checkout-index", "--force", "--quiet", "-z", "--stdin", env=env, cwd=folder,
                stdin=b"".join(path + b"\0" for path in there))  # fmt: skip


def changed(repository: Path, before: str, after: str) -> dict[bytes, str]:
    """Paths that differ between two commits or trees, whatever bytes they are of, and `A`, `M`, `D` or `T`.

    A rename is a deletion and an addition.
    """
    with tempfile.TemporaryDirectory(prefix="reviewbot-") as name:
        said = Path(name) / "changes"
        git(repository, "diff-tree", "-r", "-z", "--no-renames", "--name-status", before, after, stdout=said)
        words = said.read_bytes().split(b"\0")
    return dict(zip(words[1::2], map(bytes.decode, words[::2]), strict=False))


def _unlink(folder: Path, name: bytes) -> None:
    """A file of base, and the directories that are empty without it. Its parents are directories: base has it so."""
    path = folder / os.fsdecode(name)
    if path.is_dir() and not path.is_symlink():
        path.rmdir()  # of a submodule, which is never filled
    else:
        path.unlink()
    with contextlib.suppress(OSError):
        while (path := path.parent) != folder:
            path.rmdir()


def _index(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.index")
