# SPDX-License-Identifier: GPL-2.0-or-later
"""Checked-out trees hold the bytes of their blobs, and nothing of what was checked out before."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from reviewbot.host.checkout import is_whole, lay_out, lay_out_above
from reviewbot.host.git import git, init_bare
from reviewbot.host.process import CommandFailed

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


def commit(repository: Path, files: Mapping[str, bytes], modes: Mapping[str, str] | None = None) -> str:
    """Id of a tree with these files."""
    env = {"GIT_INDEX_FILE": str(repository / "made.index")}
    git(repository, "read-tree", "--empty", env=env)
    for name, content in files.items():
        blob = git(repository, "hash-object", "-w", "--stdin", "--no-filters", stdin=content).output.strip()
        mode = (modes or {}).get(name, "100644")
        git(repository, "update-index", "--add", "--cacheinfo", f"{mode},{blob},{name}", env=env)
    return git(repository, "write-tree", env=env).output.strip()


def content(folder: Path) -> dict[str, bytes]:
    """Path -> bytes; of a link what it names, of an empty directory nothing."""
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = os.fsencode(path.readlink())
        elif path.is_file():
            found[name] = path.read_bytes()
        elif not any(path.iterdir()):
            found[f"{name}/"] = b""
    return found


def test_attributes_of_a_tree_convert_nothing(repository: Path, tmp_path: Path) -> None:
    files = {**BASE, ".gitattributes": HOSTILE, "folder/.gitattributes": b"* text eol=crlf\n"}
    lay_out(repository, commit(repository, files), tmp_path / "tree")
    assert content(tmp_path / "tree") == files


def test_attributes_of_a_posting_convert_neither_its_own_files_nor_those_of_base(
    repository: Path, tmp_path: Path
) -> None:
    hostile = {**BASE, ".gitattributes": HOSTILE, "text.c": b"one\r\nthree\n"}
    base, head = commit(repository, BASE), commit(repository, hostile)
    lay_out(repository, base, tmp_path / "base")
    lay_out_above(repository, base, head, tmp_path / "base", tmp_path / "head")
    assert content(tmp_path / "head") == hostile
    lay_out_above(repository, base, base, tmp_path / "base", tmp_path / "honest")
    assert content(tmp_path / "honest") == content(tmp_path / "base") == BASE


def test_a_repository_of_an_earlier_version_learns_not_to_convert(repository: Path, tmp_path: Path) -> None:
    (repository / "info" / "attributes").unlink()
    files = {**BASE, ".gitattributes": HOSTILE}
    lay_out(repository, commit(repository, files), tmp_path / "tree")
    assert content(tmp_path / "tree") == files
    (repository / "info" / "attributes").write_text("* text eol=crlf\n")
    assert init_bare(repository) == repository
    lay_out(repository, commit(repository, files), tmp_path / "again")
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


@pytest.mark.parametrize("name", HEADS)
def test_a_tree_above_its_base_is_what_a_fresh_checkout_is(repository: Path, tmp_path: Path, name: str) -> None:
    edits, modes = HEADS[name]
    files = {path: text for path, text in {**BASE, **edits}.items() if text is not None}
    base, head = commit(repository, BASE), commit(repository, files, modes)
    lay_out(repository, base, tmp_path / "base")
    for one, other in ((base, head), (head, base)):
        for folder in ("lower", "above", "fresh"):
            shutil.rmtree(tmp_path / folder, ignore_errors=True)
        lay_out(repository, one, tmp_path / "lower")
        lay_out_above(repository, one, other, tmp_path / "lower", tmp_path / "above")
        lay_out(repository, other, tmp_path / "fresh")
        assert content(tmp_path / "above") == content(tmp_path / "fresh")
        for path in (tmp_path / "above").rglob("*"):
            mode = (tmp_path / "fresh" / path.relative_to(tmp_path / "above")).lstat().st_mode
            assert path.lstat().st_mode == mode
        assert is_whole(repository, one, tmp_path / "lower"), "the lower tree stays as it was"


def test_names_that_are_no_utf8_are_kept(repository: Path, tmp_path: Path) -> None:
    blob = git(repository, "hash-object", "-w", "--stdin", stdin=b"x").output.strip()
    head = git(repository, "mktree", "-z", stdin=f"100644 blob {blob}\t".encode() + b"\xff\xfe.c\0").output.strip()
    base = commit(repository, BASE)
    lay_out(repository, base, tmp_path / "base")
    lay_out_above(repository, base, head, tmp_path / "base", tmp_path / "head")
    assert [os.fsencode(path.name) for path in (tmp_path / "head").iterdir()] == [b"\xff\xfe.c"]


@pytest.mark.parametrize("name", ["..", ".git", "."])
def test_a_tree_with_names_that_leave_is_refused(repository: Path, tmp_path: Path, name: str) -> None:
    blob = git(repository, "hash-object", "-w", "--stdin", stdin=b"x").output.strip()
    inner = git(repository, "mktree", stdin=f"100644 blob {blob}\tx.c\n".encode()).output.strip()
    head = git(repository, "mktree", stdin=f"040000 tree {inner}\t{name}\n".encode()).output.strip()
    base = commit(repository, BASE)
    lay_out(repository, base, tmp_path / "base")
    with pytest.raises(CommandFailed):
        lay_out(repository, head, tmp_path / "fresh")
    with pytest.raises(CommandFailed):
        lay_out_above(repository, base, head, tmp_path / "base", tmp_path / "head")
    assert not (tmp_path / "x.c").exists()


def test_a_checkout_that_was_damaged_is_known(repository: Path, tmp_path: Path) -> None:
    tree = commit(repository, BASE)
    whole = tmp_path / "whole"
    lay_out(repository, tree, whole)
    assert is_whole(repository, tree, whole)
    assert not is_whole(repository, commit(repository, {"a": b""}), whole), "it holds another tree"

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
