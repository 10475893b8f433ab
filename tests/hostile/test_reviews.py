# SPDX-License-Identifier: GPL-2.0-or-later
"""What the review of a hostile posting leaves is nothing to the review of an honest one on the same base."""

import shutil
from functools import partial
from pathlib import Path

import pytest

from reviewbot.build import build_patches
from reviewbot.build.debian import buildroot
from reviewbot.build.kernel import kernel
from reviewbot.config import load_site, load_stack
from reviewbot.host.paths import cache_dir
from reviewbot.model.artifacts import Artifact
from reviewbot.model.review import PatchBuild
from reviewbot.model.trees import Trees
from reviewbot.store import Store
from tests.build.commits import Series
from tests.build.kernels import small_kernel
from tests.build.libraries import small_library

pytestmark = pytest.mark.build
FORGED = """\
rule forged
  command = printf '%s\\n' 'FAILED: lib/a.o' '../src/lib/a.c:3:7: error: a helper of Alice'; exit 1
build all: forged
default all
"""
IDLE = "rule idle\n  command = true\nbuild all: idle\ndefault all\n"
HOSTILE = {
    "forges an error": f"cat > build.ninja <<'END'\n{FORGED}END\n",
    "lets nothing be built": f"cat > build.ninja <<'END'\n{IDLE}END\n",
    "dates what it compiled": "find . -name '*.o' -exec touch -d 2035-01-01 {} +",
    "swaps objects": "for o in $(find . -name 'b.c.o'); do cp $(find . -name 'a.c.o') $o; touch -d 2035-01-01 $o; done",
    "forgets what depends on what": "rm -f .ninja_deps .ninja_log; echo nothing > .ninja_deps",
    "goes on when its build has ended": f"(sleep 3; echo '{IDLE}' > build.ninja) > /dev/null 2>&1 < /dev/null &",
}
"""What a script of the posting does to /obj, once in the middle of the build and once after its end."""

TARGET = """\
custom_target('x', output: 'x', build_by_default: true, console: true,
              command: ['sh', '-c', 'sh /src/poison.sh; touch $0', '@OUTPUT@'])
"""


@pytest.fixture(scope="module")
def root() -> Artifact:
    for tool in ("mmdebstrap", "bwrap"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    return buildroot(Store(cache_dir()), load_site().debian_suite, cache_dir() / "logs" / "buildroot.log")


def review(series: Series, store: Store, root: Artifact, logs: Path) -> list[PatchBuild]:
    """Without what differs from one time to the next: seconds, and which lines make wrote at once."""
    trees = Trees(trees=(series.tree(),))
    found = build_patches(trees, load_stack(), store=store, built={"buildroot": root}, logs=logs)
    return [found[patch.commit].model_copy(update={"seconds": 0.0, "detail": ""}) for patch in series.patches]


def honest(base: Series) -> Series:
    series = Series(base.repository, base.base, base.component)
    series.patch("uses it", {"lib/a.c": lambda text: text.replace("return 0", "return b()")})
    series.patch("warns", {"lib/b.c": lambda text: text + "static int fresh;\n"})
    return series


@pytest.mark.parametrize("name", HOSTILE)
def test_an_honest_review_is_the_same_after_a_hostile_one(tmp_path: Path, root: Artifact, name: str) -> None:
    library = small_library(tmp_path)
    hostile = Series(library.repository, library.base, library.component)
    now = HOSTILE[name]
    script = f"cd /obj || exit\n(sleep 1\n{now}\n) > /dev/null 2>&1 < /dev/null &\n{now}\necho ran\n"
    hostile.patch("poison", {"poison.sh": partial(str.__add__, script), "meson.build": lambda text: text + TARGET})
    hostile.patch("once more", {"lib/a.c": lambda text: text + "/* Words. */\n"})
    store, logs = Store(tmp_path / "cache"), tmp_path / "run" / "logs"
    first = review(hostile, store, root, logs / "hostile")
    assert "ran" in (tmp_path / "run" / first[0].log).read_text()
    empty = Store(tmp_path / "empty")
    after = review(honest(library), store, root, logs / "review")
    assert after == review(honest(library), empty, root, logs / "review")
    assert [build.state for build in after] == ["built", "built"]
    assert [(w.file, w.line) for w in after[1].warnings] == [("lib/b.c", 7)]


def test_an_accusation_above_kept_objects_is_confirmed_from_an_empty_folder(
    tmp_path: Path, root: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = small_library(tmp_path)
    store, logs = Store(tmp_path / "cache"), tmp_path / "run" / "logs"
    review(honest(library), store, root, logs / "review")
    (kept,) = (store.root / "layers").glob("libfuse-review-*/obj")
    (kept / "build.ninja").write_text(FORGED)
    # As if no check found it: what a layer is worth must show in the build, too.
    monkeypatch.setattr("reviewbot.build.layers.Contents.difference", lambda self, other: "")
    other = Series(library.repository, library.base, library.component)
    other.patch("honest", {"lib/a.c": lambda text: text + "int c(void);\n"})
    (build,) = review(other, store, root, logs / "other")
    assert (build.state, build.error) == ("built", "")
    broken = Series(library.repository, library.base, library.component)
    broken.patch("breaks", {"lib/a.c": lambda text: text + "int x = nix;\n"})
    (build,) = review(broken, store, root, logs / "broken")
    assert build.own_error and "nix" in build.error


def test_a_review_of_a_kernel_is_the_same_after_a_hostile_one(tmp_path: Path, root: Artifact) -> None:
    base = small_kernel(tmp_path)
    hostile, honest = (Series(base.repository, base.base, "kernel") for _ in range(2))
    poison = "$(shell touch -d 2035-01-01 $(O)/fs/fuse/*.o; printf 'all:\\n' > $(O)/GNUmakefile)\n$(info it ran)\n"
    hostile.patch("poison", {"fs/fuse/Makefile": lambda text: text + poison})
    hostile.patch("again", {"fs/fuse/inode.c": lambda text: text.replace("init", "also")})
    honest.patch("adds to a header", {"include/fuse.h": lambda text: text + "int fuse_more(void);\n"})
    honest.patch("breaks", {"fs/fuse/dev.c": lambda text: text + "int x = nix;\n"})
    honest.patch("mends and warns", {"fs/fuse/dev.c": lambda text: text.replace("int x = nix", "static int x")})
    logs = tmp_path / "run" / "logs"
    found = []
    for store, others in ((Store(tmp_path / "cache"), [hostile]), (Store(tmp_path / "empty"), [])):
        kernel(store, base.tree(), root, logs / "build" / "kernel.log")  # whose objects tell what a header can change
        for other in others:
            first = review(other, store, root, logs / "hostile")
            assert "it ran" in (tmp_path / "run" / first[0].log).read_text()
        found.append(review(honest, store, root, logs / "review"))
    assert found[0] == found[1]
    header, breaks, mends = found[0]
    assert (header.state, header.compiled) == ("built", 2)
    assert breaks.own_error and "nix" in breaks.error
    assert (mends.state, [w.file for w in mends.warnings]) == ("built", ["fs/fuse/dev.c"])
