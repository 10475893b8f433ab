# SPDX-License-Identifier: GPL-2.0-or-later
"""Which base is chosen, why, and what is said of the others."""

from pathlib import Path

import pytest

from reviewbot.host.process import CommandFailed, CommandTimeout
from reviewbot.model.stack import Candidate, Source
from reviewbot.model.trees import Tree
from reviewbot.trees import Bases, DoesNotApply, WrongBase, preview, resolve, try_bases
from reviewbot.trees.candidates import Away
from tests.repos import git, stack_of
from tests.trees.series import (
    DAY,
    FILE,
    START,
    Series,
    edited,
    local,
    new_repository,
    posting_of,
    resolved,
    series,
    tried,
    without_blobs,
    write,
)

TAGS = Candidate(tags="v[0-9]*", why="releases")


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    """v1, v2 and master, which change the same line; a branch `topic` on v1 with two patches."""
    folder = new_repository(tmp_path / "kernel")
    git(folder, "tag", "v1")
    write(folder, {FILE: edited(30, word="of v2")}, "two", day=10)
    git(folder, "tag", "v2")
    write(folder, {FILE: edited(30, word="of master")}, "three", day=20)
    git(folder, "checkout", "-q", "-b", "topic", "v1")
    write(folder, {FILE: edited(30, 10)}, "topic: first", day=11)
    write(folder, {FILE: edited(30, 31, 10)}, "topic: second", day=11)
    git(folder, "checkout", "-q", "master")
    return folder


def test_blob_ids_find_the_tag_that_a_series_was_written_on(kernel: Path, tmp_path: Path) -> None:
    tree = resolved(series(kernel, "v1..topic"), kernel, tmp_path / "c", candidates=[TAGS])
    assert tree.base_commit == git(kernel, "rev-parse", "v1")
    assert (tree.base_why, tree.justified) == ("v1 (releases); the one blob id matches", True)
    assert tried(tree)[-1] == ("v1: 1 of 1 blobs match", "chosen")
    assert tried(tree)[0] == ("master: 0 of 1 blobs match", "not this one")


def test_without_blob_ids_the_first_that_takes_all_patches_wins(kernel: Path, tmp_path: Path) -> None:
    tree = resolved(without_blobs(series(kernel, "v1..topic")), kernel, tmp_path / "c", candidates=[TAGS])
    assert tree.base_commit == git(kernel, "rev-parse", "v1")
    assert (tree.base_why, tree.justified) == ("v1 (releases); all 2 patches apply", True)
    assert tried(tree)[0] == (
        "master: test-apply",
        "stopped at kernel patch 1/2 “topic: first” at fs/fuse/file.c:27",
    )
    assert tried(tree)[-1] == ("v1: test-apply", "all 2 patches apply; chosen")


def test_a_default_for_which_only_the_patches_speak_is_called_that(kernel: Path, tmp_path: Path) -> None:
    git(kernel, "checkout", "-q", "-b", "other", "v1")
    write(kernel, {FILE: edited(50)}, "far away", day=11)
    git(kernel, "checkout", "-q", "master")
    tree = resolved(without_blobs(series(kernel, "v1..other")), kernel, tmp_path / "c", candidates=[TAGS])
    assert tree.base_why == "default of the stack: master; the patch applies, no other evidence for this base"
    assert tree.justified


def test_the_default_as_it_was_when_the_series_was_sent(kernel: Path, tmp_path: Path) -> None:
    found = series(kernel, "v1..topic").but(date=START + 5 * DAY)
    tree = resolved(found, kernel, tmp_path / "c")
    assert tree.base_commit == git(kernel, "rev-parse", "v1")
    assert tree.base_why.startswith("master as of 2023-11-19 (the default ref when the posting was sent)")


def test_a_date_of_long_ago_does_not_fetch_all_of_history(kernel: Path, tmp_path: Path) -> None:
    found = series(kernel, "v1..topic").but(date=1000)
    with pytest.raises(DoesNotApply) as caught:
        resolved(found, kernel, tmp_path / "c")
    assert any("more than two years" in line for line in caught.value.details)


def test_tags_of_a_local_repository_are_those_of_the_postings_time(kernel: Path, tmp_path: Path) -> None:
    for number in range(3, 9):
        write(kernel, {"n": f"{number}"}, f"v{number}", day=20 + number)
        git(kernel, "tag", f"v{number}")
    found = without_blobs(series(kernel, "v1..topic")).but(date=START + 11 * DAY)
    newest = Candidate(tags="v[0-9]*", newest=2, why="releases")
    assert resolved(found, kernel, tmp_path / "c", candidates=[newest]).base_why.startswith("v1 (releases)")


