# SPDX-License-Identifier: GPL-2.0-or-later
"""The same components at base, at head, and between."""

from pathlib import Path

import pytest

from reviewbot.model.trees import Tree, Trees
from reviewbot.trees import above_base, at, without
from tests.repos import git
from tests.trees.series import DAY, FILE, START, edited, new_repository, resolved, series, write


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Three patches on a base."""
    folder = new_repository(tmp_path / "kernel")
    git(folder, "checkout", "-q", "-b", "topic")
    for line in (10, 30, 50):
        write(folder, {FILE: edited(*(n for n in (10, 30, 50) if n <= line))}, f"change {line}", day=4)
    git(folder, "checkout", "-q", "master")
    return resolved(series(folder, "master..topic").but(date=START + 5 * DAY), folder, tmp_path / "c", base="master")


def test_base_has_no_patch_and_its_own_tree_and_date(tree: Tree) -> None:
    base = above_base(Trees(trees=(tree,)), {}).trees[0]
    assert (base.head_commit, base.head_tree, base.patches) == (tree.base_commit, tree.base_tree, ())
    assert base.head_date == START


def test_a_patch_in_the_middle_has_those_before_it_and_none_after(tree: Tree) -> None:
    middle = tree.patches[1]
    found = at(Trees(trees=(tree,)), {"kernel": middle.commit}).trees[0]
    assert found.patches == tree.patches[:2]
    assert found.head_tree == git(Path(tree.repository), "rev-parse", f"{middle.commit}^{{tree}}")


def test_a_component_that_is_not_named_stays_at_head(tree: Tree) -> None:
    other = tree.model_copy(update={"component": "libfuse"})
    found = at(Trees(trees=(tree, other)), {"libfuse": tree.base_commit})
    assert found.trees[0] == tree
    assert found.trees[1].head_commit == tree.base_commit


def test_what_the_posting_stands_on_belongs_to_its_base(tree: Tree) -> None:
    first = tree.patches[0].model_copy(update={"prerequisite": True})
    base = above_base(Trees(trees=(tree.model_copy(update={"patches": (first, *tree.patches[1:])}),)), {}).trees[0]
    assert base.patches == (first,)
    assert base.head_commit == first.commit


def test_a_commit_that_the_posting_does_not_have_is_refused(tree: Tree) -> None:
    with pytest.raises(ValueError, match="neither base nor a patch"):
        at(Trees(trees=(tree,)), {"kernel": "0" * 40})


def test_head_without_a_patch_has_the_others(tree: Tree) -> None:
    found = without(Trees(trees=(tree,)), "kernel", tree.patches[1].commit)
    assert found
    moved, repository = found.trees[0], Path(tree.repository)
    assert moved.patches == (tree.patches[0], tree.patches[2])
    assert git(repository, "show", f"{moved.head_commit}:{FILE}") == edited(10, 50).rstrip("\n")
    again = without(Trees(trees=(tree,)), "kernel", tree.patches[1].commit)
    assert again == found, "the same head without it is built once"


def test_a_patch_that_later_ones_stand_on_cannot_be_taken_out(tmp_path: Path) -> None:
    folder = new_repository(tmp_path / "kernel")
    git(folder, "checkout", "-q", "-b", "topic")
    for words in ("one", "two"):
        write(folder, {FILE: f"{words}\n"}, f"change to {words}", day=4)
    git(folder, "checkout", "-q", "master")
    tree = resolved(series(folder, "master..topic").but(date=START + 5 * DAY), folder, tmp_path / "c", base="master")
    assert without(Trees(trees=(tree,)), "kernel", tree.patches[0].commit) is None
