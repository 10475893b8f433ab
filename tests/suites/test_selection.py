# SPDX-License-Identifier: GPL-2.0-or-later
from pathlib import Path

import pytest

from reviewbot.config import load_stack
from reviewbot.model.errors import ConfigError, UsageError
from reviewbot.suites import fstests, selection
from reviewbot.suites.selection import Exclude, choose, excluded, load_excludes, parse, read_groups

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


def test_groups_are_taken_from_generic_and_the_legs_own_folder(tree: Path) -> None:
    assert fstests.select(tree, "-g quick", EXT4) == ("ext4/001", "generic/001", "generic/002")
    assert fstests.select(tree, "-g quick", FUSE) == ("generic/001", "generic/002")


def test_names_by_comma_space_and_pattern(tree: Path) -> None:
    assert fstests.select(tree, "generic/002,generic/001  ext4/001", FUSE) == (
        "ext4/001", "generic/001", "generic/002",
    )  # fmt: skip
    assert fstests.select(tree, "generic/00?", FUSE) == ("generic/001", "generic/002", "generic/003")


def test_nothing_means_auto_and_exclusions_take_away(tree: Path) -> None:
    assert fstests.select(tree, "", FUSE) == ("generic/001", "generic/002", "generic/003")
    assert fstests.select(tree, "-x quick", FUSE) == ("generic/003",)
    assert fstests.select(tree, "-g auto,soak -x metadata -e generic/003", FUSE) == ("generic/001", "generic/475")
    assert fstests.select(tree, "-g xfs/quick", FUSE) == ("xfs/001",)


def test_a_dangerous_test_runs_only_when_it_is_asked_for(tree: Path) -> None:
    assert "generic/100-long-name" not in fstests.select(tree, "-g auto", FUSE)
    assert "generic/100-long-name" in fstests.select(tree, "-g dangerous", FUSE)
    assert fstests.select(tree, "generic/100-long-name", FUSE) == ("generic/100-long-name",)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("generic/999", "no test generic/999"),
        ("-g nosuch", "no group nosuch"),
        ("-x nosuch", "no group nosuch"),
        ("-g", "-g needs a name"),
        ("--frobnicate", "--frobnicate is not understood"),
        ("'unclosed", "closing"),
        ("generic/001 -e generic/001", "selects nothing"),
    ],
)
def test_what_does_not_exist_is_a_usage_error(tree: Path, words: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        fstests.select(tree, words, FUSE)


def test_a_folder_that_is_no_fstests_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no built fstests"):
        read_groups(tmp_path)


def test_shipped_excludes_are_valid() -> None:
    assert load_excludes()


@pytest.mark.parametrize(
    "entry",
    ["{test: generic/001, link: 'https://x.org'}", "{test: generic/001, reason: '', link: 'https://x.org'}",
     "{reason: because of this, link: 'https://x.org'}", "{test: generic/001, reason: because of this}"],
)  # fmt: skip
def test_an_exclude_without_test_reason_or_link_is_a_config_error(tmp_path: Path, entry: str) -> None:
    path = tmp_path / "excludes.yaml"
    path.write_text(f"excludes:\n  - {entry}\n")
    with pytest.raises(ConfigError, match=r"excludes\.yaml:2: excludes\.0"):
        load_excludes(path)


def test_an_excluded_test_says_why_and_only_in_its_leg() -> None:
    rules = [Exclude(test="generic/1*", legs=("lkl*",), reason="stale link counts", link="https://example.org/1")]
    lkl = STACK.leg("lklfuse")
    assert excluded(lkl, "generic/100", rules) == "excluded: stale link counts (https://example.org/1)"
    assert excluded(FUSE, "generic/100", rules) == ""
    assert excluded(lkl, "generic/200", rules) == ""


def test_a_group_exclude_holds_for_its_leg_alone(tree: Path) -> None:
    rules = [Exclude(group="meta*", legs=("fuse2fs",), reason="known to hang there", link="https://example.org/1")]
    groups = read_groups(tree)
    assert "generic/002" not in choose(parse("-g quick"), groups, FUSE, rules)
    assert "generic/002" in choose(parse("-g quick"), groups, EXT4, rules)


def test_an_excluded_test_becomes_a_step_that_only_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = (Exclude(test="generic/001", reason="stale link counts", link="https://example.org/1"),)
    monkeypatch.setattr(fstests, "load_excludes", lambda: rules)
    prepare, first, second = fstests.steps(FUSE, ["generic/001", "generic/002"])
    assert prepare.gate and prepare.name.startswith("setup/")
    assert first.argv[0] == "/bin/sh" and "stale link counts" in first.argv[-1]
    assert second.argv == ("/stack/suites/fstests/run", "generic/002")
    assert second.collect == ("/results/generic/002",)
    assert selection.EXCLUDES.exists()
