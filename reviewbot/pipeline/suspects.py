# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known of each patch of a part before any run: what it changes, whether its lines ran, what crashed."""

from collections.abc import Collection
from pathlib import Path

from reviewbot.build.affected import changes, load_unaffecting, matches
from reviewbot.host.git import git
from reviewbot.host.objects import objects
from reviewbot.model.coverage import Coverage
from reviewbot.model.trees import Tree
from reviewbot.verdict.weights import Edit, weight

_PLAIN = ("--no-color", "--no-ext-diff", "--no-textconv")
LARGEST = 4 << 20
"""Characters of a file that is looked into."""


def weights(tree: Tree, frames: Collection[str], leg: str, coverage: Coverage | None) -> tuple[float, ...]:
    """One per patch of the posting, in order. frames: functions of the crash, empty without one. coverage: of a
    variant that counts lines.

    Raises CommandFailed, ConfigError.
    """
    found = []
    before = tree.below
    for patch in tree.patches:
        if patch.merged or patch.prerequisite:
            continue
        lines = _lines(patch.commit, leg, coverage) if coverage else None
        found.append(weight(_edits(tree, before, patch.commit), frames, lines))
        before = patch.commit
    return tuple(found)


def _edits(tree: Tree, before: str, after: str) -> list[Edit]:
    repository = Path(tree.repository)
    ignored = load_unaffecting().patterns(tree.component)
    found = []
    with objects(repository) as there:
        for change in changes(repository, before, after):
            if matches(change.path, ignored):
                continue
            old, new = (there.blob(f"{commit}:{change.path}") or b"" for commit in (before, after))
            hunks = git(repository, "diff", "-U0", *_PLAIN, before, after, "--", change.path).output
            found.append(Edit(change.path, _text(old), _text(new), hunks[:LARGEST]))
    return found


def _text(content: bytes) -> str:
    return content.decode(errors="replace")[:LARGEST]


def _lines(commit: str, leg: str, coverage: Coverage) -> tuple[int, int] | None:
    """With code, and of these those that ran in the leg; None: that was not counted."""
    mine = [lines for lines in coverage.patches if lines.commit == commit]
    if not all(leg in lines.legs for lines in mine):
        return None
    return sum(len(one.executable) for one in mine), sum(len(one.legs[leg]) for one in mine)
