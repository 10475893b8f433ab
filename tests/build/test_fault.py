# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose fault a failed build is: found out by building again, whatever the log says.

The compilers are played: what a tree's file `build` says happens. Trees, stack, store and order are real.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from reviewbot.build import steps
from reviewbot.build.errors import BaseFails, BuildFails
from reviewbot.build.recipe import Recipe
from reviewbot.config import Site, load_stack
from reviewbot.host.git import git
from reviewbot.host.process import CommandFailed, CommandTimeout, LimitExceeded
from reviewbot.model.artifacts import Artifact, Artifacts
from reviewbot.model.errors import DiskFull, InfraError
from reviewbot.model.trees import Tree, Trees
from reviewbot.model.verdict import ExitStatus
from reviewbot.store import Store
from tests.build.commits import Series

ERROR = "lib/fuse.c:7:1: error: ‘x’ undeclared"
KILLED = "cc: fatal error: Killed signal terminated program cc1\ncompilation terminated."
NO_SPACE = "lib/fuse.c:2:2: error: #error No space left on device"


class Compilers:
    """In place of the box: a tree whose file `build` says `ok` builds, `slow` does not end, `fat` takes too much
    memory; other words are its log.
    """

    def __init__(self) -> None:
        self.built: list[tuple[str, str]] = []
        """Component and commit, in order."""
        self.accidents = 0
        """Builds that are killed, whatever the tree says."""

    def recipe(
        self,
        recipe: Recipe,
        store: Store,
        tree: Tree,
        root: Artifact,
        built: Mapping[str, Artifact],
        log: Path,
        *_: Any,
    ) -> Artifact:
        self.built.append((recipe.name, tree.head_commit))
        said = git(Path(tree.repository), "cat-file", "blob", f"{tree.head_commit}:build").output.strip()
        needed = " ".join(artifact.path for name, artifact in built.items() if name in recipe.needs)
        if self.accidents:
            self.accidents -= 1
            said = KILLED
        if said == "wants good libfuse":
            said = ERROR if "bad" in needed else "ok"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(f"{said}\n")
        if said == "slow":
            raise CommandTimeout(["make"], 3600.0)
        if said == "fat":
            raise LimitExceeded("memory", 4 << 30, argv=["make"])
        if not said.startswith("ok"):
            raise CommandFailed(["make"], 2, said, log=log)
        return Artifact(kind=recipe.name, key=tree.head_commit, path=said, facts={})


@pytest.fixture
def compilers(monkeypatch: pytest.MonkeyPatch) -> Compilers:
    found = Compilers()
    root = Artifact(kind="buildroot", key="root", path="/nowhere", facts={})
    monkeypatch.setattr(steps, "run_recipe", found.recipe)
    monkeypatch.setattr(steps, "buildroot", lambda *_: root)
    return found


def tree_of_states(folder: Path, component: str, base: str, *patches: str, prerequisites: int = 0) -> Tree:
    """A tree whose base and patches say in their file `build` what happens; the first patches are prerequisites."""
    series = Series.from_nothing(folder, component)
    series.base = series.patch("base", {"build": lambda _: base}).commit
    series.patches.clear()
    for number, said in enumerate(patches):
        series.patch(f"step {number}", {"build": partial(_becomes, said)}, prerequisite=number < prerequisites)
    return series.tree()


def _becomes(text: str, _: str) -> str:
    return text


def build(folder: Path, *trees: Tree) -> tuple[Artifacts, tuple[InfraError | BuildFails, ...]]:
    return steps.build_components(
        Trees(trees=trees),
        load_stack(),
        store=Store(folder / "cache"),
        site=Site(),
        logs=folder / "logs",
        kinds=[tree.component for tree in trees],
    )


def failure(folder: Path, *trees: Tree) -> InfraError | BuildFails:
    _, (error,) = build(folder, *trees)
    return error


def test_a_head_that_does_not_build_while_base_does_is_the_series_fault(tmp_path: Path, compilers: Compilers) -> None:
    error = failure(tmp_path, tree := tree_of_states(tmp_path, "libfuse", "ok", "ok", ERROR))
    assert isinstance(error, BuildFails) and error.exit_status is ExitStatus.SERIES
    assert str(error) == "libfuse does not build: lib/fuse.c:7: ‘x’ undeclared"
    assert compilers.built == [("libfuse", tree.head_commit), ("libfuse", tree.base_commit)]


