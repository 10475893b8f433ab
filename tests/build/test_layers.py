# SPDX-License-Identifier: GPL-2.0-or-later
"""What one posting leaves is nothing to the next: hostile first, honest second, compared with an empty cache."""

import contextlib
import hashlib
import os
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from reviewbot.build.debian import buildroot
from reviewbot.build.kernel import kernel
from reviewbot.build.layers import Layers
from reviewbot.build.recipe import WrongProduct
from reviewbot.config import load_site
from reviewbot.host import limits
from reviewbot.host.paths import cache_dir
from reviewbot.host.process import CommandFailed
from reviewbot.model.artifacts import Artifact
from reviewbot.model.progress import Event
from reviewbot.store import Store, saying
from reviewbot.store.damage import untold
from tests.build.commits import Series
from tests.build.kernels import small_kernel

pytestmark = pytest.mark.build


@pytest.fixture(scope="module")
def root() -> Artifact:
    for tool in ("mmdebstrap", "bwrap"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    return buildroot(Store(cache_dir()), load_site().debian_suite, cache_dir() / "logs" / "buildroot.log")


@dataclass
class Cache:
    """A cache of a test's own, and what runs on it said."""

    folder: Path
    root: Artifact
    heard: list[Event] = field(default_factory=list)

    @property
    def store(self) -> Store:
        return Store(self.folder, untold, "run A", saying(self.heard.append))

    @property
    def log(self) -> Path:
        return self.folder / "logs" / "kernel.log"

    def kernel(self, series: Series) -> Artifact:
        self.log.unlink(missing_ok=True)
        return kernel(self.store, series.tree(), self.root, self.log, progress=self.heard.append)

    def said(self) -> list[str]:
        return [event.text for event in self.heard if event.state == "say"]

    def objects(self) -> Path:
        (found,) = (self.folder / "layers").glob("kernel-*/obj")
        return found


@pytest.fixture
def cache(tmp_path: Path, root: Artifact) -> Cache:
    return Cache(tmp_path / "cache", root)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory, root: Artifact) -> dict[str, str]:
    """What the honest kernel is when nothing was built before it."""
    folder = tmp_path_factory.mktemp("clean")
    return content(Cache(folder / "cache", root).kernel(honest(small_kernel(folder))))


def content(artifact: Artifact) -> dict[str, str]:
    """Name -> digest of what an artifact holds beside its record."""
    folder = Path(artifact.path)
    return {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("bzImage", "System.map", "config")
    }


def honest(series: Series) -> Series:
    other = Series(series.repository, series.base, series.component)
    other.patch("an honest comment", {"fs/fuse/dev.c": lambda text: text.replace("fuse_init()", "fuse_init() + 1")})
    return other


HOSTILE = {
    "an object dated tomorrow": "touch -d 2035-01-01 $(O)/fs/fuse/inode.o $(O)/fs/fuse/dev.o",
    "an object of its own": "cd $(O)/fs/fuse && echo bad > dev.o && touch -d 2035-01-01 dev.o",
    "a makefile that goes first": r"printf 'bzImage:\n\techo bad\n' > $(O)/GNUmakefile; cp $(O)/GNUmakefile $(O)/fs/",
    "all objects gone": "rm -rf $(O)/fs $(O)/init",
    "folders that nobody may enter": "chmod 0 $(O)/fs",
    "a process that goes on": "(sleep 1; touch -d 2035-01-01 $(O)/fs/fuse/dev.o) > /dev/null 2>&1 < /dev/null &",
    "a folder 1500 deep": "cd $(O); mkdir -p $$(printf 'd/%.0s' {1..1500})",
    "set-uid, FIFO and links": "cd $(O); cp /bin/true t; chmod 6777 t; mkfifo p; ln -s /etc l; ln Makefile h",
}
"""What the makefile of a posting runs each time it is read."""


