# SPDX-License-Identifier: GPL-2.0-or-later
"""The same components at other commits: unpatched, or any of them up to any of its patches."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from reviewbot.host.git import date_of, git, tree_of
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


def without(trees: Trees, component: str, commit: str) -> Trees | None:
    """Head without one patch of a component; None when what follows it needs it.

    Writes the commit into the component's repository in the cache. Raises CommandFailed.
    """
    tree = trees.get(component)
    if tree is None:
        return None
    repository = Path(tree.repository)
    with tempfile.TemporaryDirectory(prefix="without-") as name:
        env = {"GIT_INDEX_FILE": f"{name}/index"}
        diff = Path(name) / "diff"
        git(repository, "diff-tree", "-p", "--binary", "--full-index", commit, f"{commit}^", stdout=diff)
        git(repository, "read-tree", tree.head_commit, env=env)
        if git(repository, "apply", "--cached", "--3way", diff, env=env, check=False).status:
            return None
        made = git(repository, "write-tree", env=env).output.strip()
    facts = {"NAME": "reviewbot", "EMAIL": "reviewbot@localhost", "DATE": f"{tree.head_date} +0000"}
    who = {f"GIT_{role}_{name}": value for role in ("AUTHOR", "COMMITTER") for name, value in facts.items()}
    message = f"head without {commit}"
    head = git(repository, "commit-tree", "-p", tree.head_commit, "-m", message, made, env=who).output.strip()
    git(repository, "update-ref", f"refs/reviewbot/without/{head}", head)
    patches = tuple(patch for patch in tree.patches if patch.commit != commit)
    moved = tree.model_copy(update={"head_commit": head, "head_tree": made, "patches": patches})
    return trees.model_copy(
        update={"trees": tuple(moved if one.component == component else one for one in trees.trees)}
    )


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
    date = date_of(repository, commit)
    return tree.model_copy(
        update={
            "head_commit": commit,
            "head_tree": tree_of(repository, commit),
            "head_date": date,
            "patches": tuple(applied[: places[commit]]),
        }
    )
