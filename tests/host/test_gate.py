# SPDX-License-Identifier: GPL-2.0-or-later
"""What leaves a box, and what does not."""

import hashlib
import os
import shutil
import socket
import stat
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.host import gate
from reviewbot.host.box import give
from reviewbot.host.files import remove_tree
from reviewbot.host.gate import PRODUCT, Accepted, File, Limits, Refused
from reviewbot.host.limits import Limits as SumLimits
from reviewbot.host.limits import Rules
from reviewbot.host.process import run
from reviewbot.host.rootless import as_root
from reviewbot.host.sandbox import Bind, BoxBroken, Sandbox
from tests.host.roots import small_root


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("bwrap") is None:
        pytest.skip("bwrap is not installed")
    return small_root(tmp_path_factory.mktemp("small") / "root")


@dataclass(frozen=True, slots=True)
class Gate:
    """What a box wrote is in `source`; `target` is where it goes."""

    box: Sandbox
    source: Path
    target: Path

    def take(self, limits: Limits = PRODUCT, *, names: tuple[str, ...] = (".",), absolute: str = "") -> Accepted:
        marked = {path: mode for path in self.source.glob("*") if (mode := path.lstat().st_mode) & 0o7000}
        give(self.source)
        for path, mode in marked.items():  # a change of the owner takes set-uid and set-gid away
            run([*as_root(), "chmod", f"{stat.S_IMODE(mode):o}", path])
        return gate.take(self.box, self.source, self.target, limits, names=names, absolute=absolute)

    def refused(self, limits: Limits = PRODUCT, *, absolute: str = "") -> Refused:
        """Nothing of it may be left."""
        with pytest.raises(Refused) as caught:
            self.take(limits, absolute=absolute)
        assert not self.target.exists() and sorted(p.name for p in self.target.parent.iterdir()) == ["source"]
        return caught.value


@pytest.fixture
def made(root: Path, tmp_path: Path) -> Gate:
    (tmp_path / "source").mkdir()
    return Gate(Sandbox(root), tmp_path / "source", tmp_path / "target")


def test_files_folders_and_links_inside_come_out_as_the_hosts_own(made: Gate) -> None:
    (made.source / "stack/bin").mkdir(parents=True)
    (made.source / "stack/bin/tool").write_bytes(b"program")
    (made.source / "stack/bin/tool").chmod(0o751)
    (made.source / "stack/notes").write_text("text")
    (made.source / "stack/notes").chmod(0o600)
    (made.source / "stack/bin/alias").symlink_to("../bin/./tool")
    (made.source / "stack/missing").symlink_to("nothing")
    os.link(made.source / "stack/notes", made.source / "stack/same")
    (made.source / "empty").mkdir(mode=0o2775)
    os.utime(made.source / "stack/notes", (2e9, 2e9))
    accepted = made.take()
    digest = hashlib.sha256(b"text").hexdigest()
    assert accepted == Accepted(
        files={
            "stack/bin/tool": File(7, hashlib.sha256(b"program").hexdigest(), True),
            "stack/notes": File(4, digest, False),
            "stack/same": File(4, digest, False),
        },
        folders=frozenset({"stack", "stack/bin", "empty"}),
        links={"stack/bin/alias": "../bin/./tool", "stack/missing": "nothing"},
    )
    assert (made.target / "stack/bin/alias").read_bytes() == b"program"
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in made.target.rglob("*") if not p.is_symlink()}
    assert modes == {"stack": 0o755, "bin": 0o755, "tool": 0o755, "notes": 0o644, "same": 0o644, "empty": 0o755}
    owners = {(s.st_uid, s.st_gid, s.st_mtime) for p in made.target.rglob("*") for s in (p.lstat(),)}
    assert owners == {(os.geteuid(), made.target.stat().st_gid, 0.0)}


def socket_in(folder: Path) -> None:
    here = os.open(folder, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"/proc/self/fd/{here}/ear")
    os.close(here)


def a_circle(folder: Path) -> None:
    (folder / "one").symlink_to("two")
    (folder / "two").symlink_to("one")


def over_a_link_up(folder: Path) -> None:
    """By its words it stays inside: a/b/up/../outside."""
    (folder / "a/b").mkdir(parents=True)
    (folder / "a/b/up").symlink_to("../..")
    (folder / "a/b/out").symlink_to("up/../victim")


