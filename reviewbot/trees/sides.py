# SPDX-License-Identifier: GPL-2.0-or-later
"""The same components at other commits: unpatched, or any of them up to any of its patches."""

from collections.abc import Mapping
from pathlib import Path

from reviewbot.host.git import git, tree_of
from reviewbot.model.trees import Tree, Trees


def at(trees: Trees, commits: Mapping[str, str]) -> Trees:
    """Each named component at this commit of its history from base to head; the others as they are.

    Patches after the commit are left out. Raises CommandFailed when the repository lacks the commit, ValueError when it
    is neither base nor one of the component's patches.
    """
    moved = tuple(_at(tree, commits[tree.component]) if tree.component in commits else tree for tree in trees.trees)
    return trees.model_copy(update={"trees": moved})


def above_base(trees: Trees, commits: Mapping[str, str]) -> Trees:
    """The named components at these commits, all others without the posting's patches; what it stands on stays."""
    return at(trees, {**{tree.component: _before(tree) for tree in trees.trees}, **commits})


def _before(tree: Tree) -> str:
    """The state that the posting's author started from: base with its prerequisites."""
    prerequisites = [patch.commit for patch in tree.patches if patch.prerequisite and not patch.merged]
    return prerequisites[-1] if prerequisites else tree.base_commit


def _at(tree: Tree, commit: str) -> Tree:
    if commit == tree.head_commit:
        return tree
    applied = [patch for patch in tree.patches if not patch.merged]
    places = {patch.commit: number for number, patch in enumerate(applied, 1)} | {tree.base_commit: 0}
    if commit not in places:
        raise ValueError(f"{tree.component}: {commit} is neither base nor a patch of the posting")
    repository = Path(tree.repository)
    date = int(git(repository, "show", "-s", "--format=%ct", commit).output)
    return tree.model_copy(
        update={
            "head_commit": commit, "head_tree": tree_of(repository, commit), "head_date": date,
            "patches": tuple(applied[: places[commit]]),
        }
    )  # fmt: skip
