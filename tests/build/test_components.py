# SPDX-License-Identifier: GPL-2.0-or-later
"""What a component's products must be, and that the recipes make them from real sources."""

import dataclasses
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from reviewbot.build import recipe
from reviewbot.build.components import RECIPES
from reviewbot.build.debian import buildroot
from reviewbot.build.recipe import WrongProduct, run_recipe
from reviewbot.config import Site, load_site, load_stack
from reviewbot.host.files import sha256_file
from reviewbot.host.git import git, tree_of
from reviewbot.host.paths import cache_dir
from reviewbot.host.sandbox import Bind, Sandbox
from reviewbot.model.artifacts import Artifact, Fact
from reviewbot.model.stack import Source
from reviewbot.model.trees import Tree
from reviewbot.store import Store
from reviewbot.trees import resolve

RECIPE_FOLDER = Path(recipe.__file__).parent / "recipes"
GOOD: Mapping[str, tuple[tuple[str, ...], Mapping[str, Fact]]] = {
    "libfuse": (
        ("lib/libfuse3.so.3.17.2", "bin/fusermount3"),
        {"version": "3.17.2", "soname": "libfuse3.so.4", "iomap": False},
    ),
    "e2fsprogs": (
        (*(f"sbin/{name}" for name in ("mke2fs", "e2fsck", "tune2fs", "debugfs", "dumpe2fs", "resize2fs", "e2image",
                                       "badblocks", "filefrag", "e4defrag")),
         "bin/chattr", "bin/lsattr", "bin/fuse2fs", "bin/fuse4fs", "etc/mke2fs.conf"),
        {"version": "1.48.0", "libfuse": "3.19.0", "libfuse3_wanted": True, "libfuse3_soname": "libfuse3.so.4",
         "libfuse3_iomap": True, "iomap_source": True, "iomap": True, "fuse2fs_iomap": True,
         "fuse4fs_iomap": True, "fuse4fs_source": True,
         "fuse2fs": True, "fuse2fs_libfuse": "libfuse3.so.4", "fuse2fs_rpath": "/stack/lib",
         "fuse4fs": True, "fuse4fs_libfuse": "libfuse3.so.4", "fuse4fs_rpath": "/usr/local/lib:/stack/lib"},
    ),
    "lkl": (
        ("bin/lklfuse",),
        {"version": "6.0.0", "libfuse": "2.9.9", "libfuse3_wanted": False, "libfuse3_soname": "libfuse3.so.4",
         "lklfuse_libfuse": "libfuse.so.2", "lklfuse_rpath": "/stack/lib"},
    ),
    "fstests": (
        ("fstests/check", "fstests/ltp/fsstress", "fstests/ltp/fsx", "fstests/tests/generic/group.list"),
        {"tests": "2132", "without": "", "fuse_ext4_support": False},
    ),
}  # fmt: skip
"""Per component the files of a good product and what its script says of them."""


def make(out: Path, component: str, missing: str = "") -> Path:
    """The files of a good product, with one missing."""
    for name in GOOD[component][0]:
        if name != missing:
            (out / "stack" / name).parent.mkdir(parents=True, exist_ok=True)
            (out / "stack" / name).write_text(name)
    return out


def check(out: Path, component: str, **facts: Fact) -> Mapping[str, Fact]:
    """What the check says of a good product of whose facts some are changed."""
    return RECIPES[component].check(make(out, component), {**GOOD[component][1], **facts})


def complaint(out: Path, component: str, **facts: Fact) -> str:
    with pytest.raises(WrongProduct) as caught:
        check(out, component, **facts)
    assert caught.value.component == component
    return caught.value.what


@pytest.mark.parametrize("component", GOOD)
def test_a_good_product_passes_and_keeps_its_facts(tmp_path: Path, component: str) -> None:
    facts = check(tmp_path, component)
    kept = {name: fact for name, fact in GOOD[component][1].items() if name not in ("tests", "without")}
    assert kept.items() <= facts.items()


@pytest.mark.parametrize(
    ("component", "name"),
    [(c, name) for c, (names, _) in GOOD.items() for name in names if name not in ("bin/fuse2fs", "bin/fuse4fs")],
)
def test_each_file_that_a_leg_needs_is_demanded_by_name(tmp_path: Path, component: str, name: str) -> None:
    with pytest.raises(WrongProduct) as caught:
        RECIPES[component].check(make(tmp_path, component, missing=name), GOOD[component][1])
    assert name.removeprefix("fstests/").removeprefix("lib/").removesuffix(".3.17.2") in caught.value.what


