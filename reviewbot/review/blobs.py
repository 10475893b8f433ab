# SPDX-License-Identifier: GPL-2.0-or-later
"""Files of a commit, read without a checkout."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from reviewbot.host.git import git
from reviewbot.host.objects import objects

LARGEST = 4 << 20
"""Bytes of the largest file that is read."""


def path_fits(path: str, patterns: Iterable[str]) -> bool:
    """Whether one of the shell patterns matches; `*` stops at a slash."""
    return any(fnmatchcase(path, p) and path.count("/") == p.count("/") for p in patterns)


def listed(repository: Path, commit: str, patterns: Sequence[str]) -> tuple[str, ...]:
    """Plain files whose path matches one of the shell patterns (`*` stops at a slash), sorted."""
    folders = sorted({pattern.split("*")[0].rpartition("/")[0] or "." for pattern in patterns if "*" in pattern})
    plain = [pattern for pattern in patterns if "*" not in pattern]
    wanted = [f"{folder}/" if folder != "." else "." for folder in folders] + plain
    said = git(repository, "-c", "core.quotePath=false", "ls-tree", "-l", commit, "--", *wanted).output
    found = []
    for line in said.splitlines():
        head, _, path = line.partition("\t")
        mode, _, _, size = head.split()
        if path_fits(path, patterns) and mode.startswith("100") and size.isdigit() and int(size) <= LARGEST:
            found.append(path)
    return tuple(sorted(found))


def read(repository: Path, commit: str, paths: Iterable[str]) -> dict[str, bytes]:
    """Contents by path; a path that is not a file of the commit is left out."""
    with objects(repository) as found:
        contents = {path: found.blob(f"{commit}:{path}") for path in paths}
    return {path: content for path, content in contents.items() if content is not None}


def changed(repository: Path, base: str, head: str) -> dict[str, str]:
    """Paths that differ between two commits, with their mode at head (`000000`: gone); a rename gives both."""
    said = git(
        repository,
        "diff-tree",
        "-r",
        "-z",
        "--raw",
        "--no-abbrev",
        "--no-renames",
        base,
        head,
    ).output.split("\0")
    return {path: entry.split()[1] for entry, path in zip(said[::2], said[1::2], strict=False) if path}


def lay_out(repository: Path, commit: str, paths: Iterable[str], folder: Path) -> None:
    """Write files of a commit below a folder. The caller leaves links out: `read` gives their targets as content, and a
    stranger chose both.
    """
    for path, content in read(repository, commit, paths).items():
        target = folder / path
        if len(content) > LARGEST or ".." in Path(path).parts or Path(path).is_absolute():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
