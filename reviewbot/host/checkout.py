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
_PARALLEL = ("-c", "checkout.workers=0")


def lay_out(repository: Path, treeish: str, folder: Path) -> None:
    """Fill an empty folder (made if needed) with the tree, and keep the index beside it, as `folder.index`.

    All of it is on disk when this returns. Raises CommandFailed (also for a tree whose names git refuses).
    """
    folder.mkdir(parents=True, exist_ok=True)
    no_conversions(repository)
    _index(folder).unlink(missing_ok=True)
    env = {"GIT_INDEX_FILE": str(_index(folder)), "GIT_WORK_TREE": str(folder)}
    git(repository, *_PARALLEL, "read-tree", "--reset", "-u", treeish, env=env, cwd=folder)
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
    no_conversions(repository)
    run(["cp", "-al", "--", lower, folder])
    with tempfile.TemporaryDirectory(prefix=".checkout-", dir=folder.parent) as name:
        said = Path(name) / "changes"
        git(repository, "diff-tree", "-r", "-z", "--no-renames", "--name-status", base, head, stdout=said)
        words = said.read_bytes().split(b"\0")
        changes = list(zip(words[::2], words[1::2], strict=False))
        for _, path in (change for change in changes if change[0] != b"A"):
            _unlink(folder, path)
        there = [path for status, path in changes if status != b"D"]
        if there:
            env = {"GIT_INDEX_FILE": str(Path(name) / "index"), "GIT_WORK_TREE": str(folder)}
            git(repository, "read-tree", head, env=env)
            git(repository, "checkout-index", "--force", "--quiet", "-z", "--stdin", env=env, cwd=folder,
                stdin=b"".join(path + b"\0" for path in there))  # fmt: skip


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
