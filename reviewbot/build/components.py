# SPDX-License-Identifier: GPL-2.0-or-later
"""The recipes of the user-space components, and what must be true of their products.

Each check takes the output folder and the script's facts and gives the artifact's facts; it raises WrongProduct
for what configure scripts leave out without a word.
"""

from collections.abc import Mapping
from pathlib import Path

from reviewbot.build.recipe import Recipe, WrongProduct, hashes
from reviewbot.model.artifacts import Fact

RPATH = "/stack/lib"
"""Where programs of the stack look for its libfuse, before the guest's own."""
_E2FSPROGS = ("sbin/mke2fs", "sbin/e2fsck", "sbin/tune2fs", "sbin/debugfs", "sbin/dumpe2fs", "sbin/resize2fs",
              "sbin/e2image", "sbin/badblocks", "sbin/filefrag", "sbin/e4defrag", "bin/chattr", "bin/lsattr",
              "etc/mke2fs.conf")  # fmt: skip
_FSTESTS = ("check", "ltp/fsstress", "ltp/fsx", "tests/generic/group.list")


def check_libfuse(out: Path, facts: Mapping[str, Fact]) -> Mapping[str, Fact]:
    """Facts: version, soname, protocol (of FUSE), symbols (the newest version of one), service (fuservicemount3), iomap
    and iomap_enabled (servers are told when the kernel offers it), and hashes of the library and fusermount3.
    """
    libraries = sorted(p.name for p in (out / "stack" / "lib").glob("libfuse3.so.*.*"))
    if not libraries or not facts.get("soname"):
        raise WrongProduct("libfuse", "there is no libfuse3.so")
    _demand("libfuse", out / "stack", ("bin/fusermount3",))
    return {**facts, **hashes(out, *(f"lib/{name}" for name in libraries), "bin/fusermount3")}


def check_e2fsprogs(out: Path, facts: Mapping[str, Fact]) -> Mapping[str, Fact]:
    """Facts: version, fuse2fs, fuse4fs, fuse4fs_service, api (FUSE_USE_VERSION), libfuse (version linked), per server
    iomap and the soname, and hashes.

    A server without iomap is no fault of its tree: a posting may teach it to one server only, or in its last part.
    """
    if not facts.get("fuse2fs"):
        raise WrongProduct("e2fsprogs", "there is no fuse2fs")
    if facts.get("fuse4fs_source") and not facts.get("fuse4fs"):
        raise WrongProduct("e2fsprogs", "there is no fuse4fs though the tree has its source")
    _demand("e2fsprogs", out / "stack", _E2FSPROGS)
    for server in ("fuse2fs", "fuse4fs"):
        if facts.get(server):
            wanted = str(facts.get("libfuse3_soname")) if facts.get("libfuse3_wanted") else "libfuse.so.2"
            _demand_libfuse("e2fsprogs", server, facts, wanted)
    return {**facts, **hashes(out, "bin/fuse2fs", "bin/fuse4fs", "sbin/e2fsck", "sbin/mke2fs")}


def check_lkl(out: Path, facts: Mapping[str, Fact]) -> Mapping[str, Fact]:
    """Facts: version (of the kernel inside), lklfuse, libfuse (version linked), lklfuse_libfuse (soname), hash."""
    _demand("lkl", out / "stack", ("bin/lklfuse",))
    wanted = str(facts.get("libfuse3_soname")) if facts.get("libfuse3_wanted") else "libfuse.so.2"
    _demand_libfuse("lkl", "lklfuse", facts, wanted)
    return {**facts, "lklfuse": True, **hashes(out, "bin/lklfuse")}


def check_fstests(out: Path, facts: Mapping[str, Fact]) -> Mapping[str, Fact]:
    """Facts: tests (how many the groups name), fuse_ext4_support (of its own, without our helpers)."""
    _demand("fstests", out / "stack" / "fstests", _FSTESTS)
    if facts.get("without"):
        raise WrongProduct("fstests", f"configure did not find {facts['without']}")
    number = str(facts.get("tests", ""))
    if not number.isdigit() or number == "0":
        raise WrongProduct("fstests", "its groups name no test")
    return {**{name: fact for name, fact in facts.items() if name != "without"}, "tests": int(number)}


def _demand(component: str, folder: Path, names: tuple[str, ...]) -> None:
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise WrongProduct(component, f"there is no {', '.join(missing)}")


def _demand_libfuse(component: str, server: str, facts: Mapping[str, Fact], wanted: str) -> None:
    """The server must link exactly `wanted` (a soname) and, for the stack's own, find it there and nowhere else."""
    linked = str(facts.get(f"{server}_libfuse", ""))
    if linked != wanted:
        raise WrongProduct(component, f"{server} links {linked or 'no libfuse'}, not {wanted}")
    rpath = str(facts.get(f"{server}_rpath", ""))
    if facts.get("libfuse3_wanted") and RPATH not in rpath.split(":"):
        raise WrongProduct(component, f"{server} looks for {wanted} in {rpath or 'no folder of its own'}, not {RPATH}")


# A check is no part of an artifact's key: bump `version` when one changes.
RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(name="libfuse", version=3, needs=(), check=check_libfuse),
        Recipe(name="e2fsprogs", version=3, needs=("libfuse",), check=check_e2fsprogs),
        Recipe(name="lkl", version=3, needs=("libfuse",), check=check_lkl, in_tree=True),
        Recipe(name="fstests", version=3, needs=(), check=check_fstests),
    )
}


def needs(recipe: str) -> tuple[str, ...]:
    """Components that must be built before this one; the kernel needs none."""
    return RECIPES[recipe].needs if recipe in RECIPES else ()
