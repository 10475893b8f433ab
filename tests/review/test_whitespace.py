# SPDX-License-Identifier: GPL-2.0-or-later
"""`git diff --check` of a commit."""

from pathlib import Path

from reviewbot.model.review import ReviewFinding, Severity
from reviewbot.review.commits import patches_under_review
from reviewbot.review.whitespace import check_whitespace, load_excludes, parse_check
from tests.review.trees import make_tree, posting_of


def findings(folder: Path, files: dict[str, str], component: str = "kernel") -> list[ReviewFinding]:
    tree = make_tree(folder / component, component, {"a": "a\n"}, [("do", files)])
    (item,) = patches_under_review(posting_of(tree)[0], tree)
    return check_whitespace(item, load_excludes())


def test_each_remark_has_file_and_line(tmp_path: Path) -> None:
    found = findings(tmp_path, {"fs/a: b.c": "int x;\nint y; \n \tint z;\n\n"})
    assert [(f.file, f.line, f.message, f.severity) for f in found] == [
        ("fs/a: b.c", 2, "trailing whitespace", Severity.WARNING),
        ("fs/a: b.c", 3, "space before tab in indent", Severity.WARNING),
        ("fs/a: b.c", 4, "new blank line at EOF", Severity.WARNING),
    ]
    assert found[0].detail == "+int·y;·"


def test_a_conflict_is_an_error_but_an_underlined_heading_is_none(tmp_path: Path) -> None:
    found = findings(tmp_path, {"a.c": "<<<<<<< HEAD\n1\n=======\n2\n>>>>>>> x\n", "a.rst": "Heading\n=======\n"})
    assert [(f.file, f.line, f.severity) for f in found] == [("a.c", n, Severity.ERROR) for n in (1, 3, 5)]


def test_files_that_nobody_writes_by_hand_are_left_out(tmp_path: Path) -> None:
    files = {"configure": "x \n", "tests/f_x/expect.1": "y \n", "misc/a.c": "z \n"}
    assert [f.file for f in findings(tmp_path, files, "e2fsprogs")] == ["misc/a.c"]


def test_a_line_of_the_patch_cannot_pass_for_a_remark() -> None:
    said = "a.c:1: trailing whitespace.\n+b.c:7: trailing whitespace. \nc.c:2: leftover conflict marker\n"
    assert [(r.file, r.line) for r in parse_check(said)] == [("a.c", 1), ("c.c", 2)]
