# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel of today grants what each variant asks of it: who wants one learns of a lost symbol in seconds here, and
after a quarter of an hour of compiling there."""

from pathlib import Path

import pytest

from reviewbot.build.kconfig import check_survival, fragment_text, load_fragments, parse_config, symbols
from reviewbot.config import choose_variant, load_variants
from reviewbot.host.checkout import lay_out
from reviewbot.host.data import data_path
from reviewbot.host.sandbox import Bind, Sandbox
from tests.machines import DemoRun

pytestmark = pytest.mark.build
RECIPES = data_path("reviewbot/build/recipes")
TOGETHER = ("debug-vfs,kmemleak,slub,ubsan", "kasan,lockdep", "kcsan", "gcov")
"""All that have fragments; those that can be in one kernel cost one configuration."""
NEWER = {"debug-vfs": ("CONFIG_DEBUG_VFS",)}
"""Symbols that came after 6.12."""


@pytest.fixture(scope="module")
def tree(demo_run: DemoRun, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, frozenset[str], Path]:
    """The demo's kernel, the symbols it has, and the build root."""
    assert demo_run.status == 0
    found = demo_run.lock.trees.get("kernel")
    assert found
    source = tmp_path_factory.mktemp("kernel")
    lay_out(Path(found.repository), found.head_commit, source)
    known = symbols(Path(found.repository), found.head_commit)
    return source, known, Path(demo_run.lock.artifacts.artifacts["buildroot"].path) / "root"


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("objects")


def test_all_of_them_are_here() -> None:
    assert {n for names in TOGETHER for n in names.split(",")} == {
        v.name for v in load_variants().variants if v.fragments
    }


@pytest.mark.parametrize("name", TOGETHER)
def test_every_symbol_is_granted(
    tree: tuple[Path, frozenset[str], Path], objects: Path, tmp_path: Path, name: str
) -> None:
    source, known, root = tree
    fragments = load_fragments(choose_variant(name.split(",")).fragments)
    Sandbox(root).run(
        ["bash", "-eu", "/recipe/kernel.sh", "config"], stdin=fragment_text(fragments).encode(), log=tmp_path / "log",
        binds={"/src": Bind(source), "/obj": Bind(objects, writable=True), "/recipe": Bind(RECIPES),
               "/out": Bind(tmp_path, writable=True)},
        env={"LOCAL_VERSION": "-rb", "PROFILED": ""}, log_limit=1 << 20, timeout=300,
    )  # fmt: skip
    unknown = check_survival(fragments, parse_config((tmp_path / "config").read_text()), known)
    plain = check_survival(load_fragments(), parse_config((tmp_path / "config").read_text()), known)
    newer = [symbol for one in name.split(",") for symbol in NEWER.get(one, ())]
    assert sorted(set(unknown) - set(plain)) == newer