@pytest.mark.parametrize("component", GOOD)
def test_a_script_that_wrote_no_facts_made_no_product(tmp_path: Path, component: str) -> None:
    with pytest.raises(WrongProduct):
        RECIPES[component].check(make(tmp_path, component), {})


def test_servers_and_libraries_are_named_by_their_hash(tmp_path: Path) -> None:
    for component, names in {
        "libfuse": ("lib/libfuse3.so.3.17.2", "bin/fusermount3"),
        "e2fsprogs": ("bin/fuse2fs", "bin/fuse4fs", "sbin/mke2fs", "sbin/e2fsck"),
        "lkl": ("bin/lklfuse",),
    }.items():
        facts = check(tmp_path / component, component)
        for name in names:
            assert facts[f"sha256:/stack/{name}"] == sha256_file(tmp_path / component / "stack" / name)


def test_fuse4fs_must_come_out_of_a_tree_that_has_it(tmp_path: Path) -> None:
    assert "no fuse4fs though the tree has its source" in complaint(tmp_path, "e2fsprogs", fuse4fs=False)
    assert not check(tmp_path, "e2fsprogs", fuse4fs=False, fuse4fs_source=False)["fuse4fs"]
    assert "there is no fuse2fs" in complaint(tmp_path, "e2fsprogs", fuse2fs=False)


@pytest.mark.parametrize("server", ["fuse2fs", "fuse4fs"])
@pytest.mark.parametrize("linked", ["libfuse3.so.3", "libfuse.so.2", ""])
def test_a_server_that_links_another_libfuse_than_the_stacks_is_refused(
    tmp_path: Path, server: str, linked: str
) -> None:
    said = complaint(tmp_path, "e2fsprogs", **{f"{server}_libfuse": linked})
    assert said == f"{server} links {linked or 'no libfuse'}, not libfuse3.so.4"


@pytest.mark.parametrize("rpath", ["", "/usr/lib", "/stack/library"])
def test_a_server_that_would_find_the_guests_libfuse_is_refused(tmp_path: Path, rpath: str) -> None:
    assert "not /stack/lib" in complaint(tmp_path, "e2fsprogs", fuse4fs_rpath=rpath)


def test_a_tree_older_than_libfuse_3_links_libfuse_2(tmp_path: Path) -> None:
    old: dict[str, Fact] = {"libfuse3_wanted": False, "fuse4fs": False, "fuse4fs_source": False}
    facts = check(tmp_path, "e2fsprogs", **old, fuse2fs_libfuse="libfuse.so.2", fuse2fs_rpath="", libfuse="2.9.9")
    assert (facts["fuse2fs_libfuse"], facts["libfuse"]) == ("libfuse.so.2", "2.9.9")
    assert "links libfuse3.so.4, not libfuse.so.2" in complaint(tmp_path, "e2fsprogs", **old)


@pytest.mark.parametrize("servers", [(True, True), (False, True), (True, False), (False, False)])
def test_iomap_is_a_fact_of_each_server_and_no_fault_of_the_tree(tmp_path: Path, servers: tuple[bool, bool]) -> None:
    fuse2fs, fuse4fs = servers
    facts = check(tmp_path, "e2fsprogs", fuse2fs_iomap=fuse2fs, fuse4fs_iomap=fuse4fs, iomap=fuse2fs or fuse4fs)
    assert (facts["fuse2fs_iomap"], facts["fuse4fs_iomap"]) == servers


def test_whether_a_server_calls_iomap_does_not_depend_on_when_grep_stops_reading(tmp_path: Path) -> None:
    words = (RECIPE_FOLDER / "e2fsprogs.sh").read_text()
    start = words.index("has_iomap() {")
    function = words[start : words.index("\n}\n", start) + 3].replace("/tmp/undefined", str(tmp_path / "undefined"))
    says = next(line for line in words.splitlines() if line.startswith("says()"))
    (tmp_path / "nm").write_text("#!/bin/sh\necho ' U fuse_reply_iomap_begin'\nseq 200000\n")
    (tmp_path / "nm").chmod(0o755)
    script = f"configured=yes\n{says}\n{function}\nfor n in $(seq 20); do has_iomap /bin/sh; done\n"
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", script], env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["yes"] * 20


def test_no_recipe_pipes_into_a_grep_that_stops_reading() -> None:
    pipes = [line for path in RECIPE_FOLDER.glob("*.sh") for line in path.read_text().splitlines()]
    assert not [line for line in pipes if re.search(r"\|\s*grep\s+-\w*q", line)]


