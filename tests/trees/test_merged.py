# SPDX-License-Identifier: GPL-2.0-or-later
"""Patches and prerequisites that base has already."""

from pathlib import Path

import pytest

from reviewbot.model.errors import Blocked
from reviewbot.model.posting import Declared, Prerequisite
from reviewbot.model.trees import Tree
from reviewbot.trees import DoesNotApply
from tests.repos import git
from tests.trees.series import (
    DAY,
    FILE,
    START,
    Series,
    edited,
    new_repository,
    resolved,
    series,
    tried,
    without_blobs,
    write,
)


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    """master with other work; a branch `topic` with three patches, sent on day 5."""
    folder = new_repository(tmp_path / "kernel")
    git(folder, "checkout", "-q", "-b", "topic")
    for line in (10, 30, 50):
        done = [n for n in (10, 30, 50) if n <= line]
        write(folder, {FILE: edited(*done)}, f"change {line}", day=4)
    git(folder, "checkout", "-q", "master")
    write(folder, {"other": "x\n"}, "other work", day=6)
    return folder


def sent(kernel: Path) -> Series:
    return series(kernel, "master~1..topic").but(date=START + 5 * DAY)


def pick(kernel: Path, *commits: str) -> list[str]:
    """As a maintainer does: the same changes, other commits."""
    found = []
    for commit in commits:
        git(kernel, "cherry-pick", commit)
        git(kernel, "commit", "-q", "--amend", "-m", f"applied {commit}", "--date=2023-11-25")
        found.append(git(kernel, "rev-parse", "HEAD"))
    return found


def flags(tree: Tree) -> list[tuple[str, bool]]:
    return [(patch.subject, patch.merged) for patch in tree.patches]


def test_merged_patches_are_named_with_their_commits_and_left_out(kernel: Path, tmp_path: Path) -> None:
    first, second = pick(kernel, "topic~2", "topic~1")
    write(kernel, {FILE: edited(10, 30, 20)}, "later", day=12)
    tree = resolved(sent(kernel), kernel, tmp_path / "c", base="master")
    assert flags(tree) == [("change 10", True), ("change 30", True), ("change 50", False)]
    assert [patch.commit for patch in tree.patches[:2]] == [first, second]
    assert tree.patches[2].commit == tree.head_commit
    assert tree.base_why == "--base master; 2 of 3 patches are already in it"
    assert ("patch “change 10”", f"in base as {first[:12]}, left out") in tried(tree)


def test_a_series_that_is_merged_whole(kernel: Path, tmp_path: Path) -> None:
    pick(kernel, "topic~2", "topic~1", "topic")
    tree = resolved(sent(kernel), kernel, tmp_path / "c", base="master")
    assert all(patch.merged for patch in tree.patches)
    assert tree.head_commit == tree.base_commit
    assert tree.base_why == "--base master; all 3 patches are already in it"


def test_a_merged_series_is_noticed_when_no_base_is_named(kernel: Path, tmp_path: Path) -> None:
    found = sent(kernel).but(date=START + 40 * DAY)
    pick(kernel, "topic~2", "topic~1", "topic")
    tree = resolved(without_blobs(found), kernel, tmp_path / "c")
    assert tree.base_why == "default of the stack: master; all 3 patches are already in it"
    assert any(what.startswith("patch-ids behind master") and "3 patches found" in said for what, said in tried(tree))


def test_what_was_merged_and_reverted_is_not_merged(kernel: Path, tmp_path: Path) -> None:
    (first,) = pick(kernel, "topic~2")
    git(kernel, "revert", "--no-edit", first)
    tree = resolved(sent(kernel), kernel, tmp_path / "c", base="master")
    assert not any(patch.merged for patch in tree.patches)
    assert len(tree.patches) == 3


def test_a_change_that_is_there_under_another_patch_id_is_hinted_at(kernel: Path, tmp_path: Path) -> None:
    write(kernel, {FILE: edited(10, 30, 50, 7)}, "all at once, and more", day=8)
    with pytest.raises(DoesNotApply) as caught:
        resolved(without_blobs(series(kernel, "topic~1..topic", name="q")), kernel, tmp_path / "c", base="master")
    assert "base seems to have this change already: it can be reverted there" in caught.value.details


