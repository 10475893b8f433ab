# SPDX-License-Identifier: GPL-2.0-or-later
"""Which tests and groups fstests have: as shipped, in a folder, in a commit."""

from pathlib import Path

import pytest

from reviewbot.config import load_stack
from reviewbot.model.errors import UsageError
from reviewbot.suites.names import Names, check_names, groups_of_commit, groups_of_folder, shipped
from reviewbot.suites.selection import parse
from reviewbot.suites.typical import load_typical
from tests.repos import git

TREE = {
    "tests/generic/001": "#! /bin/bash\n# FS QA Test No. 001\n. ./common/preamble\n_begin_fstest rw auto quick\n",
    "tests/generic/001.out": "QA output created by 001\n",
    "tests/generic/002": "#! /bin/bash\n_begin_fstest auto ours\n",
    "tests/ext4/301": "_begin_fstest aio dangerous\n",
    "tests/Makefile": "_begin_fstest none\n",
    "common/rc": "_begin_fstest none\n",
    "tests/generic/notes": "_begin_fstest none\n",
}
GROUPS = {
    "generic/001": frozenset({"rw", "auto", "quick"}),
    "generic/002": frozenset({"auto", "ours"}),
    "ext4/301": frozenset({"aio", "dangerous"}),
}


def put(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def committed(folder: Path) -> Path:
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "fstests")
    return folder / ".git"


def test_names_of_a_folder_and_of_a_commit_are_the_same(tmp_path: Path) -> None:
    put(tmp_path, TREE)
    assert groups_of_folder(tmp_path) == GROUPS
    assert groups_of_commit(committed(tmp_path), "HEAD") == GROUPS


def test_trees_before_2021_list_their_groups_in_a_file_per_folder(tmp_path: Path) -> None:
    put(tmp_path, {"tests/generic/001": "seq=`basename $0`\n", "tests/generic/group": "# QA\n001 rw auto quick # x\n"})
    wanted = {"generic/001": frozenset({"rw", "auto", "quick"})}
    assert groups_of_folder(tmp_path) == wanted
    assert groups_of_commit(committed(tmp_path), "HEAD") == wanted


def test_what_is_no_fstests_has_no_names(tmp_path: Path) -> None:
    put(tmp_path, {"README": "x", "tests/f_badinode/script": "x"})
    assert groups_of_folder(tmp_path) == {}
    assert groups_of_commit(committed(tmp_path), "HEAD") == {}


def test_what_is_shipped_has_all_tests_that_the_stack_and_the_durations_name() -> None:
    words = parse(load_stack().default_tests)
    check_names(words, shipped())
    assert len(words.tests) > 20
    assert {test.removeprefix("fstests/") for test in load_typical()} <= shipped().tests


@pytest.mark.parametrize(
    "selection",
    ["generic/001", "tests/generic/001", "generic/01*", "-g quick", "-g all", "-g auto -x dangerous",
     "-g generic/quick", "-g auto -e generic/001", "generic/999", "ext4/999-ours", ""],
)  # fmt: skip
def test_what_can_be_meant_passes(selection: str) -> None:
    check_names(parse(selection), shipped())


@pytest.mark.parametrize(
    ("selection", "problem", "hint"),
    [
        ("generic/9999", "no test generic/9999", "generic has 001 to "),
        ("generic/013 genric/001", "no test genric/001", "did you mean generic/001?"),
        ("generic/1", "no test generic/1", ""),
        ("smoke/rename", "no test smoke/rename", "generic/001"),
        ("zfs/001", "no test zfs/001", ""),
        ("generic/x*", "no test generic/x*", ""),
        ("ext4/002", "no test ext4/002", ""),  # a gap below the highest number
        ("-g qiuck", "no group qiuck", "did you mean quick?"),
        ("-g nope", "no group nope", "group-names.txt"),
        ("-g zfs/quick", "no group zfs/quick", ""),
        ("-g auto -x dangerus", "no group dangerus", "did you mean dangerous"),
        ("-g auto -e generic/0001", "no test generic/0001", "generic has 001 to "),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_may_have_been(selection: str, problem: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"fstests has {problem.replace('*', '[*]')}$") as caught:
        check_names(parse(selection), shipped())
    assert hint in caught.value.hint


def test_a_test_above_all_known_numbers_may_be_new() -> None:
    """The posting may add it; whether it did is looked up once its patches are applied."""
    known = Names.of(GROUPS)
    check_names(parse("generic/003 -g ours"), known)
    with pytest.raises(UsageError):
        check_names(parse("ext4/300"), known)