def test_lklfuse_links_the_libfuse_its_tree_asks_for(tmp_path: Path) -> None:
    assert check(tmp_path, "lkl")["lklfuse"] is True
    newer = check(tmp_path, "lkl", libfuse3_wanted=True, lklfuse_libfuse="libfuse3.so.4", libfuse="3.19.0")
    assert newer["lklfuse_libfuse"] == "libfuse3.so.4"
    assert "links libfuse.so.2, not libfuse3.so.4" in complaint(tmp_path, "lkl", libfuse3_wanted=True)
    assert "links no libfuse" in complaint(tmp_path, "lkl", lklfuse_libfuse="")


def test_fstests_without_a_library_that_decides_about_tests_is_refused(tmp_path: Path) -> None:
    assert "HAVE_AIO" in complaint(tmp_path, "fstests", without=" HAVE_AIO")


@pytest.mark.parametrize("number", ["", "0", "many"])
def test_fstests_without_tests_is_refused(tmp_path: Path, number: str) -> None:
    assert "no test" in complaint(tmp_path, "fstests", tests=number)


def test_the_number_of_tests_is_a_number(tmp_path: Path) -> None:
    assert check(tmp_path, "fstests")["tests"] == 2132


SERVES = """
$server -V 2>&1 || true
truncate -s 64M /tmp/image
/stack/sbin/mke2fs -q -t ext4 /tmp/image
/stack/sbin/dumpe2fs -h /tmp/image 2>&1 | grep features
/stack/sbin/e2fsck -fn /tmp/image
"""
DEBIAN = {"libfuse": "fuse3", "e2fsprogs": "e2fsprogs"}