def poisoned(cache: Cache, folder: Path, name: str) -> Series:
    """A posting whose makefile does that, after it was built."""
    hostile = small_kernel(folder)
    hostile.patch(
        "poison",
        {
            "fs/fuse/Makefile": lambda text: f"{text}$(shell {HOSTILE[name]})\n$(info it ran)\n",
            "fs/fuse/inode.c": lambda text: text.replace('"init"', '"POISONED"'),
        },
    )
    with contextlib.suppress(CommandFailed):
        cache.kernel(hostile)
    assert "it ran" in cache.log.read_text()
    return hostile


@pytest.mark.parametrize("name", HOSTILE)
def test_an_honest_kernel_is_the_same_after_a_hostile_one(
    cache: Cache, clean: dict[str, str], tmp_path: Path, name: str
) -> None:
    hostile = poisoned(cache, tmp_path, name)
    made = cache.kernel(honest(hostile))
    assert content(made) == clean
    assert b"POISONED" not in Path(made.path, "bzImage").read_bytes()
    assert not list((cache.folder / "building").iterdir())


def test_without_overlays_an_honest_kernel_is_the_same_too(
    cache: Cache, clean: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_rules", replace(limits.rules(), overlay=False))
    hostile = poisoned(cache, tmp_path, "an object dated tomorrow")
    assert content(cache.kernel(honest(hostile))) == clean
    assert cache.log.read_text().count("CC ") == 1, "the copy has the objects of base"


def test_only_what_a_patch_changes_is_compiled(cache: Cache, tmp_path: Path) -> None:
    series = small_kernel(tmp_path)
    cache.kernel(series)
    assert cache.log.with_name("kernel-base.log").read_text().count("CC ") == 2
    cache.kernel(honest(series))
    assert [line.split() for line in cache.log.read_text().splitlines() if "CC " in line] == [["CC", "fs/fuse/dev.o"]]


DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut short": lambda objects: os.truncate(objects / "fs/fuse/inode.o", 7),
    "changed, with its size and time": lambda objects: _flipped(objects / "fs/fuse/inode.o"),
    "gone": lambda objects: (objects / "fs/fuse/inode.o").unlink(),
    "added": lambda objects: (objects / "GNUmakefile").write_text("bzImage:\n\tfalse\n"),
    "dated tomorrow": lambda objects: os.utime(objects / "fs/fuse/dev.o", (2**31, 2**31)),
    "without its list": lambda objects: (objects.parent / "contents").unlink(),
    "with half a record": lambda objects: os.truncate(objects.parent / "layer.json", 20),
}


def _flipped(path: Path) -> None:
    status, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_objects_of_base_are_made_again_and_nobody_is_accused(
    cache: Cache, clean: dict[str, str], tmp_path: Path, name: str
) -> None:
    series = small_kernel(tmp_path)
    cache.kernel(series)
    DAMAGE[name](cache.objects())
    made = cache.kernel(honest(series))
    assert content(made) == clean
    (said,) = cache.said()
    assert said.startswith("the cached build of the base of kernel is damaged: ") and said.endswith("; rebuilding it")
    cache.heard.clear()
    third = Series(series.repository, series.base, "kernel")
    third.patch("another", {"fs/fuse/inode.c": lambda text: text.replace("init", "also")})
    cache.kernel(third)
    assert cache.said() == []


@pytest.mark.parametrize(("path", "made"), [("fs/fuse/dev.c", 0), ("fs/fuse/Kconfig", 1)])
def test_the_configuration_is_made_again_only_if_a_patch_may_change_it(
    cache: Cache, tmp_path: Path, path: str, made: int
) -> None:
    series = small_kernel(tmp_path)
    series.patch("a change", {path: lambda text: f"{text}\n"})
    assert (Path(cache.kernel(series).path) / "config").read_text().startswith("CONFIG_TINY=y\n")
    assert cache.log.read_text().count("configured\n") == made
    assert cache.log.with_name("kernel-base.log").read_text().count("configured\n") == 1


