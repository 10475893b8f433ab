# SPDX-License-Identifier: GPL-2.0-or-later
"""What a component's build may leave behind, by builds that really run in a box."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from reviewbot.build import recipe as recipes
from reviewbot.build.recipe import Recipe, WrongProduct, read_facts, run_recipe
from reviewbot.model.artifacts import Artifact, Fact
from reviewbot.model.trees import Tree
from reviewbot.store import Store
from tests.host.roots import small_root
from tests.repos import git, make_repository


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("bwrap") is None:
        pytest.skip("bwrap is not installed")
    folder = tmp_path_factory.mktemp("buildroot")
    small_root(folder / "root")
    return folder


@dataclass(frozen=True, slots=True)
class Desk:
    """A component whose tree holds the script that builds it."""

    folder: Path
    root: Path
    victim: Path
    """A folder of the host that nothing may touch."""

    def tree(self, script: str) -> Tree:
        source = self.folder / f"tree-{len(list(self.folder.iterdir()))}"
        commit = make_repository(source, {"build.sh": script})
        tree = git(source, "rev-parse", "HEAD^{tree}")
        ids = {"base_commit": commit, "base_tree": tree, "head_commit": commit, "head_tree": tree}
        return Tree(component="thing", source="a test", repository=str(source / ".git"), base_why="a test", **ids)

    @property
    def store(self) -> Store:
        return Store(self.folder / "cache")

    def build(self, script: str) -> Artifact:
        buildroot = Artifact(kind="buildroot", key="small", path=str(self.root))
        thing = Recipe(name="thing", version=1, needs=(), check=lambda out, facts: facts, timeout=60)
        return run_recipe(thing, self.store, self.tree(script), buildroot, {}, self.folder / "log")


@pytest.fixture
def desk(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    scripts = tmp_path / "recipes"
    scripts.mkdir()
    (scripts / "thing.sh").write_text("bash -eu /src/build.sh\n")
    monkeypatch.setattr(recipes, "_SCRIPTS", scripts)
    victim = tmp_path / "victim"
    (victim / "docs/man").mkdir(parents=True)
    (victim / "config").write_text("mine")
    return Desk(tmp_path, root, victim)


GOOD = (
    "mkdir -p /out/stack/bin; echo tool > /out/stack/bin/x; chmod 755 /out/stack/bin/x; echo version=7 > /out/facts\n"
)


def test_a_product_is_what_the_script_put_there_and_the_hosts_own(desk: Desk) -> None:
    made = desk.build(GOOD + "mkdir /obj/left; ln -s /stack/bin/x /out/stack/bin/y")
    assert made.facts == {"version": "7"}
    out = Path(made.path) / "root/stack/bin"
    assert (out / "y").read_text() == "tool\n" and (out / "x").stat().st_uid == os.geteuid()
    assert sorted(p.name for p in Path(made.path).iterdir()) == ["artifact.json", "contents.json", "root"]


DEEP = "way=$(printf 'd/%.0s' {1..500}); for n in 1 2 3; do mkdir -p $way; cd -P $way; done"
"""1,500 folders in each other: more than Python's functions may be."""
HOSTILE: Mapping[str, tuple[str, str]] = {
    "a link to a file": ("ln -s VICTIM/config /out/stack/etc", "stack/etc is a symlink that points outside"),
    "a link to a folder": ("ln -s VICTIM/docs /out/stack/share", "stack/share is a symlink that points outside"),
    "its folder is a link": ("rm -r /out/stack; ln -s VICTIM /out/stack", "stack is a symlink that points outside"),
    "its folder is elsewhere": (
        "cp -r /out/stack /out/real; rm -r /out/stack; ln -s real /out/stack",
        "its stack is not a folder",
    ),
    "its facts are a link": ("rm /out/facts; ln -s VICTIM/config /out/facts", "facts is a symlink that points outside"),
    "its facts are a pipe": ("rm /out/facts; mkfifo /out/facts", "facts is neither a plain file"),
    "a pipe among its files": ("mkfifo /out/stack/group.list", "stack/group.list is neither a plain file"),
    "a deep folder": (
        f"cd /out; {DEEP}",
        "is nested too deeply|has a name that is too long or has invalid characters",
    ),
    "our agent": ("mkdir /out/stack/agent", "it installs agent, a name that is reserved for reviewbot"),
    "facts of another": ("echo sha256:/stack/bin/x=0 >> /out/facts", "its facts cannot be read: sha256:/stack/bin/x=0"),
    "facts twice": ("echo version=8 >> /out/facts", "its facts cannot be read: version=8"),
    "facts for a terminal": ("echo $'soname=\\e]0;x' >> /out/facts", r"its facts cannot be read: soname=\\x1b"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_product_that_is_not_allowed_is_a_wrong_product_and_nothing_of_it_stays(desk: Desk, what: str) -> None:
    script, said = HOSTILE[what]
    with pytest.raises(WrongProduct, match=said):
        desk.build(GOOD + script.replace("VICTIM", str(desk.victim)))
    assert (desk.victim / "config").read_text() == "mine" and (desk.victim / "docs/man").is_dir()
    assert list(desk.store) == [] and list((desk.store.root / "building").iterdir()) == []


@pytest.mark.parametrize("mode", ["4755", "2755", "1755"])
def test_no_set_uid_bit_comes_out(desk: Desk, mode: str) -> None:
    """The box's filter lets no such bit be set; the gate would not let it through."""
    try:
        made = desk.build(GOOD + f"chmod {mode} /out/stack/bin/x || true")
    except WrongProduct as error:
        assert "stack/bin/x has a set-uid, set-gid or sticky bit" in str(error)
    else:
        assert (Path(made.path) / "root/stack/bin/x").stat().st_mode & 0o7777 == 0o755


def test_objects_of_any_depth_and_kind_go_without_a_trace(desk: Desk) -> None:
    made = desk.build(f"{GOOD}cd /obj; mkfifo pipe; ln -s {desk.victim} link; {DEEP}")
    assert (desk.victim / "docs/man").is_dir()
    assert not list(Path(made.path).glob(".*")) and list((desk.store.root / "building").iterdir()) == []


def test_an_honest_build_after_a_hostile_one_makes_what_it_makes_alone(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(WrongProduct):
        desk.build(GOOD + "mkfifo /out/stack/pipe; touch /src/left 2> /dev/null || true")
    after = desk.build(GOOD)
    (tmp_path / "alone").mkdir()
    alone = Desk(tmp_path / "alone", desk.root, desk.victim).build(GOOD)
    assert after.content == alone.content and after.key == alone.key


@pytest.mark.parametrize(
    ("said", "facts"),
    [
        ("", {}),
        ("a=1\nno fact\nb = yes\nc=no\nd=\n", {"a": "1", "b": True, "c": False, "d": ""}),
        ("a=x=y\n", {"a": "x=y"}),
    ],
)
def test_facts_are_lines_with_a_name_and_a_value(said: str, facts: Mapping[str, Fact]) -> None:
    assert read_facts("thing", said) == facts


@pytest.mark.parametrize("said", ["A=1", "a b=1", "=1", "a=" + "x" * 201, "a=\u202e", "a=1\na=1", "a\x1b=1"])
def test_other_facts_are_refused(said: str) -> None:
    with pytest.raises(WrongProduct) as caught:
        read_facts("thing", said)
    assert str(caught.value).isprintable()
