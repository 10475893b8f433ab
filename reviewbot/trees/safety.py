# SPDX-License-Identifier: GPL-2.0-or-later
"""What no patch may do to a tree. git refuses most of it too; this holds whatever git and its version think.

The tree is later bound into a sandbox, so a link that leads out of it would lead into the sandbox's own files.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from reviewbot.host.git import git
from reviewbot.trees.diffs import FileDiff

MAX_PATCH = 16 << 20
"""Bytes of one mail. The largest patches on the lists (generated register headers) have some 5 MB."""
MAX_SERIES = 48 << 20
"""Bytes of all mails of one component."""

SYMLINK, GITLINK, _GONE = "120000", "160000", "000000"


def unsafe_file(file: FileDiff) -> str:
    """Why this file of a diff is refused, or an empty string."""
    for path in file.paths:
        if why := unsafe_path(path):
            return why
    if file.mode == GITLINK:
        return f"{file.new or file.old} would be a submodule"
    return ""


def unsafe_path(path: str) -> str:
    """Why a path may not be written, or an empty string."""
    if path.startswith("/"):
        return f"{path} is an absolute path"
    for name in path.split("/"):
        if name in ("", ".", ".."):
            return f"{path} points outside the tree"
        if _is_git_folder(name):
            return f"{path} is in the .git folder"
    return ""


def _is_git_folder(name: str) -> bool:
    """`.git` as some file system would read it: HFS+ ignores some characters, NTFS trailing dots and `git~1`."""
    bare = "".join(c for c in name if unicodedata.category(c) != "Cf").casefold()
    return bare.split(":")[0].rstrip(". ") == ".git" or re.fullmatch(r"git~\d", bare.rstrip(". ")) is not None


def unsafe_link(path: str, target: str) -> str:
    """Why a symbolic link is refused: its target, read at its place, is not inside the tree.

    Only `..` at the front can be judged by its text: behind a name that is itself a link it means another folder.
    """
    names = [name for name in target.split("/") if name not in ("", ".")]
    up = next((n for n, name in enumerate(names) if name != ".."), len(names))
    if target.startswith("/") or up > path.count("/") or ".." in names[up:]:
        return f"the symbolic link {path} -> {target[:120]} points outside the tree"
    if any(_is_git_folder(name) for name in names):
        return f"the symbolic link {path} -> {target[:120]} points into the .git folder"
    return ""


def unsafe_commit(repository: Path, base: str, head: str) -> tuple[str, str] | None:
    """The first commit of base..head that leaves something refused in the tree, and why.

    Every commit is looked at, not only head: each one is built when a series is bisected.
    """
    for commit, mode, blob, path in _changes(repository, base, head):
        if mode == _GONE:
            continue
        if why := unsafe_path(path):
            return commit, why
        if mode == GITLINK:
            return commit, f"{path} would be a submodule"
        if mode == SYMLINK:
            size = int(git(repository, "cat-file", "-s", blob).output)
            target = git(repository, "cat-file", "blob", blob).output if size <= 4096 else "/" + "…" * 9
            if why := unsafe_link(path, target):
                return commit, why
    return None


def paths_of(repository: Path, base: str, head: str) -> dict[str, set[str]]:
    """Commit of base..head -> paths that it changes."""
    found: dict[str, set[str]] = defaultdict(set)
    for commit, _, _, path in _changes(repository, base, head):
        found[commit].add(path)
    return found


def _changes(repository: Path, base: str, head: str) -> Iterator[tuple[str, str, str, str]]:
    """Commit, mode after, blob after and path of everything that base..head adds or changes, oldest first."""
    said = git(
        repository,
        "log",
        "--reverse",
        "--topo-order",
        "--diff-merges=first-parent",
        "--raw",
        "--no-renames",
        "--no-abbrev",
        "-z",
        "--format=commit %H",
        f"{base}..{head}",
    ).output
    commit, pending = "", ("", "")
    for field in said.split("\0"):
        if pending[0]:  # whatever a path looks like, it stands right behind its own record
            yield commit, *pending, field
            pending = ("", "")
        elif (word := field.lstrip("\n")).startswith("commit "):
            commit = word[7:47]
        elif word.startswith(":"):
            _, mode, _, blob, _ = word.split(" ")
            pending = (mode, blob)