def test_the_same_error_in_base_is_said_and_is_nobodys_fault(tmp_path: Path, compilers: Compilers) -> None:
    moved = ERROR.replace(":7:", ":99:")
    error = failure(tmp_path, tree_of_states(tmp_path, "libfuse", ERROR, moved))
    assert isinstance(error, BaseFails) and error.exit_status is ExitStatus.INFRA
    assert "base has the same error" in str(error) and "says nothing about the series" in str(error)


def test_another_error_in_base_is_not_called_the_same(tmp_path: Path, compilers: Compilers) -> None:
    other = "lib/cuse.c:3:1: error: conflicting types"
    error = failure(tmp_path, tree_of_states(tmp_path, "libfuse", other, ERROR))
    assert isinstance(error, BaseFails) and not error.same
    assert "too" not in str(error) and "base does not build either: lib/cuse.c:3: conflicting types" in str(error)


def test_a_compiler_that_was_killed_once_accuses_nobody(tmp_path: Path, compilers: Compilers) -> None:
    compilers.accidents = 1
    made, failures = build(tmp_path, tree := tree_of_states(tmp_path, "libfuse", "ok", "ok"))
    assert failures == () and made.artifacts["libfuse"].key == tree.head_commit


def test_a_machine_on_which_base_is_killed_as_well_is_infrastructure(tmp_path: Path, compilers: Compilers) -> None:
    compilers.accidents = 99
    error = failure(tmp_path, tree_of_states(tmp_path, "libfuse", "ok", "ok"))
    assert isinstance(error, BaseFails) and error.exit_status is ExitStatus.INFRA
    assert "Killed signal terminated program cc1" in str(error)


def test_a_series_that_prints_the_words_of_a_killed_compiler_is_at_fault(tmp_path: Path, compilers: Compilers) -> None:
    error = failure(tmp_path, tree := tree_of_states(tmp_path, "libfuse", "ok", KILLED))
    assert isinstance(error, BuildFails)
    assert compilers.built == [("libfuse", c) for c in (tree.head_commit, tree.head_commit, tree.base_commit)]


def test_a_series_that_prints_that_the_disk_is_full_is_at_fault(tmp_path: Path, compilers: Compilers) -> None:
    error = failure(tmp_path, tree_of_states(tmp_path, "libfuse", "ok", NO_SPACE))
    assert isinstance(error, BuildFails)
    assert "#error No space left on device" in str(error)


@pytest.mark.parametrize(("head", "words"), [("slow", "did not finish within 3600 s"), ("fat", "bytes of memory")])
@pytest.mark.parametrize(("base", "kind"), [("ok", BuildFails), ("", BaseFails)])
def test_a_limit_is_the_series_fault_only_if_base_stays_within_it(
    tmp_path: Path, compilers: Compilers, head: str, words: str, base: str, kind: type[InfraError | BuildFails]
) -> None:
    error = failure(tmp_path, tree_of_states(tmp_path, "libfuse", base or head, head))
    assert isinstance(error, kind)
    assert words in str(error)


def test_prerequisites_are_below_the_series(tmp_path: Path, compilers: Compilers) -> None:
    broken_by = tree_of_states(tmp_path, "libfuse", "ok", ERROR, ERROR, prerequisites=1)
    assert isinstance(failure(tmp_path, broken_by), BaseFails)
    assert compilers.built[-1] == ("libfuse", broken_by.patches[0].commit)


def test_what_a_patched_dependency_breaks_is_judged_against_its_base(tmp_path: Path, compilers: Compilers) -> None:
    libfuse = tree_of_states(tmp_path, "libfuse", "ok good", "ok bad")
    e2fsprogs = tree_of_states(tmp_path, "e2fsprogs", "wants good libfuse")
    error = failure(tmp_path, libfuse, e2fsprogs)
    assert isinstance(error, BuildFails) and error.component == "e2fsprogs"


def test_a_full_disk_is_told_by_the_disk(tmp_path: Path, compilers: Compilers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "no_room", lambda *_, **__: True)
    with pytest.raises(DiskFull):
        build(tmp_path, tree_of_states(tmp_path, "libfuse", "ok", ERROR))
