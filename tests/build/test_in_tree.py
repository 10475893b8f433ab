# SPDX-License-Identifier: GPL-2.0-or-later
"""A component that builds in its tree, by the recipe of LKL: hostile first, then honest as from an empty cache."""

import contextlib
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from reviewbot.build.debian import buildroot
from reviewbot.build.recipe import Recipe, run_recipe
from reviewbot.config import load_site
from reviewbot.host.paths import cache_dir
from reviewbot.host.process import CommandFailed
from reviewbot.model.artifacts import Artifact
from reviewbot.store import Store
from tests.build.commits import Series

pytestmark = pytest.mark.build
LKL = Recipe(name="lkl", version=1, needs=(), check=lambda out, facts: facts, in_tree=True, timeout=300)
TOP = """\
VERSION = 6
PATCHLEVEL = 1
SUBLEVEL = 0
objects := fs/super.o fs/inode.o
lkl.o: $(objects)
	ld -r -o $@ $(objects)
%.o: %.c fs/fs.h
	@echo "  CC      $@"
	@gcc -Ifs -c -o $@ $<
"""
TOOLS = """\
%/lib/lkl.o:
	@mkdir -p $(@D)
	$(MAKE) -C ../.. lkl.o
	cp ../../lkl.o $@
%/lklfuse: %/lib/lkl.o lklfuse.c
	gcc -o $@ lklfuse.c $<
"""
FILES = {
    "Makefile": TOP, "fs/fs.h": "int super(void);\nint inode(void);\n",
    "fs/super.c": '#include "fs.h"\nint super(void)\n{\n\treturn inode();\n}\n',
    "fs/inode.c": '#include "fs.h"\nint inode(void)\n{\n\treturn 1;\n}\n', "fs/gone.c": "int gone;\n",
    "tools/lkl/Makefile": TOOLS, "tools/lkl/Targets": "LDLIBS_lklfuse-y := -lfuse\n",
    "tools/lkl/lklfuse.c": "int super(void);\nint main(void)\n{\n\treturn super();\n}\n",
}  # fmt: skip
HOSTILE = {
    "a makefile that goes first": r"printf 'lkl.o:\n\techo bad > lkl.o\n' > /src/GNUmakefile",
    "objects of tomorrow": "touch -d 2035-01-01 /src/fs/super.o /src/fs/inode.o /src/lkl.o",
    "changed sources": "echo 'int x = nix;' >> /src/fs/inode.c",
    "a tree that is gone": "rm -rf /src/fs /src/tools/lkl/lklfuse.c",
}


@dataclass(frozen=True, slots=True)
class Cache:
    folder: Path
    root: Artifact

    @property
    def log(self) -> Path:
        return self.folder / "logs" / "lkl.log"

    def build(self, series: Series) -> bytes:
        """lklfuse of a series."""
        self.log.unlink(missing_ok=True)
        made = run_recipe(LKL, Store(self.folder), series.tree(), self.root, {}, self.log)
        return (Path(made.path) / "root/stack/bin/lklfuse").read_bytes()

    def compiled(self) -> list[str]:
        return [line.split()[1] for line in self.log.read_text().splitlines() if line.startswith("  CC ")]


@pytest.fixture(scope="module")
def root() -> Artifact:
    for tool in ("mmdebstrap", "bwrap"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    return buildroot(Store(cache_dir()), load_site().debian_suite, cache_dir() / "logs" / "buildroot.log")


def small_lkl(folder: Path) -> Series:
    start = Series.from_nothing(folder, "lkl")
    start.patch("base", {path: partial(str.__add__, text) for path, text in FILES.items()})
    return Series(start.repository, start.head, "lkl")


def honest(base: Series) -> Series:
    series = Series(base.repository, base.base, "lkl")
    series.patch("returns 2", {"fs/inode.c": lambda text: text.replace("1", "2"), "fs/gone.c": lambda _: None})
    return series


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory, root: Artifact) -> bytes:
    """The honest lklfuse when nothing was built before it."""
    folder = tmp_path_factory.mktemp("clean")
    return Cache(folder / "cache", root).build(honest(small_lkl(folder)))


@pytest.mark.parametrize("name", HOSTILE)
def test_an_honest_lklfuse_is_the_same_after_a_hostile_one(
    tmp_path: Path, root: Artifact, clean: bytes, name: str
) -> None:
    cache, base = Cache(tmp_path / "cache", root), small_lkl(tmp_path)
    hostile = Series(base.repository, base.base, "lkl")
    hostile.patch("poison", {"Makefile": lambda text: f"{text}$(shell {HOSTILE[name]})\n$(info it ran)\n"})
    with contextlib.suppress(CommandFailed):
        cache.build(hostile)
    assert "it ran" in cache.log.read_text()
    assert cache.build(honest(base)) == clean
    assert cache.compiled() == ["fs/inode.o"], "objects of base are used"
    assert not list((cache.folder / "building").iterdir())


def test_a_tree_that_does_not_build_is_tried_from_nothing_and_base_need_not_build(
    tmp_path: Path, root: Artifact
) -> None:
    cache, base = Cache(tmp_path / "cache", root), small_lkl(tmp_path)
    broken = Series(base.repository, base.base, "lkl")
    broken.patch("breaks", {"fs/inode.c": lambda text: text + "int x = nix;\n"})
    with pytest.raises(CommandFailed):
        cache.build(broken)
    assert "nix" in cache.log.read_text() and "nix" in cache.log.with_name("lkl-above-base.log").read_text()
    mends = Series(base.repository, broken.head, "lkl")
    mends.patch("mends", {"fs/inode.c": lambda text: text.replace("nix", "0")})
    assert cache.build(mends)
