# SPDX-License-Identifier: GPL-2.0-or-later
"""What was reported of the version of a posting before this one, and what became of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reviewbot.model.comparison import Class, Comparison
from reviewbot.model.plan import Plan
from reviewbot.model.posting import Posting
from reviewbot.model.results import LegResult, Outcome, Previous, Reported, Results
from reviewbot.model.words import untagged
from reviewbot.store import Runs, read_if_whole

_LATEST = 200
"""Runs that are looked at, the newest first."""
_REPORTED = (Class.NEW, Class.NEWLY_NOTRUN, Class.UNCOMPARED)


@dataclass(frozen=True, slots=True)
class Earlier:
    """The last run of the version before."""

    version: int
    run: str
    failed: tuple[Reported, ...]

    def fstests(self, leg: str) -> tuple[str, ...]:
        """Those to run first in a leg."""
        return tuple(one.test for one in self.failed if one.leg == leg and one.suite == "fstests")


def previous(posting: Posting, runs: Runs, own: str) -> Earlier | None:
    """None when no earlier version was tested here. own: id of the run that asks."""
    found: Earlier | None = None
    for run in [run for run in reversed(runs.list()) if run.id != own][:_LATEST]:
        plan = read_if_whole(run.path / "plan.json", Plan)
        if plan is None or not same_series(plan.posting, posting):
            continue
        version = version_of(plan.posting)
        if version < version_of(posting) and (found is None or version > found.version):
            results = read_if_whole(run.path / "results.json", Results)
            said = {test.outcome for leg in results.legs for test in leg.tests} if results else set()
            if results and any(outcome.broken or outcome is Outcome.PASS for outcome in said):
                found = Earlier(
                    version, run.id, tuple(_failed(results, read_if_whole(run.path / "comparison.json", Comparison)))
                )
    return found


def recalled(known: Previous) -> Earlier:
    """From what was recorded before all tests had run."""
    return Earlier(known.version, known.run, (*known.gone, *known.stays, *known.unknown))


def became(earlier: Earlier, legs: Sequence[LegResult]) -> Previous:
    """What the same tests say now."""
    now = {(leg.leg, test.suite, test.test): test.outcome for leg in legs for test in leg.tests}
    states: dict[str, list[Reported]] = {"gone": [], "stays": [], "unknown": []}
    for one in earlier.failed:
        outcome = now.get((one.leg, one.suite, one.test), Outcome.MISS)
        stays = outcome is Outcome.NOTRUN if one.absent else outcome.broken
        open_ = outcome.unknown or (outcome is Outcome.NOTRUN and not one.absent)
        states["stays" if stays else "unknown" if open_ else "gone"].append(one)
    lists = {state: tuple(some) for state, some in states.items()}
    return Previous(version=earlier.version, run=earlier.run, **lists)


def version_of(posting: Posting) -> int:
    return max((part.version for part in posting.parts), default=1)


def same_series(old: Posting, new: Posting) -> bool:
    """Whether two postings are versions of one: by what the new one names, by change-ids, or by subject and author."""
    named = {one.message_id for one in (*new.versions, *(one for part in new.parts for one in part.versions))}
    if named & {old.top, *old.message_ids()}:
        return True
    ids = [{part.change_id for part in one.parts if part.change_id} for one in (old, new)]
    if ids[0] & ids[1]:
        return True
    return old.author == new.author and untagged(old.subject).casefold() == untagged(new.subject).casefold()


def _failed(results: Results, comparison: Comparison | None) -> Iterator[Reported]:
    if comparison:
        for one in comparison.tests:
            if one.kind in _REPORTED:
                absent = one.kind is Class.NEWLY_NOTRUN
                yield Reported(leg=one.leg, suite=one.suite, test=one.test, absent=absent)
        return
    for leg in results.legs:
        yield from (Reported(leg=leg.leg, suite=t.suite, test=t.test) for t in leg.tests if t.outcome.broken)
