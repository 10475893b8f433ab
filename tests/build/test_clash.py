# SPDX-License-Identifier: GPL-2.0-or-later
"""Components that were built and do not go together: the series is at fault only if they did below it.

The compilers are played: what a tree's file `build` names is what it installs. All else is real.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from reviewbot.build import build_all, steps
from reviewbot.build.errors import BaseFails, BuildFails
from reviewbot.build.payload import Collision
from reviewbot.build.recipe import Recipe
from reviewbot.config import Site, load_stack
from reviewbot.host.git import git
from reviewbot.model.artifacts import Artifact, Artifacts, Fact
from reviewbot.model.trees import Tree, Trees
from reviewbot.model.verdict import ExitStatus
from reviewbot.store import Store
from tests.build.test_fault import tree_of_states


def install(
    recipe: Recipe, store: Store, tree: Tree, root: Artifact, built: Mapping[str, Artifact], log: Path, *_: Any
) -> Artifact:
    """In place of the box."""
    said = git(Path(tree.repository), "cat-file", "blob", f"{tree.head_commit}:build").output.split()

    def build(folder: Path) -> Mapping[str, Fact]:
        for name in said:
            (folder / "root/stack" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "root/stack" / name).write_text(recipe.name)
        return {}

    return store.get(recipe.name, {"tree": tree.head_tree}, build)


@pytest.fixture(autouse=True)
def played(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "run_recipe", install)
    for name in ("buildroot", "guest"):
        monkeypatch.setattr(steps, name, lambda store, *_: store.get("empty", {}, lambda folder: {}))


def together(folder: Path, *trees: Tree) -> Artifacts:
    return build_all(
        Trees(trees=trees),
        load_stack(),
        store=Store(folder / "cache"),
        site=Site(),
        logs=folder / "logs",
        kinds=[tree.component for tree in trees],
    )


@pytest.mark.parametrize(
    ("libfuse", "e2fsprogs"),
    [(["lib/a", "lib/a bin/x"], ["bin/x"]), (["lib/a"], ["bin/y", "bin/y lib/a"])],
    ids=["the earlier one is patched", "the later one is patched"],
)
def test_a_series_that_makes_two_install_the_same_is_at_fault(
    tmp_path: Path, libfuse: list[str], e2fsprogs: list[str]
) -> None:
    with pytest.raises(BuildFails) as caught:
        together(
            tmp_path, tree_of_states(tmp_path, "libfuse", *libfuse), tree_of_states(tmp_path, "e2fsprogs", *e2fsprogs)
        )
    assert caught.value.exit_status is ExitStatus.SERIES and caught.value.component == "e2fsprogs"
    assert "which libfuse has too" in str(caught.value)


def test_two_that_did_not_go_together_below_the_series_accuse_nobody(tmp_path: Path) -> None:
    libfuse = tree_of_states(tmp_path, "libfuse", "bin/x", "bin/x lib/more")
    with pytest.raises(BaseFails) as caught:
        together(tmp_path, libfuse, tree_of_states(tmp_path, "e2fsprogs", "bin/x"))
    assert caught.value.exit_status is ExitStatus.INFRA and caught.value.same


def test_without_patches_nobody_is_asked(tmp_path: Path) -> None:
    with pytest.raises(Collision):
        together(tmp_path, *(tree_of_states(tmp_path, name, "bin/x") for name in ("libfuse", "e2fsprogs")))


def test_what_goes_together_becomes_a_payload(tmp_path: Path) -> None:
    trees = (tree_of_states(tmp_path, "libfuse", "lib/a", "lib/b"), tree_of_states(tmp_path, "e2fsprogs", "bin/x"))
    assert (Path(together(tmp_path, *trees).artifacts["payload"].path) / "payload.img").is_file()
