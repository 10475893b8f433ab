# SPDX-License-Identifier: GPL-2.0-or-later
"""Checked-out trees hold the bytes of their blobs, and nothing of what was checked out before."""

import errno
import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reviewbot.host.checkout import Checkout, is_whole, lay_out, lay_out_above
from reviewbot.host.git import git, init_bare
from reviewbot.host.process import CommandFailed
from reviewbot.host.sandbox import Sandbox, overlays
from reviewbot.model.errors import InfraError
from tests.host.roots import host_root
from tests.host.trees import make_tree

BASE: Mapping[str, bytes] = {
    "text.c": b"one\r\ntwo\n", "id.c": b"/* $Id$ */\n", "wide.txt": "Grüße\n".encode(), "kept.c": b"kept\n",
    "gone/only.c": b"gone\n", "folder/a.c": b"a\n", "folder/b.c": b"b\n", "dir": b"a file\n",
}  # fmt: skip
HOSTILE = b"""\
*.c text eol=crlf ident
*.txt working-tree-encoding=UTF-16
[attr]all eol=crlf ident text
* all filter=evil
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return init_bare(tmp_path / "x.git")


def content(folder: Path) -> dict[str, bytes]:
    """Path -> bytes; of a link what it names, of an empty directory or a whiteout nothing."""
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = os.fsencode(path.readlink())
        elif path.is_file():
            found[name] = path.read_bytes()
        elif path.is_dir() and not any(path.iterdir()):
            found[f"{name}/"] = b""
        elif not path.is_dir():
            found[name] = b""
    return found


def test_attributes_of_a_tree_convert_nothing(repository: Path, tmp_path: Path) -> None:
    files = {**BASE, ".gitattributes": HOSTILE, "folder/.gitattributes": b"* text eol=crlf\n"}
    lay_out(repository, make_tree(repository, files), tmp_path / "tree")
    assert content(tmp_path / "tree") == files


def test_attributes_of_a_posting_convert_neither_its_own_files_nor_those_of_base(
    repository: Path, tmp_path: Path
) -> None:
    hostile = {**BASE, ".gitattributes": HOSTILE, "text.c": b"one\r\nthree\n"}
    base, head = make_tree(repository, BASE), make_tree(repository, hostile)
    lay_out(repository, base, tmp_path / "base")
    lay_out_above(repository, base, head, tmp_path / "base", tmp_path / "head")
    assert content(tmp_path / "head") == hostile
    lay_out_above(repository, base, base, tmp_path / "base", tmp_path / "honest")
    assert content(tmp_path / "honest") == content(tmp_path / "base") == BASE


def test_a_repository_of_an_earlier_version_learns_not_to_convert(repository: Path, tmp_path: Path) -> None:
    (repository / "info" / "attributes").unlink()
    files = {**BASE, ".gitattributes": HOSTILE}
    lay_out(repository, make_tree(repository, files), tmp_path / "tree")
    assert content(tmp_path / "tree") == files
    (repository / "info" / "attributes").write_text("* text eol=crlf\n")
    assert init_bare(repository) == repository
    lay_out(repository, make_tree(repository, files), tmp_path / "again")
    assert content(tmp_path / "again") == files


HEADS: Mapping[str, tuple[Mapping[str, bytes | None], Mapping[str, str]]] = {
    "changed": ({"text.c": b"x\n", "new/deep/er.c": b"n\n"}, {}),
    "mode only": ({"kept.c": b"kept\n"}, {"kept.c": "100755"}),
    "the last file of a directory removed": ({"gone/only.c": None}, {}),
    "a file becomes a directory": ({"dir": None, "dir/inside.c": b"i\n"}, {}),
    "a directory becomes a file": ({"folder/a.c": None, "folder/b.c": None, "folder": b"f\n"}, {}),
    "a directory becomes a link that leaves": ({"folder/a.c": None, "folder/b.c": None, "folder": b"/etc"},
                                               {"folder": "120000"}),
    "a file becomes a link": ({"kept.c": b"../../outside"}, {"kept.c": "120000"}),
    "names that need quoting": ({'a "b"\n\t\\c.c': b"q\n", "ü.c": b"u\n", "-rf": b"r\n"}, {}),
}  # fmt: skip


def merged(checkout: Checkout) -> dict[str, tuple[int, bytes]]:
    """What a box sees of it, as overlayfs(7) says: path -> mode, and what `content` has for it."""
    found: dict[str, tuple[int, bytes]] = {}
    hidden: set[str] = set()
    for folder in filter(None, (checkout.folder, checkout.lower)):
        mine = content(folder)
        shadow = set(hidden)
        for name, text in mine.items():
            place = folder / name
            mode = place.lstat().st_mode
            if (folder != checkout.folder and (checkout.folder / name).is_dir()) or any(
                name == over or name.startswith(f"{over}/") for over in shadow
            ):
                continue
            if not place.is_dir() or place.is_symlink():
                hidden.add(name)
                if not stat.S_ISCHR(mode):
                    found[name] = (mode, text)
    return found


def fresh(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {name: ((folder / name).lstat().st_mode, text) for name, text in content(folder).items()}


@pytest.mark.parametrize("overlay", [False, True])
@pytest.mark.parametrize("name", HEADS)
def test_a_tree_above_its_base_is_what_a_fresh_checkout_is(
    repository: Path, tmp_path: Path, name: str, overlay: bool
) -> None:
    edits, modes = HEADS[name]
    files = {path: text for path, text in {**BASE, **edits}.items() if text is not None}
    base, head = make_tree(repository, BASE), make_tree(repository, files, modes)
    lay_out(repository, base, tmp_path / "base")
    lay_out(repository, head, tmp_path / "head")
    for one, other in (("base", "head"), ("head", "base")):
        trees = {"base": base, "head": head}
        lower = tmp_path / one
        made = lay_out_above(repository, trees[one], trees[other], lower, tmp_path / f"above-{one}", overlay=overlay)
        assert merged(made) == fresh(tmp_path / other)
        made.advance(trees[other], trees[one])
        assert merged(made) == fresh(tmp_path / one), "and back"
        made.advance(trees[one], trees[other])
        assert merged(made) == fresh(tmp_path / other), "and there again"
        assert is_whole(repository, trees[one], lower), "the lower tree stays as it was"


PATHS = st.lists(st.sampled_from("ab"), min_size=1, max_size=3).map("/".join)


def prefix_free(names: list[str]) -> dict[str, bytes]:
    """Files that one tree can have together, each with its name in it."""
    kept: dict[str, bytes] = {}
    for name in names:
        if not any(name.startswith(f"{other}/") or other.startswith(f"{name}/") for other in kept):
            kept[name] = name.encode()
    return kept


@given(st.lists(st.lists(PATHS, min_size=1, max_size=6).map(prefix_free), min_size=2, max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10)
def test_any_way_through_trees_ends_at_what_a_fresh_checkout_is(
    tmp_path_factory: pytest.TempPathFactory, way: list[dict[str, bytes]]
) -> None:
    folder = tmp_path_factory.mktemp("way")
    repository = init_bare(folder / "x.git")
    trees = [make_tree(repository, files) for files in way]
    (folder / "empty").mkdir()
    lay_out_above(repository, make_tree(repository, {}), trees[0], folder / "empty", folder / "lower")
    made = lay_out_above(repository, trees[0], trees[0], folder / "lower", folder / "above", overlay=True)
    for before, after, files in zip(trees, trees[1:], way[1:], strict=False):
        made.advance(before, after)
        assert {name: text for name, (_, text) in merged(made).items()} == files


def test_a_filesystem_without_whiteouts_is_one_line_that_says_what_does_without(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    base, head = (make_tree(repository, files) for files in (BASE, {"text.c": b"one\n"}))
    lower = tmp_path / "lower"
    lay_out(repository, base, lower)
    monkeypatch.setattr(os, "mknod", refused)
    with pytest.raises(InfraError, match="overlay whiteouts: Operation not permitted") as told:
        lay_out_above(repository, base, head, lower, tmp_path / "above", overlay=True)
    assert "layers: copied" in told.value.hint


def test_a_box_sees_a_tree_above_its_base_as_it_is(repository: Path, tmp_path: Path) -> None:
    if not overlays():
        pytest.skip("overlayfs cannot be mounted here")
    base = make_tree(repository, BASE)
    lay_out(repository, base, tmp_path / "base")
    binds = host_root(tmp_path / "root")
    for number, (edits, modes) in enumerate(HEADS.values()):
        files = {path: text for path, text in {**BASE, **edits}.items() if text is not None}
        head = make_tree(repository, files, modes)
        for way in (True, False):
            folder = tmp_path / f"{number}-{way}"
            made = lay_out_above(repository, base, head, tmp_path / "base", folder, overlay=way)
            binds[f"/{'seen' if way else 'wanted'}-{number}"] = made.bind
    listed = "find . -mindepth 1 -printf '%p %y %m %l\\n' | sort"
    script = f"""
        for number in {{0..{len(HEADS) - 1}}}; do
            diff -r --no-dereference /seen-$number /wanted-$number
            diff <(cd /seen-$number; {listed}) <(cd /wanted-$number; {listed})
            find /seen-$number -type f | wc -l
        done"""
    said = Sandbox(tmp_path / "root").run(
        ["bash", "-euc", script], binds=binds, log=tmp_path / "log", log_limit=1 << 20, timeout=60, cwd="/"
    )
    assert [int(line) >= len(BASE) - 2 for line in said.output.split()] == [True] * len(HEADS), said.output


def test_names_that_are_no_utf8_are_kept(repository: Path, tmp_path: Path) -> None:
    blob = git(repository, "hash-object", "-w", "--stdin", stdin=b"x").output.strip()
    head = git(repository, "mktree", "-z", stdin=f"100644 blob {blob}\t".encode() + b"\xff\xfe.c\0").output.strip()
    base = make_tree(repository, BASE)
    lay_out(repository, base, tmp_path / "base")
    lay_out_above(repository, base, head, tmp_path / "base", tmp_path / "head")
    assert [os.fsencode(path.name) for path in (tmp_path / "head").iterdir()] == [b"\xff\xfe.c"]
    made = lay_out_above(repository, base, head, tmp_path / "base", tmp_path / "above", overlay=True)
    assert [os.fsencode(name) for name in merged(made)] == [b"\xff\xfe.c"]


@pytest.mark.parametrize("name", ["..", ".git", "."])
def test_a_tree_with_names_that_leave_is_refused(repository: Path, tmp_path: Path, name: str) -> None:
    blob = git(repository, "hash-object", "-w", "--stdin", stdin=b"x").output.strip()
    inner = git(repository, "mktree", stdin=f"100644 blob {blob}\tx.c\n".encode()).output.strip()
    head = git(repository, "mktree", stdin=f"040000 tree {inner}\t{name}\n".encode()).output.strip()
    base = make_tree(repository, BASE)
    lay_out(repository, base, tmp_path / "base")
    with pytest.raises(CommandFailed):
        lay_out(repository, head, tmp_path / "fresh")
    for overlay in (False, True):
        with pytest.raises(CommandFailed):
            above = tmp_path / f"above-{overlay}"
            lay_out_above(repository, base, head, tmp_path / "base", above, overlay=overlay)
        assert not list(above.rglob("x.c"))
    assert not (tmp_path / "x.c").exists()


def test_a_checkout_that_was_damaged_is_known(repository: Path, tmp_path: Path) -> None:
    tree = make_tree(repository, BASE)
    whole = tmp_path / "whole"
    lay_out(repository, tree, whole)
    assert is_whole(repository, tree, whole)
    assert not is_whole(repository, make_tree(repository, {"a": b""}), whole), "it holds another tree"

    def copy() -> Path:
        shutil.rmtree(tmp_path / "copy", ignore_errors=True)
        shutil.copytree(whole, tmp_path / "copy", symlinks=True)
        shutil.copy2(tmp_path / "whole.index", tmp_path / "copy.index")
        return tmp_path / "copy"

    assert is_whole(repository, tree, copy()), "a copy that keeps times is as good"
    copy()
    (tmp_path / "copy" / "text.c").write_bytes(b"")
    assert not is_whole(repository, tree, tmp_path / "copy")
    copy()
    (tmp_path / "copy" / "folder" / "a.c").unlink()
    assert not is_whole(repository, tree, tmp_path / "copy")
    copy()
    (tmp_path / "copy" / "GNUmakefile").write_text("all:\n")
    assert not is_whole(repository, tree, tmp_path / "copy")
    copy()
    os.truncate(tmp_path / "copy.index", 20)
    assert not is_whole(repository, tree, tmp_path / "copy")
    (tmp_path / "copy.index").unlink()
    assert not is_whole(repository, tree, tmp_path / "copy")