def a_link_up_from_within(folder: Path) -> None:
    (folder / "d").mkdir()
    (folder / "d/x").symlink_to("a/../../..")


def bits(mode: int) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / "program").touch()
        (folder / "program").chmod(mode)

    return make


HOSTILE: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a link to a file of the host": (lambda f: (f / "x").symlink_to("/etc/passwd"), "x", "leaves"),
    "a link up": (lambda f: (f / "x").symlink_to("../victim"), "x", "leaves"),
    "a link up from within": (a_link_up_from_within, "d/x", "leaves"),
    "a link over another one": (over_a_link_up, "a/b/out", "leaves"),
    "a link to a folder of the host": (lambda f: (f / "share").symlink_to("/srv"), "share", "leaves"),
    "links to each other": (a_circle, "one", "circle"),
    "a link to itself": (lambda f: (f / "x").symlink_to("x"), "x", "circle"),
    "a pipe": (lambda f: os.mkfifo(f / "group.list"), "group.list", "kind"),
    "a socket": (socket_in, "ear", "kind"),
    "set-uid": (bits(0o4755), "program", "bits"),
    "set-gid": (bits(0o2755), "program", "bits"),
    "sticky": (bits(0o1644), "program", "bits"),
    "a name of two lines": (lambda f: (f / "a\nb").touch(), "a\nb", "name"),
    "a name that writes to a terminal": (lambda f: (f / "\x1b]0;x\x07").touch(), "\x1b]0;x\x07", "name"),
    "a name that turns the line": (lambda f: (f / "a\u202eb").touch(), "a\u202eb", "name"),
    "a name that is no text": (lambda f: os.close(os.open(bytes(f) + b"/\xff", os.O_CREAT)), "\udcff", "name"),
    "a link with such a target": (lambda f: (f / "x").symlink_to("a\x1bb"), "x", "name"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_refused_as_a_whole(made: Gate, what: str) -> None:
    (made.source / "harmless").write_text("x")
    make, path, why = HOSTILE[what]
    make(made.source)
    error = made.refused()
    assert (error.path, error.why) == (path, why)
    assert str(error).isprintable()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a device")
def test_a_device_is_refused(made: Gate) -> None:
    os.mknod(made.source / "disk", stat.S_IFBLK | 0o666, os.makedev(7, 0))
    assert made.refused().why == "kind"


def test_limits_of_depth_number_and_size(made: Gate) -> None:
    deep = made.source / "/".join("d" * 9)
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(bytes(1000))
    assert made.refused(Limits(depth=9)).why == "depth"
    assert made.refused(Limits(number=9)).why == "number"
    assert made.refused(Limits(size=999)).why == "size"
    assert made.refused(Limits(path=18)).why == "name"
    assert len(made.take(Limits(size=1000, number=10, depth=10, path=22)).folders) == 9


def test_a_folder_that_is_deeper_than_any_path_is_long_is_refused(made: Gate) -> None:
    here = os.open(made.source, os.O_RDONLY)
    for _ in range(2000):
        os.mkdir("deeper", dir_fd=here)
        below = os.open("deeper", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    try:
        assert made.refused().why in ("depth", "name")
    finally:
        remove_tree(made.source)


def test_a_file_of_a_terabyte_without_content_is_refused(made: Gate) -> None:
    with (made.source / "hole").open("wb") as file:
        file.truncate(1 << 40)
    assert made.refused(Limits(size=1 << 20, number=10)).why == "size"


def test_what_is_larger_than_a_box_may_say_is_accepted_or_refused_like_all_else(
    made: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reviewbot.host.limits._rules", Rules(SumLimits(output=1 << 20)))
    (made.source / "large").write_bytes(bytes(3 << 20))
    assert made.refused(Limits(size=2 << 20, number=10)).why == "size"
    assert made.take().files["large"].size == 3 << 20


def test_many_names_for_one_large_file_count_each(made: Gate) -> None:
    (made.source / "large").write_bytes(bytes(1 << 20))
    for number in range(20):
        os.link(made.source / "large", made.source / f"name{number}")
    assert made.refused(Limits(size=10 << 20)).why == "size"


def test_links_into_the_stack_stay_inside_and_lead_there_on_the_host_too(made: Gate) -> None:
    (made.source / "stack/lib/deep").mkdir(parents=True)
    (made.source / "stack/lib/real").write_text("x")
    (made.source / "stack/lib/deep/link").symlink_to("/stack//lib/./real")
    assert made.take(absolute="stack").links == {"stack/lib/deep/link": "../../lib/real"}
    assert (made.target / "stack/lib/deep/link").read_text() == "x"


@pytest.mark.parametrize("link", ["/stackish/x", "/", "/stack/../etc/passwd", "../beside", "../../x"])
def test_links_out_of_the_stack_leave(made: Gate, link: str) -> None:
    (made.source / "stack").mkdir()
    (made.source / "stack/x").symlink_to(link)
    assert made.refused(absolute="stack").why == "leaves"


def test_only_what_is_wanted_comes_out(made: Gate) -> None:
    (made.source / "other").mkdir()
    os.mkfifo(made.source / "pipe")
    (made.source / "config").write_text("CONFIG_X=y\n")
    (made.source / "other/file").write_text("x")
    assert set(made.take(names=("config", "other/file")).files) == {"config", "other/file"}
    assert gate.take_text(made.box, made.source, "config") == "CONFIG_X=y\n"
    for name, why in (("pipe", "kind"), ("other", "kind"), ("absent", "missing")):
        with pytest.raises(Refused) as caught:
            gate.take_text(made.box, made.source, name)
        assert (caught.value.path.partition("/")[0], caught.value.why) == (name, why)
    with pytest.raises(Refused):
        gate.take_text(made.box, made.source, "config", limit=5)


def test_what_goes_into_a_folder_replaces_nothing_there(made: Gate) -> None:
    made.target.mkdir()
    (made.target / "here").write_text("mine")
    for name in ("here", "there"):
        (made.source / name).write_text("x")
    with pytest.raises(Refused, match="here exists twice"):
        made.take()
    assert [p.name for p in made.target.iterdir()] == ["here"]
    made.take(names=("there",))
    assert sorted(p.name for p in made.target.iterdir()) == ["here", "there"]
    assert sorted(p.name for p in made.target.parent.iterdir()) == ["source", "target"]
    assert (made.target / "here").read_text() == "mine"


def test_a_box_that_does_not_start_is_nobodys_fault_but_the_hosts(made: Gate, tmp_path: Path) -> None:
    broken = Gate(Sandbox(tmp_path / "no such root"), made.source, made.target)
    with pytest.raises(BoxBroken):
        broken.take()


def test_what_its_own_box_may_not_read_is_refused(made: Gate) -> None:
    (made.source / "locked").mkdir(mode=0)  # a box has no capability to read it, even if root called us
    assert (made.refused().path, made.refused().why) == ("locked", "unreadable")


def test_what_a_box_itself_wrote_is_taken(made: Gate, tmp_path: Path) -> None:
    made.box.run(
        ["bash", "-euc", "mkdir -p stack/bin; echo hello > stack/bin/x; chmod 700 stack/bin/x; ln -s x stack/bin/y"],
        binds={"/out": Bind(made.source, writable=True)},
        cwd="/out",
        log=tmp_path / "log",
        log_limit=1 << 20,
        timeout=60,
    )
    assert made.take().files["stack/bin/x"].executable
    assert (made.target / "stack/bin/y").read_text() == "hello\n"


PARTS = st.lists(st.sampled_from(["..", ".", "a", "d", "e", "up", "gone"]), min_size=1, max_size=6)


@given(st.dictionaries(st.sampled_from(["a", "d/a", "d/e/a", "up", "d/up", "d/e/up"]), PARTS))
def test_where_links_lead_is_what_the_kernel_says(made_links: dict[str, list[str]]) -> None:
    """Whatever `follow` lets through stays below the folder when the kernel follows it."""
    links = {name: "/".join(parts) for name, parts in made_links.items()}
    with_host = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    try:
        top = with_host / "top"
        (top / "d/e").mkdir(parents=True)
        for name, link in links.items():
            (top / name).symlink_to(link)
        for name in links:
            try:
                end = gate.follow(name, links)
            except Refused as refused:
                if refused.why == "leaves":
                    continue
                with pytest.raises(OSError):
                    (top / name).stat()
                continue
            if (top / name).exists():
                assert (top / name).resolve() == (top / end).resolve()
            assert (top / name).resolve().is_relative_to(top.resolve())
    finally:
        shutil.rmtree(with_host)