def test_damaged_sources_of_base_are_laid_out_again(cache: Cache, clean: dict[str, str], tmp_path: Path) -> None:
    series = small_kernel(tmp_path)
    cache.kernel(series)
    (source,) = (cache.folder / "layers").glob("sources-*/tree")
    (source / "fs/fuse/inode.c").write_text("int x = nix;\n")
    (source / "GNUmakefile").write_text("bzImage:\n\tfalse\n")
    assert content(cache.kernel(honest(series))) == clean
    assert "it does not match the tree of its base" in cache.said()[0]


def test_a_layer_is_put_where_somebody_made_a_folder_meanwhile(
    cache: Cache, clean: dict[str, str], tmp_path: Path
) -> None:
    series = honest(small_kernel(tmp_path))

    def occupy(event: Event) -> None:
        if event.what == "kernel base" and event.state == "start":
            for home in (cache.folder / "locks").glob("layer-kernel-*.lock"):
                (cache.folder / "layers" / home.stem.removeprefix("layer-") / "obj").mkdir(parents=True)

    made = kernel(cache.store, series.tree(), cache.root, cache.log, progress=occupy)
    assert content(made) == clean


@pytest.mark.parametrize("release", ["x" * 70, r"7.1\n8.0", r"7.1\033[2J", ""])
def test_a_kernel_that_calls_itself_what_no_kernel_can_is_refused(cache: Cache, tmp_path: Path, release: str) -> None:
    series = small_kernel(tmp_path)
    series.patch("a name", {"Makefile": lambda text: text.replace("@echo $(release)", f"@printf '{release}'")})
    with pytest.raises(WrongProduct, match="not a valid kernel release") as caught:
        cache.kernel(series)
    assert len(str(caught.value)) < 200 and str(caught.value).isprintable()


def test_a_patch_is_accused_only_when_it_fails_in_an_empty_folder_too(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = small_kernel(tmp_path)
    cache.kernel(series)
    broken = Series(series.repository, series.base, "kernel")
    broken.patch("breaks", {"fs/fuse/dev.c": lambda text: text + "int x = nix;\n"})
    with pytest.raises(CommandFailed):
        cache.kernel(broken)
    assert "nix" in cache.log.read_text() and "nix" in cache.log.with_name("kernel-above-base.log").read_text()
    assert "CC      fs/fuse/inode.o" not in cache.log.read_text(), "what failed goes first"
    assert cache.said() == []
    # A patch that does not fail by itself: an object of base that no check of ours finds bad.
    (cache.objects() / "fs/fuse/inode.o").write_text("not an object")
    monkeypatch.setattr(Layers, "_intact", lambda self, home, inputs: "" if (home / "layer.json").exists() else None)
    made = cache.kernel(honest(series))
    assert b"not an object" not in Path(made.path, "bzImage").read_bytes()


def test_who_waits_for_the_objects_of_a_base_says_for_whom_and_does_not_build_them_too(
    cache: Cache, tmp_path: Path
) -> None:
    series, begun = small_kernel(tmp_path), threading.Event()
    slow = Series(series.repository, series.base, "kernel")
    slow.patch("another patch", {"fs/fuse/inode.c": lambda text: text.replace("init", "also")})
    second = Cache(cache.folder, cache.root)

    def first(event: Event) -> None:
        if event.what == "kernel base" and event.state == "start":
            begun.set()
            assert waits.wait(120), "the other one waits"

    waits = threading.Event()

    def other(event: Event) -> None:
        second.heard.append(event)
        if event.state == "say":
            waits.set()

    with ThreadPoolExecutor(1) as pool:
        store = Store(cache.folder, untold, "run A")
        one = pool.submit(kernel, store, series.tree(), cache.root, cache.folder / "a" / "kernel.log", progress=first)
        assert begun.wait(120)
        store = Store(cache.folder, untold, "run B", saying(other))
        kernel(store, slow.tree(), cache.root, cache.folder / "b" / "kernel.log", progress=other)
        one.result(120)
    assert second.said() == ["kernel is waiting for run A, which is building the base of kernel"]
    assert not (cache.folder / "b" / "kernel-base.log").exists()
