# SPDX-License-Identifier: GPL-2.0-or-later
"""`Fixes:` against a real history."""

from collections.abc import Callable
from pathlib import Path

import pytest

from reviewbot.model.trees import Tree
from reviewbot.review.commits import read_commits
from reviewbot.review.fixes import History, check_fixes, parse
from reviewbot.review.message import load_rules
from tests.repos import git
from tests.review.trees import SIGNED, make_tree

Say = Callable[[str], list[str]]
SUBJECT = "fuse: a rather long subject, broken"


@pytest.fixture
def history(tmp_path: Path) -> Tree:
    return make_tree(tmp_path / "kernel", "kernel", {"a.c": "1\n"}, [(SUBJECT + SIGNED, {"a.c": "2\n"})])


def remarks(tree: Tree, trailer: str, scratch: Path) -> list[str]:
    """What is said of a commit on top of the tree with this trailer."""
    folder = Path(tree.repository).parent
    git(
        folder,
        "commit",
        "-q",
        "--allow-empty",
        "-m",
        f"fuse: mend\n\nIt was broken.\n\n{trailer}\nSigned-off-by: A <a@x>",
    )
    commit = git(folder, "rev-parse", "HEAD")
    after = tree.model_copy(update={"head_commit": commit})
    found = check_fixes(read_commits(Path(tree.repository), [commit])[commit], History(after), "kernel", load_rules())
    return [f"{f.severity}: {f.message}" for f in found]


def test_the_right_commit_with_its_subject_is_fine(history: Tree, tmp_path: Path) -> None:
    assert remarks(history, f'Fixes: {history.head_commit[:12]} ("{SUBJECT}")', tmp_path) == []


def test_another_subject_is_an_error_and_the_real_one_is_shown(history: Tree, tmp_path: Path) -> None:
    name = history.head_commit[:12]
    assert remarks(history, f'Fixes: {name} ("second")', tmp_path) == [
        f"error: Fixes: quotes a different subject than that of {name}"
    ]
    assert remarks(history, f'Fixes: {name} ("Fuse - a rather long subject ...")', tmp_path) == [
        f"warning: Fixes: quotes the subject of {name} inexactly"
    ]


@pytest.mark.parametrize(
    "quoted",
    [
        "a rather long subject, broken",
        "a rather long subject",
        "fuse: a rather ... broken",
        "fuse: a rather… subject",
        "libfuse: fuse: a rather long subject, broken",
        "fuse: a rahter long subject, broken",
        "Fuse: A rather long",
        "fuse: rather long subject, broken",
        "...long subject, broken",
        "fuse: a rather long subject, brok",
    ],
)
def test_a_sloppy_quote_of_the_right_commit_is_a_warning(history: Tree, tmp_path: Path, quoted: str) -> None:
    name = history.head_commit[:12]
    assert remarks(history, f'Fixes: {name} ("{quoted}")', tmp_path) == [
        f"warning: Fixes: quotes the subject of {name} inexactly"
    ]


@pytest.mark.parametrize(
    "quoted",
    ["fuse: mend", "broken", "", "...", "fuse: broken ... a rather", "xfs: a rather short story", "subject", "fuse"],
)
def test_a_quote_that_could_be_of_any_commit_is_an_error(history: Tree, tmp_path: Path, quoted: str) -> None:
    assert remarks(history, f'Fixes: {history.head_commit[:12]} ("{quoted}")', tmp_path)[0].startswith("error:")


def test_a_subject_that_differs_by_a_number_is_another_one(tmp_path: Path) -> None:
    subject = "fuse: handle requests of protocol 7.39 in the server"
    tree = make_tree(tmp_path / "kernel", "kernel", {"a.c": "1\n"}, [(subject + SIGNED, {"a.c": "2\n"})])
    said = remarks(tree, f'Fixes: {tree.head_commit[:12]} ("{subject.replace("39", "40")}")', tmp_path)
    assert said[0].startswith("error: Fixes: quotes a different subject")


def test_a_commit_that_is_not_in_history_is_an_error(history: Tree, tmp_path: Path) -> None:
    assert remarks(history, 'Fixes: 0123456789ab ("x")', tmp_path) == [
        "error: Fixes: names 0123456789ab, which is not in this history"
    ]


def test_without_history_it_cannot_be_checked(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "kernel", "kernel", {"a.c": "1\n"}, [], history=False)
    assert remarks(tree, 'Fixes: 0123456789ab ("x")', tmp_path) == [
        "note: Fixes: 0123456789ab cannot be checked: the history is not available"
    ]


def test_a_shallow_clone_is_no_history(history: Tree, tmp_path: Path) -> None:
    source = Path(history.repository).parent
    git(source, "commit", "-q", "--allow-empty", "-m", "third")
    git(tmp_path, "clone", "-q", "--depth=2", f"file://{source}", "shallow")
    tree = history.model_copy(
        update={"repository": str(tmp_path / "shallow/.git"), "base_commit": git(source, "rev-parse", "HEAD")}
    )
    assert remarks(tree, 'Fixes: 0123456789ab ("x")', tmp_path)[0].startswith("note:")


def test_a_commit_of_another_branch_is_a_warning(history: Tree, tmp_path: Path) -> None:
    folder = Path(history.repository).parent
    git(folder, "checkout", "-q", "-b", "other", "HEAD~1")
    git(folder, "commit", "-q", "--allow-empty", "-m", "elsewhere")
    name = git(folder, "rev-parse", "HEAD")[:12]
    git(folder, "checkout", "-q", "master")
    assert remarks(history, f'Fixes: {name} ("elsewhere")', tmp_path) == [
        f"warning: Fixes: names {name}, which is not an ancestor of the patch"
    ]


@pytest.mark.parametrize(
    ("trailer", "remark"),
    [
        ('Fixes: {short} ("' + SUBJECT + '")', "is not `<12 digits or more>"),
        ("Fixes: {long}", "is not `<12 digits or more>"),
        ('Fixes: {long} ("fuse: a rather', "is wrapped"),
        ("Fixes: the bug", "is not `<12 digits or more>"),
    ],
)
def test_the_form_is_checked(history: Tree, tmp_path: Path, trailer: str, remark: str) -> None:
    name = history.head_commit
    (found,) = remarks(history, trailer.format(short=name[:8], long=name[:12]), tmp_path)
    assert found.startswith("warning: Fixes: ") and remark in found


@pytest.mark.parametrize("trailer", ["Fixes: https://bugs.example.org/1", "Fixes: #123"])
def test_a_trackers_number_is_not_a_commit(history: Tree, tmp_path: Path, trailer: str) -> None:
    assert remarks(history, trailer, tmp_path) == []


@pytest.mark.parametrize("value", ["--help", "-1", "HEAD", "../x", "$(id)", "0" * 64 + "x"])
def test_nothing_but_digits_reaches_git(value: str) -> None:
    assert parse(value) is None