def test_another_repository_can_be_the_base(kernel: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", str(kernel), "fuse")
    fuse = tmp_path / "fuse"
    write(fuse, {FILE: edited(30, word="of for-next")}, "queued", day=30)
    git(fuse, "branch", "for-next")
    write(fuse, {FILE: edited(30, word="of the series")}, "mine", day=31)
    queued = Candidate(ref="for-next", source=local(fuse), why="queued")
    tree = resolved(series(fuse, "for-next..master"), kernel, tmp_path / "c", candidates=[TAGS, queued])
    assert tree.base_commit == git(fuse, "rev-parse", "for-next")
    assert tree.base_why.startswith("for-next of ")


def test_a_candidate_that_is_away_is_an_attempt_and_is_asked_once(kernel: Path, tmp_path: Path) -> None:
    gone = [
        Candidate(ref=ref, source=Source(provider="git", url="http://127.0.0.1:9/x/fuse.git"), why="w")
        for ref in ("for-next", "fixes")
    ]
    tree = resolved(series(kernel, "v1..topic"), kernel, tmp_path / "c", candidates=[*gone, TAGS])
    (first, second) = [result for what, result in tried(tree) if "x/fuse.git" in what]
    assert first == second
    assert first.startswith("unavailable: Failed to connect to 127.0.0.1 port 9")
    assert tree.base_commit == git(kernel, "rev-parse", "v1")


def test_a_source_without_refs_says_why_its_tags_are_not_tried(kernel: Path, tmp_path: Path) -> None:
    folder = Source(provider="dir", path=str(kernel))
    found = without_blobs(series(kernel, "v1..topic"))
    with pytest.raises(DoesNotApply) as caught:
        resolved(found, folder, tmp_path / "c", candidates=[TAGS])
    assert "tried candidates v[0-9]*: no refs: a folder" in caught.value.details


def test_no_base_takes_all_so_the_one_that_gets_farthest_is_reported(kernel: Path, tmp_path: Path) -> None:
    git(kernel, "checkout", "-q", "topic")
    write(kernel, {FILE: edited(30, 31, 10, 45, 46, word="never seen")}, "topic: rebased away", day=12)
    write(kernel, {FILE: edited(30, 31, 10, 45, 46, 47, word="never seen")}, "topic: third", day=12)
    span = f"{git(kernel, 'rev-parse', 'v1')}..topic"
    git(kernel, "checkout", "-q", "master")
    whole = without_blobs(series(kernel, span))
    kept = [patch for patch in whole.part.patches if patch.number != 3]
    with pytest.raises(DoesNotApply) as caught:
        resolved(whole.but(patches=tuple(kept)), kernel, tmp_path / "c", candidates=[TAGS])
    error = caught.value
    assert error.subject == "topic: third"
    assert "v1" in [attempt.what.split(":")[0] for attempt in error.attempts]
    assert error.commit == git(kernel, "rev-parse", "v1")
    assert sum("test-apply" in attempt.what for attempt in error.attempts) == 3


def test_a_base_commit_that_no_branch_reaches_is_fetched_by_its_id(kernel: Path, tmp_path: Path) -> None:
    git(kernel, "checkout", "-q", "--detach", "v1")
    lost = write(kernel, {FILE: edited(1)}, "on no branch", day=3)
    write(kernel, {FILE: edited(1, 2)}, "mine", day=4)
    found = series(kernel, f"{lost}..HEAD").but(base_commit=lost)
    git(kernel, "checkout", "-q", "master")
    tree = resolved(found, kernel, tmp_path / "c")
    assert (tree.base_commit, tree.base_why) == (lost, f"base-commit: {lost[:12]} of the posting")


@pytest.mark.parametrize("spelled", ["v1", "shortened"])
def test_a_declared_base_may_be_a_tag_or_a_shortened_commit(kernel: Path, tmp_path: Path, spelled: str) -> None:
    whole = git(kernel, "rev-parse", "v1")
    declared = whole[:12] if spelled == "shortened" else spelled
    tree = resolved(series(kernel, "v1..topic").but(base_commit=declared), kernel, tmp_path / "c")
    assert (tree.base_commit, tree.base_why) == (whole, f"base-commit: {declared} of the posting")


def test_a_base_commit_is_looked_for_in_the_candidates_repositories(kernel: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", str(kernel), "vfs")
    there = write(tmp_path / "vfs", {FILE: edited(1)}, "only there", day=3)
    write(tmp_path / "vfs", {FILE: edited(1, 2)}, "mine", day=4)
    found = series(tmp_path / "vfs", f"{there}..HEAD").but(base_commit=there)
    elsewhere = Candidate(ref="vfs.all", source=local(tmp_path / "vfs"), why="w")
    tree = resolved(found, kernel, tmp_path / "c", candidates=[elsewhere])
    assert tree.base_commit == there
    assert tree.base_why.endswith("/vfs")
    assert tried(tree)[0] == (f"base-commit: {there[:12]}", f"git {kernel} does not have it")


def test_a_base_by_hand_may_be_a_ref_of_a_candidates_repository(kernel: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", str(kernel), "vfs")
    git(tmp_path / "vfs", "branch", "vfs.all", "origin/topic~2")
    elsewhere = Candidate(ref="vfs.all", source=local(tmp_path / "vfs"), why="w")
    found = series(kernel, "v1..topic")
    tree = resolved(found, kernel, tmp_path / "c", base="vfs.all", candidates=[elsewhere])
    assert tree.base_why.startswith("--base vfs.all of ")
    with pytest.raises(WrongBase):
        resolved(found, kernel, tmp_path / "c", base="vfs.none", candidates=[elsewhere])


@pytest.mark.parametrize("ref", ["--upload-pack=x", "+x:refs/heads/y", "a b", "master:refs/heads/z", "v1^"])
def test_a_base_that_is_no_name_is_never_given_to_git(kernel: Path, tmp_path: Path, ref: str) -> None:
    with pytest.raises(WrongBase):
        resolved(series(kernel, "v1..topic"), kernel, tmp_path / "c", base=ref)


def test_a_three_way_merge_does_not_justify_a_base(kernel: Path, tmp_path: Path) -> None:
    git(kernel, "checkout", "-q", "-b", "moved", "v1")
    write(kernel, {FILE: edited(27, word="of moved")}, "context changes", day=20)
    git(kernel, "checkout", "-q", "master")
    found = without_blobs(series(kernel, "v1..topic~1")).but(date=START + 25 * DAY)
    with_blobs = Series(found.part, series(kernel, "v1..topic~1").mails)
    with pytest.raises(DoesNotApply):  # git has nothing to merge with
        resolved(found, local(kernel, "moved"), tmp_path / "c")
    tree = resolved(with_blobs, local(kernel, "moved"), tmp_path / "c")
    assert not tree.justified
    assert "no base takes all patches" in tree.base_why
    assert tree.base_why.endswith("applies with a three-way merge only")
    again = resolved(with_blobs, local(kernel, "moved"), tmp_path / "c")
    assert (again.head_commit, again.base_why, again.justified) == (tree.head_commit, tree.base_why, tree.justified)


def test_trying_bases_is_no_error_when_nothing_applies(kernel: Path, tmp_path: Path) -> None:
    found = without_blobs(series(kernel, "topic~1..topic"))
    posting, mails = posting_of(found)
    stack = stack_of(
        {"kernel": local(kernel), "libfuse": Source(provider="dir", path="/nonexistent")},
        candidates={"kernel": (TAGS,)},
    )
    trees = try_bases(
        posting,
        mails,
        stack,
        components=["kernel", "libfuse"],
        cache=tmp_path / "c",
    )
    (tree,) = trees.trees
    assert (tree.head_commit, tree.patches, tree.justified) == (tree.base_commit, (), False)
    assert [what for what, _ in tried(tree) if "test-apply" in what] == [
        "master: test-apply",
        "master as of 2023-11-25: test-apply",
        "v1: test-apply",
    ]
    assert tried(tree)[-1][1].startswith("kernel patch 1/1 “topic: second” does not apply")
    good, mails = posting_of(series(kernel, "v1..topic"))
    assert tree.stopped is not None
    assert tree.stopped.what in tried(tree)[-1][1]
    assert any(line.startswith("@@ ") for line in tree.stopped.detail)
    assert not any(line.startswith("tried ") for line in tree.stopped.detail)
    (tree,) = try_bases(good, mails, stack, components=["kernel"], cache=tmp_path / "c").trees
    assert tree.justified
    assert tree.stopped is None
    assert len(tree.patches) == 2


def test_a_base_named_by_a_manifest_is_not_called_an_option(kernel: Path, tmp_path: Path) -> None:
    posting, mails = posting_of(series(kernel, "v1..topic"))
    stack = stack_of({"kernel": local(kernel)})

    def tree(ref: str) -> Tree:
        return resolve(
            posting,
            mails,
            stack,
            components=["kernel"],
            bases=Bases({"kernel": ref}, from_manifest=["kernel"]),
            cache=tmp_path / "c",
        ).trees[0]

    assert tree("v1").base_why == "v1, named by the manifest"
    with pytest.raises(WrongBase, match=r"the manifest's base of kernel, v9: .* has no such commit"):
        tree("v9")
    (line,) = preview(posting, stack, Bases({"kernel": "v1"}, from_manifest=["kernel"]))
    assert line.why == "named by the manifest"


def test_the_preview_says_how_a_base_would_be_found(kernel: Path) -> None:
    posting, _ = posting_of(series(kernel, "v1..topic"))
    (line,) = preview(posting, stack_of({"kernel": local(kernel)}, candidates={"kernel": (TAGS,)}), Bases())
    assert line.base == "master?"
    assert "declares no base" in line.why
    assert "v[0-9]*" in line.why
    (line,) = preview(posting, stack_of({"kernel": local(kernel)}), Bases())
    assert line.base == "master"
    assert "no other candidates" in line.why


def test_only_a_server_that_cannot_be_reached_is_given_up() -> None:
    away = Away()
    url = "https://git.example.org/a.git"
    refused = CommandFailed(["git"], 128, "fatal: repository 'https://git.example.org/a.git/' not found")
    assert "not found" in away.noted(url, refused)
    assert away.why == {}
    away.noted(url, CommandFailed(["git"], 128, "fatal: unable to access: Could not resolve host: git.example.org"))
    assert list(away.why) == ["git.example.org"]
    assert "did not respond within 20 s" in Away().noted(url, CommandTimeout(["git"], 20.0))