@dataclasses.dataclass(frozen=True)
class Workshop:
    """Builds components in the user's own cache: a second call costs a second."""

    store: Store
    logs: Path
    site: Site

    def trees(self, sources: Mapping[str, Source]) -> tuple[Tree, ...]:
        """Each component at its source's own base, in the stack's order; skips when a source cannot be had."""
        stack = load_stack("fuse", self.site.model_copy(update={"components": dict(sources)}))
        trees = resolve(None, {}, stack, components=sources, cache=self.store.root)
        if trees.unavailable:
            pytest.skip("; ".join(f"no {name}: {why}" for name, why in trees.unavailable.items()))
        return trees.trees

    def trees_of_site(self, *components: str) -> tuple[Tree, ...]:
        """As the site file has them; skips when it does not name one."""
        missing = set(components) - set(self.site.components)
        if missing:
            pytest.skip(f"the site file names no source for {', '.join(sorted(missing))}")
        return self.trees({name: self.site.components[name] for name in components})

    def build(self, trees: tuple[Tree, ...]) -> Mapping[str, Artifact]:
        root = buildroot(self.store, self.site.debian_suite, self.logs / "buildroot.log")
        built: dict[str, Artifact] = {}
        for tree in trees:
            recipe, log = RECIPES[tree.component], self.logs / f"{tree.component}.log"
            built[tree.component] = run_recipe(recipe, self.store, tree, root, built, log)
        return built

    def in_stack(self, built: Mapping[str, Artifact], folder: Path, *argv: str) -> str:
        """Output of a command in the build root with all that was built at /stack, as in the guest."""
        for artifact in built.values():
            subprocess.run(["cp", "-a", f"{Path(artifact.path, 'root', 'stack')}/.", folder], check=True)
        root = buildroot(self.store, self.site.debian_suite, self.logs / "buildroot.log")
        log = self.logs / "run.log"
        box = Sandbox(Path(root.path) / "root")
        return box.run(
            argv,
            binds={"/stack": Bind(folder)},
            log=log,
            log_limit=1 << 20,
            timeout=60,
            cwd="/tmp",
            check=False,
        ).output


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    for tool in ("mmdebstrap", "bwrap"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    return Workshop(Store(cache_dir()), tmp_path / "logs", load_site())


@pytest.fixture
def stack_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "stack"
    folder.mkdir()
    return folder


@pytest.mark.build
@pytest.mark.network
@pytest.mark.timeout(1500)
@pytest.mark.parametrize(("suite", "soname"), [("trixie", "libfuse3.so.4"), ("bookworm", "libfuse.so.2")])
def test_fuse2fs_of_debian_links_what_its_tree_asks_for_and_starts(
    workshop: Workshop, stack_folder: Path, suite: str, soname: str
) -> None:
    sources = {name: Source(provider="deb", package=package, suite=suite) for name, package in DEBIAN.items()}
    built = workshop.build(workshop.trees(sources))
    facts = built["e2fsprogs"].facts
    assert (facts["fuse2fs"], facts["fuse4fs"], facts["iomap"]) == (True, False, False)
    assert facts["fuse2fs_libfuse"] == soname
    said = workshop.in_stack(built, stack_folder, "bash", "-c", f"server=/stack/bin/fuse2fs; {SERVES}")
    assert f"fuse2fs {facts['version']}" in said
    assert re.search(rf"FUSE library version:? {re.escape(str(facts['libfuse']))}\n", said)
    # The defaults come from the stack's own mke2fs.conf: Debian's and upstream's give a 64bit, checksummed filesystem.
    assert "metadata_csum" in said and "64bit" in said


@pytest.mark.build
@pytest.mark.timeout(1500)
def test_fuse4fs_of_the_site_links_the_stacks_libfuse_and_starts(workshop: Workshop, stack_folder: Path) -> None:
    built = workshop.build(workshop.trees_of_site("libfuse", "e2fsprogs"))
    facts, libfuse = built["e2fsprogs"].facts, built["libfuse"].facts
    if not facts["fuse4fs_source"]:
        pytest.skip("the site's e2fsprogs has no fuse4fs")
    assert (facts["fuse4fs_libfuse"], facts["libfuse"]) == (libfuse["soname"], libfuse["version"])
    said = workshop.in_stack(built, stack_folder, "bash", "-c", f"server=/stack/bin/fuse4fs; {SERVES}")
    assert f"fuse4fs {facts['version']}" in said
    assert re.search(rf"FUSE library version:? {re.escape(str(libfuse['version']))}\n", said)


def with_change(tree: Tree, name: str, change: Callable[[str], str]) -> Tree:
    """The tree with one file changed, committed in its repository beside every branch."""
    repository = Path(tree.repository)
    env = {"GIT_INDEX_FILE": str(repository / f"index.{os.getpid()}")}
    before = git(repository, "show", f"{tree.head_commit}:{name}").output
    after = change(before)
    assert after != before
    blob = git(repository, "hash-object", "-w", "--stdin", stdin=after.encode()).output.strip()
    git(repository, "read-tree", tree.head_commit, env=env)
    git(repository, "update-index", "--cacheinfo", f"100644,{blob},{name}", env=env)
    changed = git(repository, "write-tree", env=env).output.strip()
    Path(env["GIT_INDEX_FILE"]).unlink()
    author = {f"GIT_{who}_{what}": "a@x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    dates = {"GIT_AUTHOR_DATE": "1700000000 +0000", "GIT_COMMITTER_DATE": "1700000000 +0000"}
    commit = git(repository, "commit-tree", "-m", "changed", changed, env=author | dates).output.strip()
    return tree.model_copy(update={"head_commit": commit, "head_tree": tree_of(repository, commit)})


@pytest.mark.build
@pytest.mark.timeout(3000)
def test_lklfuse_of_the_site_starts_and_follows_a_change_of_ext4(workshop: Workshop, stack_folder: Path) -> None:
    libfuse, lkl = workshop.trees_of_site("libfuse", "lkl")
    built = workshop.build((libfuse, lkl))
    assert "usage: " in workshop.in_stack(built, stack_folder, "/stack/bin/lklfuse", "--help")
    # The objects of the build before are kept; the server must be linked again all the same.
    changed = with_change(
        lkl, "fs/ext4/super.c", lambda text: text.replace("mounted filesystem", "mounted changed ext4")
    )
    other = workshop.build((libfuse, changed))["lkl"]
    binary = "root/stack/bin/lklfuse"
    assert b"mounted changed ext4" in (Path(other.path) / binary).read_bytes()
    assert b"mounted changed ext4" not in (Path(built["lkl"].path) / binary).read_bytes()


@pytest.mark.build
@pytest.mark.timeout(1500)
def test_fstests_of_the_site_bring_their_programs_and_no_objects(workshop: Workshop, stack_folder: Path) -> None:
    built = workshop.build(workshop.trees_of_site("fstests"))
    assert int(built["fstests"].facts["tests"]) > 500
    script = "cd /tmp; /stack/fstests/ltp/fsx -N 50 file && /stack/fstests/ltp/fsstress -d . -n 50 && echo both"
    assert workshop.in_stack(built, stack_folder, "bash", "-c", script).endswith("both\n")
    assert not [*stack_folder.rglob("*.o"), *stack_folder.rglob(".git")]