def test_what_a_three_way_merge_finds_in_base_is_left_out(kernel: Path, tmp_path: Path) -> None:
    write(kernel, {FILE: edited(10, 7)}, "the first one, and more", day=8)
    tree = resolved(sent(kernel), kernel, tmp_path / "c", base="master")
    assert flags(tree) == [("change 10", True), ("change 30", False), ("change 50", False)]
    assert ("kernel part 1/1: git am --3way", "“change 10” is already in base") in tried(tree)
    assert tree.patches[2].commit == tree.head_commit
    assert resolved(sent(kernel), kernel, tmp_path / "c", base="master") == tree


def prerequisite(found: Series) -> Prerequisite:
    declared = Declared(kind="message-id", value="x@example.org", trailer="Depends-on")
    return Prerequisite(declared=declared, status="found", patches=found.part.patches)


def test_prerequisites_are_applied_below_the_part_and_once(kernel: Path, tmp_path: Path) -> None:
    below = series(kernel, "master~1..topic~1", name="below")
    above = series(kernel, "topic~1..topic", name="above")
    more = series(kernel, "topic~1..topic", name="more", counter="2/2")
    git(kernel, "checkout", "-q", "topic")
    write(kernel, {FILE: edited(10, 30, 50, 55)}, "change 55", day=5)
    more = series(kernel, "topic~1..topic", name="more", counter="2/2").but(prerequisites=(prerequisite(below),))
    git(kernel, "checkout", "-q", "master")
    part = above.but(prerequisites=(prerequisite(below),))
    tree = resolved([part, more], kernel, tmp_path / "c", mails=below.mails)
    assert [(patch.subject, patch.prerequisite) for patch in tree.patches] == [
        ("change 10", True),
        ("change 30", True),
        ("change 50", False),
        ("change 55", False),
    ]
    log = git(Path(tree.repository), "log", "--reverse", "--format=%H", f"{tree.base_commit}..{tree.head_commit}")
    assert log.split() == [patch.commit for patch in tree.patches]


def test_blob_ids_behind_prerequisites_say_nothing_of_the_base(kernel: Path, tmp_path: Path) -> None:
    below = series(kernel, "master~1..topic~1", name="below")
    part = series(kernel, "topic~1..topic", name="above").but(prerequisites=(prerequisite(below),))
    tree = resolved(part, kernel, tmp_path / "c", mails=below.mails)
    assert tree.base_why == "default of the stack: master; the one blob id matches"


@pytest.mark.parametrize("by_patch_id", [True, False])
def test_a_prerequisite_that_base_has_is_skipped(kernel: Path, tmp_path: Path, by_patch_id: bool) -> None:
    if by_patch_id:
        pick(kernel, "topic~2", "topic~1")
    else:
        write(kernel, {FILE: edited(10, 30)}, "both at once", day=7)
    below = series(kernel, f"{git(kernel, 'rev-parse', 'topic~3')}..topic~1", name="below")
    part = series(kernel, "topic~1..topic", name="above")
    tree = resolved(
        part.but(prerequisites=(prerequisite(below),), date=START + 5 * DAY),
        kernel,
        tmp_path / "c",
        base="master",
        mails=below.mails,
    )
    assert [(patch.prerequisite, patch.merged) for patch in tree.patches] == [
        (True, True),
        (True, True),
        (False, False),
    ]
    assert tree.base_why == "--base master"
    assert bool(tree.patches[0].commit) is by_patch_id


def test_a_prerequisite_whose_mail_is_missing_blocks(kernel: Path, tmp_path: Path) -> None:
    below = series(kernel, "master~1..topic~1", name="below")
    part = series(kernel, "topic~1..topic", name="above").but(prerequisites=(prerequisite(below),))
    with pytest.raises(Blocked, match=r"below1@example\.org"):
        resolved(part, kernel, tmp_path / "c")


def test_a_prerequisite_that_does_not_apply_is_called_one(kernel: Path, tmp_path: Path) -> None:
    below = series(kernel, "topic~1..topic", name="below")
    part = series(kernel, "topic~3..topic~2", name="above")
    broken = {key: raw.replace(b" line 48\n", b" line 480\n") for key, raw in below.mails.items()}
    with pytest.raises(DoesNotApply) as caught:
        resolved(part.but(prerequisites=(prerequisite(below),)), kernel, tmp_path / "c", mails=broken)
    assert "prerequisite" in str(caught.value)
