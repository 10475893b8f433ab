# SPDX-License-Identifier: GPL-2.0-or-later
"""Which messages of a posting may announce that a test cannot run any more."""

from pathlib import Path

import pytest

from reviewbot import intake
from reviewbot.config import load_stack
from reviewbot.model.comparison import Blame, BlamedPatch, Class, Compared, Comparison, FigureChange
from reviewbot.model.results import Outcome
from reviewbot.model.trees import AppliedPatch, Tree, Trees
from reviewbot.pipeline.announced import with_announced
from tests.mails import diff, mail, mbox
from tests.repos import git, make_repository

PUNCH = Compared(
    leg="fuse2fs", suite="smoke", test="punch", outcome=Outcome.NOTRUN, reason="no punching", kind=Class.NEWLY_NOTRUN
)
SAYS = "fuse2fs: refuse to punch holes"


class Series:
    """A posting of two patches of e2fsprogs with a cover letter."""

    def __init__(self, folder: Path, *subjects: str, cover: str = "Hi.") -> None:
        self.mails = folder / "mails.mbox"
        raw = [mail("c@x", "[PATCH 0/2] fuse2fs: two changes", cover)]
        for number, subject in enumerate(subjects, 1):
            raw.append(mail(f"c.{number}@x", f"[PATCH {number}/2] {subject}", diff("misc/fuse2fs.c"), parent="c@x"))
        self.mails.write_bytes(mbox(raw))
        self.posting = intake.split(intake.read_mbox(self.mails), None, load_stack()).posting
        base = make_repository(folder / "repository", {"misc/fuse2fs.c": "old\n"})
        self.commits = []
        for subject in subjects:
            git(folder / "repository", "commit", "-q", "--allow-empty", "-m", f"{subject}\n\nA body.")
            self.commits.append(git(folder / "repository", "rev-parse", "HEAD"))
        tree = git(folder / "repository", "rev-parse", "HEAD^{tree}")
        patches = [
            AppliedPatch(message_id=f"c.{n}@x", subject=s, commit=c)
            for n, (s, c) in enumerate(zip(subjects, self.commits, strict=True), 1)
        ]
        self.trees = Trees(
            trees=(
                Tree(
                    component="e2fsprogs",
                    repository=str(folder / "repository" / ".git"),
                    source="s",
                    base_commit=base,
                    base_tree=tree,
                    base_why="w",
                    head_commit=self.commits[-1],
                    head_tree=tree,
                    patches=tuple(patches),
                ),
            )
        )

    def judged(self, blamed: int = 0, test: Compared = PUNCH) -> Compared:
        """blamed: number of the guilty patch; 0: none was found."""
        comparison = Comparison(tests=(test.model_copy(update={"blame": self._blame(blamed)}),))
        return with_announced(comparison, self.posting, self.trees, self.mails).tests[0]

    def looked_up(self, blamed: int, change: FigureChange) -> FigureChange:
        comparison = Comparison(figures=(change.model_copy(update={"blame": self._blame(blamed)}),))
        return with_announced(comparison, self.posting, self.trees, self.mails).figures[0]

    def _blame(self, blamed: int) -> Blame | None:
        patches = (BlamedPatch(component="e2fsprogs", commits=(self.commits[blamed - 1],), probability=1.0),)
        return Blame(components=("e2fsprogs",), patches=patches) if blamed else None


def test_the_guilty_patch_says_so(tmp_path: Path) -> None:
    found = Series(tmp_path, "fuse2fs: clean up", SAYS).judged(2)
    assert (found.kind, found.announced) == (Class.WITHDRAWN, "refuse to punch holes")
    assert found.blame is not None


def test_what_another_patch_says_excuses_nothing(tmp_path: Path) -> None:
    found = Series(tmp_path, "fuse2fs: clean up", SAYS).judged(1)
    assert (found.kind, found.announced) == (Class.NEWLY_NOTRUN, "")


@pytest.mark.parametrize("blamed", [0, 1])
def test_a_cover_letter_speaks_for_all_its_patches(tmp_path: Path, blamed: int) -> None:
    series = Series(
        tmp_path, "fuse2fs: clean up", "fuse2fs: more", cover="This series drops support for punching holes."
    )
    assert series.judged(blamed).kind is Class.WITHDRAWN


def test_without_blame_any_patch_may_say_it(tmp_path: Path) -> None:
    assert Series(tmp_path, SAYS, "fuse2fs: more").judged().kind is Class.WITHDRAWN


def test_a_failure_is_no_feature_that_was_taken_away(tmp_path: Path) -> None:
    failed = PUNCH.model_copy(update={"kind": Class.NEW, "outcome": Outcome.FAIL})
    assert Series(tmp_path, "fuse2fs: clean up", SAYS).judged(2, failed).kind is Class.NEW


DEFAULT = "mke2fs: no longer enable metadata_csum"
LOST = FigureChange(
    leg="ext4", suite="smoke", test="mkfs", figure="feature metadata_csum", unit="filesystems", base=(1.0,), head=(0.0,)
)


def test_a_default_that_is_dropped_is_announced_by_the_guilty_patch_alone(tmp_path: Path) -> None:
    series = Series(tmp_path, "mke2fs: clean up", DEFAULT)
    found = series.looked_up(2, LOST)
    assert (found.announced, found.counts) == ("no longer enable metadata_csum", False)
    assert series.looked_up(1, LOST).counts


def test_a_feature_that_is_gained_or_a_figure_that_grew_needs_no_announcement(tmp_path: Path) -> None:
    series = Series(tmp_path, DEFAULT, "mke2fs: more")
    gained = LOST.model_copy(update={"base": LOST.head, "head": LOST.base})
    leak = LOST.model_copy(update={"figure": "memory", "base": (1.0,), "head": (9.0,)})
    assert (series.looked_up(1, gained).announced, series.looked_up(1, leak).announced) == ("", "")
