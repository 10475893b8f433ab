# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes to the guest's /stack: of each component what its build was allowed to hand over, and no more."""

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from reviewbot.build.payload import Collision, payload
from reviewbot.build.recipe import OURS, WrongProduct
from reviewbot.host.files import sha256_file
from reviewbot.model.artifacts import Artifact, Fact
from reviewbot.store import Store

Fill = Callable[[Path], object]


class Stack:
    """Artifacts of components; their files are given as functions that fill `root/stack`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, Store(folder / "cache")
        self.built: dict[str, Artifact] = {}

    def add(self, component: str, *fills: Fill) -> None:
        def build(folder: Path) -> Mapping[str, Fact]:
            (folder / "root/stack").mkdir(parents=True)
            for fill in fills:
                fill(folder / "root/stack")
            return {}

        self.built[component] = self.store.get(component, {}, build)

    def add_other(self, kind: str) -> None:
        """An artifact of which nothing goes to the guest's /stack."""

        def build(folder: Path) -> Mapping[str, Fact]:
            (folder / "file").write_text("x")
            return {}

        self.built[kind] = self.store.get(kind, {}, build)

    def image(self) -> Path:
        return Path(payload(self.store, self.built, self.folder / "log").path) / "payload.img"


def file(name: str, text: str, mode: int = 0o644) -> Fill:
    def fill(stack: Path) -> None:
        (stack / name).parent.mkdir(parents=True, exist_ok=True)
        (stack / name).write_text(text)
        (stack / name).chmod(mode)

    return fill


def link(name: str, target: str) -> Fill:
    def fill(stack: Path) -> None:
        (stack / name).parent.mkdir(parents=True, exist_ok=True)
        (stack / name).symlink_to(target)

    return fill


def inside(image: Path, command: str) -> str:
    return subprocess.run(["debugfs", "-R", command, image], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path)


def test_components_share_folders_and_what_no_guest_needs_stays_out(stack: Stack) -> None:
    stack.add("libfuse", file("bin/fusermount3", "one", 0o755), file("include/fuse.h", "x"), link("lib/a.so", "a.so.1"))
    stack.add("e2fsprogs", file("bin/fuse2fs", "two", 0o755), file("share/man/man1/x.1", "x"), file("share/doc", "d"))
    stack.add_other("kernel")
    image = stack.image()
    assert inside(image, "cat /bin/fusermount3") == "one" and inside(image, "cat /bin/fuse2fs") == "two"
    assert 'Fast link dest: "a.so.1"' in inside(image, "stat /lib/a.so")
    assert "Mode:  0755" in inside(image, "stat /bin/fuse2fs") and "Mode:  0644" in inside(image, "stat /share/doc")
    names = inside(image, "ls -p /")
    assert "/include/" not in names and "man" not in inside(image, "ls -p /share")
    assert all(f"/{name}/" in names for name in OURS)
    assert "Mode:  0755" in inside(image, "stat /agent/agent.py")


def test_the_same_files_give_the_same_image(stack: Stack, tmp_path: Path) -> None:
    other = Stack(tmp_path / "other")
    for one in (stack, other):
        fills = [file(f"lib/{number % 17}/file-{number}", "x" * number * 37) for number in range(600)]
        one.add("libfuse", *(fills if one is stack else reversed(fills)), link("lib/link", "0/file-0"))
        one.add("e2fsprogs", file("bin/fuse2fs", "two", 0o755))
    assert sha256_file(stack.image()) == sha256_file(other.image())
    subprocess.run(["e2fsck", "-fn", stack.image()], check=True, capture_output=True)
    assert "mtime: 0x00000001" in inside(stack.image(), "stat /bin/fuse2fs")
    other.add("more", file("more", "x"))
    assert sha256_file(stack.image()) != sha256_file(other.image())


CLASHES: Mapping[str, tuple[Fill, Fill, str]] = {
    "the same file": (file("bin/x", "1"), file("bin/x", "2"), "bin/x"),
    "a file where a folder was": (file("share/doc/x", "1"), file("share", "2"), "share"),
    "a folder where a file was": (file("share", "1"), file("share/doc/x", "2"), "share"),
    "a folder where a link was": (link("share", "lib"), file("share/doc/x", "2"), "share"),
    "a link where a folder was": (file("share/doc/x", "1"), link("share", "lib"), "share"),
    "a file where a link was": (link("etc/x", "y"), file("etc/x", "2"), "etc/x"),
    "two links": (link("etc/x", "y"), link("etc/x", "y"), "etc/x"),
}


@pytest.mark.parametrize("what", CLASHES)
def test_two_components_that_install_the_same_are_the_later_ones_failure(stack: Stack, what: str) -> None:
    first, second, path = CLASHES[what]
    stack.add("libfuse", file("lib/real", "x"), first)
    stack.add("e2fsprogs", file("bin/own", "x"), second)
    with pytest.raises(Collision) as caught:
        stack.image()
    assert (caught.value.component, caught.value.other, caught.value.path) == ("e2fsprogs", "libfuse", path)
    assert list((stack.store.root / "building").iterdir()) == []


def test_a_link_that_leaves_only_over_another_components_link_is_refused(stack: Stack) -> None:
    stack.add("libfuse", file("a/b/c/x", "x"), link("a/b/c/up", "../../d/../../x"))
    stack.add("e2fsprogs", link("a/d", ".."), file("y", "y"))
    with pytest.raises(WrongProduct, match="a/b/c/up is a symlink that points outside") as caught:
        stack.image()
    assert caught.value.component == "libfuse"


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("fill", [lambda name: file(name, "x"), lambda name: file(f"{name}/x", "x"),
                                  lambda name: link(name, "bin")])  # fmt: skip
def test_our_own_names_in_an_artifact_are_not_written_through(
    stack: Stack, name: str, fill: Callable[[str], Fill]
) -> None:
    stack.add("libfuse", fill(name), file("bin/x", "x"))
    with pytest.raises(WrongProduct, match=f"{name}, a name that is reserved for reviewbot"):
        stack.image()
