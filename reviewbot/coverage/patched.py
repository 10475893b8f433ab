# SPDX-License-Identifier: GPL-2.0-or-later
"""Which patch wrote which line of head: git's own blame, from base on."""

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from reviewbot.host.git import git
from reviewbot.model.trees import AppliedPatch, Tree

SOURCES = (".c", ".h", ".S", ".inc")
"""Ends of names that the compiler can have counters for."""
_ENTRY = re.compile(r"^([0-9a-f]{40}(?:[0-9a-f]{24})?) \d+ (\d+)(?: \d+)?$")


def own_patches(tree: Tree) -> tuple[AppliedPatch, ...]:
    """The posting's patches that head has on top of base, in their order."""
    return tuple(patch for patch in tree.patches if patch.commit and not patch.merged and not patch.prerequisite)


def touched(tree: Tree) -> tuple[str, ...]:
    """Source files of head that the posting's patches change, sorted."""
    repository, found = Path(tree.repository), set[str]()
    for patch in own_patches(tree):
        said = git(
            repository,
            "diff-tree",
            "-r",
            "-z",
            "--root",
            "--no-commit-id",
            "--no-renames",
            "--name-only",
            "--diff-filter=d",
            patch.commit,
        )
        found.update(name for name in said.output.split("\0") if name.endswith(SOURCES))
    if not found:
        return ()
    there = git(repository, "ls-tree", "-r", "-z", "--name-only", tree.head_commit, "--", *sorted(found))
    return tuple(sorted(found & set(there.output.split("\0"))))


def patched_lines(tree: Tree, path: str) -> Mapping[str, frozenset[int]]:
    """Commit of a patch -> lines of head's file that it wrote last. A line that a later patch changed is that one's."""
    own = {patch.commit for patch in own_patches(tree)}
    said = git(
        Path(tree.repository), "blame", "-s", "--porcelain", f"{tree.base_commit}..{tree.head_commit}", "--", path
    )
    return {commit: lines for commit, lines in parse_blame(said.output).items() if commit in own}


def parse_blame(text: str) -> dict[str, frozenset[int]]:
    """Commit -> line numbers, from `git blame --porcelain`. A line's own text begins with a tab, so it says nothing."""
    found: dict[str, set[int]] = defaultdict(set)
    for line in text.split("\n"):
        if match := _ENTRY.match(line):
            found[match[1]].add(int(match[2]))
    return {commit: frozenset(lines) for commit, lines in found.items()}
