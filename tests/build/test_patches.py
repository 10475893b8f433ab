# SPDX-License-Identifier: GPL-2.0-or-later
"""Every patch on top of those before it, in the real build root."""

import dataclasses
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from reviewbot.build import blame, build_patches, patches, workplace
from reviewbot.build.debian import buildroot
from reviewbot.config import load_site, load_stack
from reviewbot.host.paths import cache_dir
from reviewbot.model.artifacts import Artifact
from reviewbot.model.progress import Event
from reviewbot.model.review import PatchBuild
from reviewbot.model.trees import AppliedPatch, Tree, Trees
from reviewbot.store import Store
from tests.build.commits import Edit, Series, newest_import
from tests.build.libraries import FILES

STATES = ("built", "failed", "not-affected", "skipped")


def tree_of_states(*states: str) -> tuple[dict[str, PatchBuild], Tree]:
    """Patches `0`, `1`, … with these builds; `-`: base has it already."""
    applied = tuple(
        AppliedPatch(message_id="", subject=f"patch {n}", commit=f"{n}", merged=s == "-") for n, s in enumerate(states)
    )
    builds = {
        f"{n}": PatchBuild.model_validate({"commit": f"{n}", "state": s}) for n, s in enumerate(states) if s in STATES
    }
    tree = Tree(
        component="kernel",
        repository="",
        source="",
        base_commit="",
        base_tree="",
        base_why="",
        head_commit="",
        head_tree="",
        patches=applied,
    )
    return builds, tree


@pytest.mark.parametrize(
    ("states", "guilty"),
    [
        (("built", "built"), None),
        (("built", "failed"), "1"),
        (("failed", "failed", "failed"), "0"),
        (("failed", "built", "failed"), "2"),
        (("failed", "built"), None),
        (("built", "failed", "not-affected"), "1"),
        (("built", "failed", "skipped", "failed"), "1"),
        (("-", "prerequisite", "failed"), "2"),
        (("not-affected",), None),
        ((), None),
    ],
)
def test_the_blame_is_on_the_first_patch_from_which_on_nothing_builds(
    states: tuple[str, ...], guilty: str | None
) -> None:
    found = blame(*tree_of_states(*states))
    assert (found.commit if found else None) == guilty


def after(text: str) -> Edit:
    return lambda before: before + text


def instead(old: str, new: str) -> Edit:
    def edit(before: str) -> str:
        assert old in before
        return before.replace(old, new)

    return edit


