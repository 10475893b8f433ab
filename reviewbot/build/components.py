# SPDX-License-Identifier: GPL-2.0-or-later
"""The recipes of the user-space components, and what must be true of their products."""

from collections.abc import Mapping
from pathlib import Path

from reviewbot.build.recipe import Recipe, hashes
from reviewbot.model.artifacts import Fact
from reviewbot.model.errors import InfraError


class WrongProduct(InfraError):
    """The build ended well and did not make what it should have: optional things fail silently."""

    def __init__(self, component: str, what: str) -> None:
        super().__init__(f"{component} was built, but {what}")
        self.component, self.what = component, what


def check_libfuse(out: Path, facts: Mapping[str, Fact]) -> Mapping[str, Fact]:
    libraries = sorted(p.name for p in (out / "stack" / "lib").glob("libfuse3.so.*.*"))
    if not libraries:
        raise WrongProduct("libfuse", "there is no libfuse3.so")
    return {**facts, **hashes(out, *(f"lib/{name}" for name in libraries), "bin/fusermount3")}


def check_e2fsprogs(out: Path, facts: Mapping[str, Fact]) -> Mapping[str, Fact]:
    if not facts.get("fuse2fs"):
        raise WrongProduct("e2fsprogs", "there is no fuse2fs")
    if facts.get("fuse4fs_source") and not facts.get("fuse4fs"):
        raise WrongProduct("e2fsprogs", "there is no fuse4fs though the tree has its source")
    for server in ("fuse2fs", "fuse4fs"):
        library = str(facts.get(f"{server}_libfuse", ""))
        if facts.get(server) and facts.get("libfuse3_wanted") and not library.startswith("libfuse3."):
            raise WrongProduct("e2fsprogs", f"{server} links {library or 'no libfuse'}, not the stack's libfuse 3")
    return {**facts, **hashes(out, "bin/fuse2fs", "bin/fuse4fs", "sbin/e2fsck", "sbin/mke2fs")}


def check_lkl(out: Path, facts: Mapping[str, Fact]) -> Mapping[str, Fact]:
    if not (out / "stack/bin/lklfuse").is_file() or not facts.get("libfuse"):
        raise WrongProduct("lkl", "there is no lklfuse that links a libfuse")
    return {**facts, "lklfuse": True, **hashes(out, "bin/lklfuse")}


def check_fstests(out: Path, facts: Mapping[str, Fact]) -> Mapping[str, Fact]:
    missing = [name for name in ("check", "ltp/fsstress", "ltp/fsx", "tests/generic/group.list")
               if not (out / "stack/fstests" / name).exists()]  # fmt: skip
    if missing:
        raise WrongProduct("fstests", f"there is no {missing[0]}")
    return {**facts, "tests": int(str(facts.get("tests", 0)))}


RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(name="libfuse", version=1, needs=(), check=check_libfuse),
        Recipe(name="e2fsprogs", version=1, needs=("libfuse",), check=check_e2fsprogs),
        Recipe(name="lkl", version=1, needs=("libfuse",), check=check_lkl, in_tree=True),
        Recipe(name="fstests", version=1, needs=(), check=check_fstests, in_tree=True),
    )
}
