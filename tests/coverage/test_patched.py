# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose line is it: real commits, git's own blame."""

from pathlib import Path

from reviewbot.coverage.patched import parse_blame, patched_lines, touched
from tests.build.commits import Series

BODY = "".join(f"int line{number};\n" for number in range(1, 6))


def series(folder: Path) -> Series:
    """A base with one file, and nothing on it."""
    start = Series.from_nothing(folder, "kernel")
    start.patch("base", {"fs/fuse/file.c": lambda _: BODY, "fs/fuse/Makefile": lambda _: "obj-y := file.o\n"})
    return Series(start.repository, start.head, "kernel")


def test_a_line_belongs_to_the_last_patch_that_wrote_it(tmp_path: Path) -> None:
    made = series(tmp_path)
    first = made.patch("one", {"fs/fuse/file.c": lambda text: text + "int a;\nint b;\n"})
    second = made.patch("two", {"fs/fuse/file.c": lambda text: text.replace("int b;", "long b;")})
    assert patched_lines(made.tree(), "fs/fuse/file.c") == {first.commit: {6}, second.commit: {7}}


def test_lines_that_a_later_patch_moves_down_are_found_where_they_are_in_head(tmp_path: Path) -> None:
    made = series(tmp_path)
    first = made.patch("one", {"fs/fuse/file.c": lambda text: text.replace("int line3;", "int third;")})
    second = made.patch("two", {"fs/fuse/file.c": lambda text: "int top;\n\n" + text})
    assert patched_lines(made.tree(), "fs/fuse/file.c") == {first.commit: {5}, second.commit: {1, 2}}


def test_lines_of_base_and_of_prerequisites_are_nobodys(tmp_path: Path) -> None:
    made = series(tmp_path)
    made.patch("below", {"fs/fuse/file.c": lambda text: text + "int below;\n"}, prerequisite=True)
    own = made.patch("own", {"fs/fuse/file.c": lambda text: text + "int own;\n"})
    assert patched_lines(made.tree(), "fs/fuse/file.c") == {own.commit: {7}}


def test_a_new_file_is_wholly_patched(tmp_path: Path) -> None:
    made = series(tmp_path)
    own = made.patch("new", {"fs/fuse/iomap.c": lambda _: "int a;\nint b;\n"})
    assert patched_lines(made.tree(), "fs/fuse/iomap.c") == {own.commit: {1, 2}}


def test_touched_are_the_sources_of_head_that_the_posting_changes(tmp_path: Path) -> None:
    made = series(tmp_path)
    made.patch("below", {"fs/open.c": lambda _: "int x;\n"}, prerequisite=True)
    made.patch(
        "one",
        {
            "fs/fuse/gone.c": lambda _: "int x;\n",
            "fs/fuse/Makefile": lambda text: text + "# x\n",
            "include/linux/x y.h": lambda _: "int x;\n",
        },
    )
    made.patch("two", {"fs/fuse/gone.c": lambda _: None, "fs/fuse/file.c": lambda text: text + "int x;\n"})
    assert touched(made.tree()) == ("fs/fuse/file.c", "include/linux/x y.h")


def test_an_unpatched_component_touches_nothing(tmp_path: Path) -> None:
    assert touched(series(tmp_path).tree()) == ()


def test_text_that_looks_like_an_entry_of_blame_is_text() -> None:
    commit, other = "a" * 40, "b" * 40
    said = f"{commit} 1 1 2\nauthor A\nfilename x.c\n\t{other} 1 9\n{commit} 2 2\n\tint x;\n"
    assert parse_blame(said) == {commit: {1, 2}}