@pytest.fixture(scope="module")
def root() -> Artifact:
    for tool in ("mmdebstrap", "bwrap"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    return buildroot(Store(cache_dir()), load_site().debian_suite, cache_dir() / "logs" / "buildroot.log")


@dataclasses.dataclass(frozen=True)
class Review:
    """Reviews series with a store and a run of its own."""

    store: Store
    root: Artifact
    logs: Path
    heard: list[Event] = dataclasses.field(default_factory=list)

    def __call__(self, *series: Series, **more: Artifact) -> list[PatchBuild]:
        trees = Trees(trees=tuple(one.tree() for one in series))
        found = build_patches(
            trees,
            load_stack(),
            store=self.store,
            built={"buildroot": self.root, **more},
            logs=self.logs,
            progress=self.heard.append,
        )
        return [found[p.commit] for one in series for p in one.patches if p.commit in found]


@pytest.fixture
def review(tmp_path: Path, root: Artifact) -> Review:
    return Review(Store(tmp_path / "cache"), root, tmp_path / "run" / "logs" / "review")


@pytest.fixture
def small(tmp_path: Path) -> Series:
    """A library of two files, with a warning that was there before the posting."""
    series = Series.from_nothing(tmp_path, "libfuse")
    series.patch("the library", {name: after(text) for name, text in FILES.items()}, prerequisite=True)
    return series


@pytest.mark.build
def test_each_patch_is_judged_by_what_it_does_itself(small: Series, review: Review) -> None:
    small.patch("moves the old warning", {"lib/b.c": lambda text: "\n\n" + text})
    small.patch("warns", {"lib/a.c": after("static int fresh;\n")})
    small.patch("breaks", {"lib/a.c": after("int x(void)\n{\n\treturn nix;\n}\n")})
    small.patch("warns meanwhile", {"lib/b.c": after("static int other;\n")})
    small.patch("text", {"doc/readme": after("words\n")})
    small.patch("mends", {"lib/a.c": instead("nix", "0")})
    small.patch("header", {"include/fuse.h": after("static int header;\n")})
    moves, warns, breaks, meanwhile, text, mends, header = review(small)
    assert (moves.state, moves.compiled, moves.warnings) == ("built", 1, ())
    assert [(w.file, w.line, w.tool) for w in warns.warnings] == [("lib/a.c", 6, "gcc")]
    assert "defined but not used" in warns.warnings[0].message
    assert (breaks.state, breaks.place) == ("failed", "lib/a.c:9")
    assert "nix" in breaks.error and "nix" in breaks.detail
    assert (meanwhile.state, meanwhile.came_with) == ("failed", "breaks")
    assert (text.state, text.compiled, text.log) == ("not-affected", 0, "")
    # Compared with the last one that built: what came while nothing built is told as soon as something does.
    assert (mends.state, [w.file for w in mends.warnings]) == ("built", ["lib/b.c"])
    assert (header.state, header.compiled) == ("built", 2)
    assert [w.file for w in header.warnings] == ["include/fuse.h"]
    run = review.logs.parent.parent
    assert "Compiling C object" in (run / header.log).read_text()
    assert review.heard[-1].text == "4 built, 2 failed, 1 not affected, 3 new warnings"


@pytest.mark.build
def test_what_was_built_between_the_same_states_is_not_built_again(small: Series, review: Review) -> None:
    small.patch("first", {"lib/a.c": after("static int fresh;\n")})
    small.patch("second", {"lib/b.c": after("int c(void);\n")})
    once = review(small)
    nowhere = dataclasses.replace(review, root=review.root.model_copy(update={"path": "/nonexistent"}))
    assert nowhere(small) == once
    # The next version has the first patch unchanged: only the second is built, compared with the first.
    small.patches.pop()
    small.patch("second, again", {"lib/b.c": after("static int c;\n")})
    first, second = review(small)
    assert first == once[0]
    assert [(w.file, w.line) for w in second.warnings] == [("lib/b.c", 7)]


@pytest.mark.build
def test_a_base_that_does_not_build_is_not_the_fault_of_the_patches(small: Series, review: Review) -> None:
    small.patch("a broken base", {"lib/a.c": after("int x = nix;\n")}, prerequisite=True)
    small.patch("innocent", {"lib/b.c": after("int c(void);\n")})
    small.patch("mends", {"lib/a.c": instead("nix", "0")})
    innocent, mends = review(small)
    assert (innocent.state, innocent.of_base) == ("failed", True)
    assert mends.state == "built"
    builds = {build.commit: build for build in (innocent, mends)}
    assert blame(builds, small.tree()) is None
    assert blame({innocent.commit: innocent}, small.tree()) is None


@pytest.mark.build
def test_an_error_of_ones_own_is_told_before_those_of_others(small: Series, review: Review) -> None:
    small.patch("breaks", {"lib/a.c": after("int x = nix;\n")})
    small.patch("breaks more", {"lib/b.c": after("int x = nought;\n")})
    small.patch("innocent", {"include/fuse.h": after("int c(void);\n")})
    breaks, more, innocent = review(small)
    assert ("nix" in breaks.error, breaks.own_error) == (True, True)
    assert (more.place, "nought" in more.error, more.why) == ("lib/b.c:7", True, "")
    assert innocent.state == "failed" and innocent.came_with.startswith("breaks")


@pytest.mark.build
def test_a_makefile_that_prints_for_ever_is_cut_and_one_that_never_ends_is_stopped(
    small: Series, review: Review, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workplace, "LOG_LIMIT", 1 << 20)
    monkeypatch.setattr(patches, "PATCH_LIMIT", 8.0)
    prints = "custom_target('x', output: 'x', console: true, build_by_default: true, command: ['sh', '-c', '{}'])\n"
    flood = prints.format("yes /src/lib/a.c:1:1: warning: fake | head -c 20000000; touch x")
    small.patch("floods", {"meson.build": after(flood)})
    small.patch("hangs", {"meson.build": instead(flood, prints.format("exec sleep 1000"))})
    small.patch("still hangs", {"lib/a.c": after("int c;\n")})
    small.patch("innocent", {"lib/b.c": after("int d;\n")})
    floods, hangs, still, innocent = review(small)
    assert (floods.state, floods.why) == ("built", "its output was truncated")
    assert len(floods.warnings) <= 100
    assert (review.logs.parent.parent / floods.log).stat().st_size == 1 << 20
    assert (hangs.state, hangs.error) == ("failed", "it was not built within 8 s")
    assert still.state == "failed"
    assert (innocent.state, innocent.why) == ("skipped", "2 builds before it timed out")


@pytest.mark.build
def test_a_component_without_a_recipe_per_patch_or_without_what_it_needs_is_skipped(
    tmp_path: Path, review: Review
) -> None:
    fstests, e2fsprogs = (Series.from_nothing(tmp_path, name) for name in ("fstests", "e2fsprogs"))
    for series in (fstests, e2fsprogs):
        series.patch(f"to {series.component}", {"README": after("words\n")})
    assert [(build.state, build.why) for build in review(fstests, e2fsprogs)] == [
        ("head-only", "fstests is built at head only"),
        ("skipped", "it needs libfuse, which could not be built"),
    ]


def imported(component: str, folder: Path) -> Series:
    """On top of the newest Debian source of the user's cache."""
    repository = cache_dir() / "repos" / f"{component}.git"
    base = newest_import(repository)
    if base is None:
        pytest.skip(f"no {component} source of Debian is in the cache: `make demo` brings it")
    return Series.on(repository, base, folder, component)


@pytest.fixture
def shared(tmp_path: Path, root: Artifact) -> Iterator[Review]:
    """With the layers of the user's cache, which take minutes to make, and results of its own."""
    with tempfile.TemporaryDirectory(prefix="test-", dir=cache_dir().parent) as name:  # where hard links reach
        for shared in ("layers", "locks"):
            (cache_dir() / shared).mkdir(parents=True, exist_ok=True)
            (Path(name) / shared).symlink_to(cache_dir() / shared)
        yield Review(Store(Path(name)), root, tmp_path / "run" / "logs" / "review")


function = "\n{0};\n\n{0}\n{{\n\treturn {1};\n}}\n".format
STORY: tuple[tuple[str, str, Edit], ...] = (
    ("good", "fs/fuse/acl.c", after(function("int fuse_good(void)", "0"))),
    ("warns", "fs/fuse/acl.c", after("\nstatic int fuse_warns(void)\n{\n\treturn 0;\n}\n")),
    ("breaks", "fs/fuse/xattr.c", after(function("int fuse_x(void)", "nix"))),
    ("mends", "fs/fuse/xattr.c", instead("nix", "0")),
    ("sparse", "fs/fuse/acl.c", after(function("__be32 fuse_be(void)", "3"))),
    ("header", "fs/fuse/fuse_trace.h", after("\n/* Words. */\n")),
    ("text", "Documentation/filesystems/fuse.rst", after("\nWords.\n")),
    ("elsewhere", "fs/xfs/xfs_inode.c", after("\n/* Words. */\n")),
)


@pytest.mark.build
@pytest.mark.timeout(1200)
def test_a_series_to_fs_fuse_of_a_real_kernel(tmp_path: Path, shared: Review) -> None:
    series = imported("kernel", tmp_path)
    for subject, path, edit in STORY:
        series.patch(subject, {path: edit})
    builds = dict(zip((subject for subject, *_ in STORY), shared(series), strict=True))
    assert {name: (build.state, build.compiled) for name, build in builds.items()} == {
        "good": ("built", 1),
        "warns": ("built", 1),
        "breaks": ("failed", 1),
        "mends": ("built", 1),
        "sparse": ("built", 1),
        "header": ("built", 1),
        "text": ("not-affected", 0),
        "elsewhere": ("not-affected", 0),
    }
    assert builds["breaks"].place.startswith("fs/fuse/xattr.c:") and "nix" in builds["breaks"].error
    found = {name: [(w.tool, w.file, w.message) for w in build.warnings] for name, build in builds.items()}
    assert found.pop("warns") == [("gcc", "fs/fuse/acl.c", "'fuse_warns' defined but not used [-Wunused-function]")]
    if not builds["good"].why:  # it says so when sparse could not be used
        assert ("sparse", "fs/fuse/acl.c") in {(tool, file) for tool, file, _ in found.pop("sparse")}
    assert not any(found.values())
    assert blame({p.commit: builds[p.subject] for p in series.patches}, series.tree()) is None


@pytest.mark.build
def test_a_patch_to_debians_libfuse_is_built_with_its_examples(tmp_path: Path, shared: Review) -> None:
    series = imported("libfuse", tmp_path)
    series.patch("warns", {"lib/helper.c": after("static int fresh;\n")})
    series.patch("breaks an example", {"example/hello.c": after("int x = nix;\n")})
    warns, breaks = shared(series)
    assert [(w.file, w.tool) for w in warns.warnings] == [("lib/helper.c", "gcc")]
    assert (breaks.state, breaks.place.partition(":")[0]) == ("failed", "example/hello.c")
    guilty = blame({warns.commit: warns, breaks.commit: breaks}, series.tree())
    assert guilty is not None and guilty.subject == "breaks an example"


@pytest.mark.build
@pytest.mark.timeout(900)
def test_a_header_that_a_makefile_of_e2fsprogs_forgot_is_followed_all_the_same(tmp_path: Path, shared: Review) -> None:
    libfuse = next((a for a in Store(cache_dir()) if a.kind == "libfuse"), None)
    if libfuse is None:
        pytest.skip("no libfuse is in the cache: `make demo` builds one")
    series = imported("e2fsprogs", tmp_path)
    series.patch(
        "a header that no makefile names",
        {
            "misc/new.h": after("#define NEW 1\n"),
            "misc/lsattr.c": after('#include "new.h"\nint new = NEW;\n'),
        },
    )
    series.patch("breaks it", {"misc/new.h": instead("1", "nix")})
    series.patch("man page", {"misc/lsattr.1.in": after(".PP\n")})
    new, breaks, text = shared(series, libfuse=libfuse)
    assert new.state == "built"
    assert (breaks.state, breaks.place) == ("failed", "misc/new.h:1")
    assert text.state == "not-affected"
