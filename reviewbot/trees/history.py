# SPDX-License-Identifier: GPL-2.0-or-later
"""Which of the patches a commit has already, by patch-id in its recent history."""

import contextlib
import datetime
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from reviewbot.host.git import CLEAN, git
from reviewbot.host.process import CommandFailed, CommandTimeout, run
from reviewbot.trees.diffs import files_of
from reviewbot.trees.queue import Queued

WEEKS = 10
"""How long before it was sent a series is looked for: earlier versions of it may have been merged in part."""
_MOST = 4000
"""Commits that are compared."""
_TIMEOUT = 120.0


@dataclass(frozen=True, slots=True)
class Searched:
    """What the history of a commit has of some patches."""

    found: dict[str, str]
    """patch-id -> commit that has it, unless a later one reverts that."""
    commits: int
    """How many were compared."""
    reach: str
    """How far the search went, for people."""


def since(date: int) -> int:
    """Where to begin, seconds since the epoch."""
    return max(0, date - WEEKS * 7 * 86400)


def merged(repository: Path, commit: str, entries: Sequence[Queued], date: int) -> Searched:
    """Look for the patches among the commits behind `commit` that touch their paths; only what is here is searched."""
    wanted = {entry.patch_id for entry in entries if entry.patch_id}
    paths = sorted({path for entry in entries for file in files_of(entry.diff) for path in file.paths})
    if not wanted or not paths or not _has_parent(repository, commit):
        return Searched({}, 0, "no history available")
    start = since(date) if date else 0
    listed = git(
        repository,
        "--literal-pathspecs",
        "rev-list",
        "--no-merges",
        f"--max-count={_MOST}",
        f"--since={start}",
        commit,
        "--",
        *paths,
        timeout=_TIMEOUT,
        check=False,
    ).output.split()
    boundary = set(shallow(repository))
    usable = [name for name in listed if name not in boundary]  # the diff of a cut commit is its whole tree
    reach = f"{len(usable)} commits since {day(start)}" if start else f"{len(usable)} commits"
    if boundary:
        reach += ", as far as the local history goes"
    found = _patch_ids(repository, usable, wanted)
    for name in _reverted(repository, commit, found.values(), start):
        found = {patch_id: value for patch_id, value in found.items() if value != name}
    return Searched(found, len(usable), reach)


def day(date: int) -> str:
    """2026-02-23"""
    return datetime.datetime.fromtimestamp(date, tz=datetime.UTC).strftime("%Y-%m-%d")


def _has_parent(repository: Path, commit: str) -> bool:
    return git(repository, "rev-parse", "--quiet", "--verify", f"{commit}^", check=False).status == 0


def shallow(repository: Path) -> list[str]:
    """Commits whose parents were not fetched."""
    with contextlib.suppress(FileNotFoundError):
        return (repository / "shallow").read_text().split()
    return []


def _patch_ids(repository: Path, commits: Sequence[str], wanted: set[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for start in range(0, len(commits), 250):
        try:
            said = git(
                repository,
                "diff-tree",
                "--stdin",
                "-p",
                "-r",
                "--no-ext-diff",
                "--no-textconv",
                "--no-color",
                "--full-index",
                stdin=("\n".join(commits[start : start + 250]) + "\n").encode(),
                timeout=_TIMEOUT,
            )
            ids = run(["git", "patch-id", "--stable"], stdin=said.output.encode(), env=CLEAN, split=True)
        except (CommandFailed, CommandTimeout):
            break
        for row in ids.output.splitlines():
            patch_id, _, commit = row.partition(" ")
            if patch_id in wanted:
                found.setdefault(patch_id, commit)
        if len(found) == len(wanted):
            break
    return found


def _reverted(repository: Path, commit: str, found: Iterable[str], start: int) -> set[str]:
    names = list(found)
    if not names:
        return set()
    words = [f"--grep=This reverts commit {name[:12]}" for name in names]
    said = git(
        repository, "log", f"--since={start}", "--format=%B", *words, commit, check=False, timeout=_TIMEOUT
    ).output
    return {name for name in names if re.search(rf"This reverts commit {name[:12]}", said)}
