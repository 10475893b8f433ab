# SPDX-License-Identifier: GPL-2.0-or-later
from pathlib import Path

import pytest

from reviewbot.config import load_stack
from reviewbot.model.errors import UsageError
from reviewbot.model.stack import LegSpec
from reviewbot.suites import fstests
from reviewbot.suites.selection import choose, parse, read_groups

STACK = load_stack()
EXT4, FUSE = STACK.leg("ext4"), STACK.leg("fuse2fs")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    lists = {
        "generic": "# generated\n\n001 rw dir udf auto quick\n002 metadata auto quick\n003 atime auto\n"
        "100-long-name auto dangerous\n475 shutdown soak\n",
        "ext4": "001 auto prealloc quick\n",
        "xfs": "001 auto quick\n",
    }
    for folder, text in lists.items():
        (tmp_path / "tests" / folder).mkdir(parents=True)
        (tmp_path / "tests" / folder / "group.list").write_text(text)
    return tmp_path


def selected(tree: Path, words: str, leg: LegSpec) -> tuple[str, ...]:
    return fstests.select(tree, words, leg).tests


def test_groups_are_taken_from_generic_and_the_legs_own_folder(tree: Path) -> None:
    assert selected(tree, "-g quick", EXT4) == ("ext4/001", "generic/001", "generic/002")
    assert selected(tree, "-g quick", FUSE) == ("generic/001", "generic/002")


def test_names_by_comma_space_and_pattern(tree: Path) -> None:
    assert selected(tree, "generic/002,generic/001  ext4/001", FUSE) == (
        "ext4/001",
        "generic/001",
        "generic/002",
    )
    assert selected(tree, "generic/00?", FUSE) == ("generic/001", "generic/002", "generic/003")


def test_nothing_means_auto_and_exclusions_take_away(tree: Path) -> None:
    assert selected(tree, "", FUSE) == ("generic/001", "generic/002", "generic/003")
    assert selected(tree, "-x quick", FUSE) == ("generic/003",)
    assert selected(tree, "-g auto,soak -x metadata -e generic/003", FUSE) == ("generic/001", "generic/475")
    assert selected(tree, "-g xfs/quick", FUSE) == ("xfs/001",)


def test_a_dangerous_test_runs_only_when_it_is_asked_for(tree: Path) -> None:
    assert "generic/100-long-name" not in selected(tree, "-g auto", FUSE)
    assert "generic/100-long-name" in selected(tree, "-g dangerous", FUSE)
    assert selected(tree, "generic/100-long-name", FUSE) == ("generic/100-long-name",)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("generic/999", "no test generic/999"),
        ("-g nosuch", "no group nosuch"),
        ("-x nosuch", "no group nosuch"),
        ("-g", "-g needs a name"),
        ("--frobnicate", "unknown word --frobnicate"),
        ("'unclosed", "closing"),
        ("generic/001 -e generic/001", "selects no tests"),
    ],
)
def test_what_does_not_exist_is_a_usage_error(tree: Path, words: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        selected(tree, words, FUSE)


def test_a_folder_that_is_no_fstests_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a built fstests tree"):
        read_groups(tmp_path)


def test_what_is_left_out_of_a_selection_leaves_the_rest_of_it(tree: Path) -> None:
    whole = choose(parse("-g quick"), read_groups(tree), EXT4, ())
    less = whole.without({"generic/001"})
    assert less.tests == ("ext4/001", "generic/002") and less.groups == whole.groups
