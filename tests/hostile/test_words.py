# SPDX-License-Identifier: GPL-2.0-or-later
"""Series that print what a machine in trouble prints: the verdict comes from builds, not from the words of a log."""

import shutil
from functools import partial
from pathlib import Path

import pytest

from reviewbot.build import BaseFails, BuildFails, build_components, steps
from reviewbot.build.debian import buildroot
from reviewbot.config import Site, load_site, load_stack
from reviewbot.host.paths import cache_dir
from reviewbot.model.artifacts import Artifact
from reviewbot.model.trees import Trees
from reviewbot.store import Store
from tests.build.commits import Series
from tests.hostile.build import MESON, OPTIONS

pytestmark = pytest.mark.build
LIES = {
    "a full disk": "lib/a.c:1:2: fatal error: error writing to /tmp/ccx.s: No space left on device",
    "a killed compiler": "gcc: fatal error: Killed signal terminated program cc1",
    "a killed linker": "collect2: fatal error: ld terminated with signal 9 [Killed]",
    "a compiler that crashed": "lib/a.c:1:1: internal compiler error: Segmentation fault",
}
"""What a step of the build says before it fails."""
LIAR = """\
custom_target('lie', output: 'lie', build_by_default: true, console: true,
	command: ['sh', '-c', 'cat /src/lie.txt >&2; exit 1'])
"""
FILES = {
    "meson.build": MESON, "meson_options.txt": OPTIONS, "lib/fuse.h": "int a(void);\n",
    "lib/a.c": "int a(void)\n{\n\treturn 0;\n}\n", "lib/mount.c": "int main(void)\n{\n\treturn 0;\n}\n",
}  # fmt: skip


def library(folder: Path) -> Series:
    """A series on a library that builds, as yet without a patch."""
    start = Series.from_nothing(folder, "libfuse")
    start.patch("the library", {name: partial(becomes, text) for name, text in FILES.items()})
    return Series(start.repository, start.head, "libfuse")


@pytest.fixture(scope="module")
def root() -> Artifact:
    for tool in ("mmdebstrap", "bwrap"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    return buildroot(Store(cache_dir()), load_site().debian_suite, cache_dir() / "logs" / "buildroot.log")


def failure(tmp_path: Path, root: Artifact, monkeypatch: pytest.MonkeyPatch, series: Series) -> BuildFails | BaseFails:
    monkeypatch.setattr(steps, "buildroot", lambda *_: root)
    _, (error,) = build_components(
        Trees(trees=(series.tree(),)),
        load_stack(),
        store=Store(tmp_path / "cache"),
        site=Site(),
        logs=tmp_path / "logs",
        kinds=["libfuse"],
    )
    return error


def becomes(text: str, _: str) -> str:
    return text


@pytest.mark.parametrize("lie", LIES)
def test_a_series_that_prints_the_words_of_a_machine_in_trouble_is_at_fault(
    tmp_path: Path, root: Artifact, monkeypatch: pytest.MonkeyPatch, lie: str
) -> None:
    series = library(tmp_path)
    series.patch(
        "a lie", {"meson.build": partial(becomes, MESON + LIAR), "lie.txt": partial(becomes, f"{LIES[lie]}\n")}
    )
    error = failure(tmp_path, root, monkeypatch, series)
    assert isinstance(error, BuildFails), str(error)
    assert LIES[lie].rpartition(": ")[2] in str(error)


def test_a_base_that_has_the_error_accuses_nobody(
    tmp_path: Path, root: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = library(tmp_path)
    series.base = series.patch("broken before", {"lib/a.c": partial(becomes, "int a(void) { return nix; }\n")}).commit
    series.patches.clear()
    series.patch("honest", {"README": partial(becomes, "words\n")})
    error = failure(tmp_path, root, monkeypatch, series)
    assert isinstance(error, BaseFails) and error.same
    assert "base has the same error" in str(error)
