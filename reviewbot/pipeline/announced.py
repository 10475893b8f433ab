# SPDX-License-Identifier: GPL-2.0-or-later
"""What is gone on head because the posting takes it away and says so: tests that cannot run any more, features that
mke2fs gives no new filesystem any more.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from reviewbot import intake
from reviewbot.host.objects import objects
from reviewbot.model.comparison import Blame, Class, Compared, Comparison, FigureChange
from reviewbot.model.posting import Posting
from reviewbot.model.trees import Trees
from reviewbot.verdict import announced, announced_default


def with_announced(comparison: Comparison, posting: Posting, trees: Trees, mails: Path) -> Comparison:
    """Such a test is WITHDRAWN when the patch that it is blamed on says so, or a cover letter; such a feature has the
    sentence.

    Without blame any patch may say it. mails: the run's `mails.mbox`, which has the cover letters. Raises OSError.
    """
    if not comparison.of(Class.NEWLY_NOTRUN) and not any(one.feature and one.counts for one in comparison.figures):
        return comparison
    covers = list(_covers(posting, mails))

    def texts(blame: Blame | None) -> Sequence[str]:
        commits = {commit for one in (blame.patches if blame else ()) for commit in one.commits}
        return (*_messages(trees, commits), *covers)

    def looked_at(test: Compared) -> Compared:
        if test.kind is not Class.NEWLY_NOTRUN:
            return test
        sentence = announced(test.suite, test.test, test.reason, texts(test.blame))
        return test.model_copy(update={"kind": Class.WITHDRAWN, "announced": sentence}) if sentence else test

    def looked_up(change: FigureChange) -> FigureChange:
        if not (change.feature and change.counts):
            return change
        return change.model_copy(update={"announced": announced_default(change.feature, texts(change.blame))})

    tests, figures = map(looked_at, comparison.tests), map(looked_up, comparison.figures)
    return comparison.model_copy(update={"tests": tuple(tests), "figures": tuple(figures)})


def _messages(trees: Trees, commits: set[str]) -> Sequence[str]:
    """Of these commits; of all patches of the posting when none is named."""
    found = []
    for tree in trees.trees:
        own = [patch.commit for patch in tree.patches if not (patch.merged or patch.prerequisite)]
        wanted = [commit for commit in own if not commits or commit in commits]
        if not wanted:
            continue
        with objects(Path(tree.repository)) as repository:
            for commit in wanted:
                read = repository.read(commit)
                found.append(read[1].decode(errors="replace").partition("\n\n")[2] if read else "")
    return found


def _covers(posting: Posting, mails: Path) -> Iterator[str]:
    by_id = intake.read_mbox(mails).by_id()
    for name in dict.fromkeys((posting.top, *(part.cover for part in posting.parts))):
        mail = intake.parse_mail(by_id[name]) if name in by_id else None
        if mail and mail.is_cover:
            yield f"{mail.subject.text}\n\n{mail.body}"
