# SPDX-License-Identifier: GPL-2.0-or-later
"""Which repository, and which of its patches, brought a new failure. Pure: whoever calls runs the tests.

First the smallest set of changed components that fails with all others at base; then, in each of them, the patch.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from reviewbot.model.comparison import Blame, BlamedPatch, Class, Counts
from reviewbot.verdict.search import PatchSearch
from reviewbot.verdict.sequential import decide

Ask = Callable[[Mapping[str, str]], bool | None]
"""Component -> commit (those not named at base): did the test fail there? None: such a stack cannot be tested."""
MISSED = 0.02
"""Chance of so many passes in a row of a test that fails as often as on head, at which a stack counts as good."""
_MOST_RUNS = 400
"""Of one search over patches, whatever the budget."""
_LOST = 3
"""Times that a stack is tried before it counts as one that cannot be tested."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A component that the posting changes and that the failing leg uses."""

    component: str
    commits: tuple[str, ...]
    """After each of its patches, in order; the last one is head."""
    weights: tuple[float, ...] = ()
    """Per patch, how likely it is before any run; empty: equally."""


@dataclass(slots=True)
class Search:
    """The search for what brought one failure."""

    changed: Sequence[Changed]
    head: Counts
    base: Counts
    ask: Ask
    go_on: Callable[[], bool] = lambda: True
    """False: the budget is spent."""
    without: Callable[[str, str], bool | None] = lambda component, commit: None
    """Component, commit: did the test fail on head without this patch? None: there is no such head."""
    content: Callable[[Mapping[str, str]], str] = lambda commits: ""
    """What a stack is made of: two that are the same have the same; empty: it is not known."""
    runs: int = 0
    untestable: list[str] = field(default_factory=list)
    undivided: bool = False

    def run(self) -> Blame:
        """The guilty components, and in each its patch or the patches that are left."""
        guilty = self._components()
        patches = () if self.undivided else tuple(self._patch(one, guilty) for one in guilty)
        return Blame(
            components=tuple(one.component for one in guilty),
            patches=patches,
            runs=self.runs,
            untestable=tuple(self.untestable),
            undivided=self.undivided,
        )

    def _components(self) -> tuple[Changed, ...]:
        """The smallest set that fails; all of them when the budget ends before any is found."""
        if len(self.changed) == 1:
            return tuple(self.changed)
        for size in range(1, len(self.changed)):
            for some in combinations(self.changed, size):
                stack = {one.component: one.commits[-1] for one in some}
                fails = self._fails(functools.partial(self.asked, stack))
                if fails:
                    return some
                if fails is None and self.go_on():
                    self.untestable.append("+".join(one.component for one in some))
        self.undivided = not self.go_on()
        return tuple(self.changed)

    def _fails(self, ask: Callable[[], bool | None]) -> bool | None:
        """Whether a stack has the failure; None: it cannot be tested, or the budget is spent."""
        counts, lost = Counts(), 0
        rate = (self.head.failed + 0.5) / (self.head.runs + 1)
        while self.go_on():
            if (failed := ask()) is None:
                lost += 1
                if lost >= _LOST:
                    return None
                continue
            counts = counts.plus(failed)
            if counts.failed and decide(counts, self.base) is Class.NEW:
                return True
            # A test that always fails on head and never on base tells with one failure.
            if counts.failed and not self.base.failed and self.head.failed == self.head.runs:
                return True
            if not counts.failed and (1 - rate) ** counts.runs <= MISSED:
                return False
            if counts.runs >= 2 * self.head.runs + 10:
                return counts.failed / counts.runs > (rate + self.base.failed / max(self.base.runs, 1)) / 2
        return None

    def _patch(self, one: Changed, guilty: Sequence[Changed]) -> BlamedPatch:
        """Inside one guilty component, with the other guilty ones at head."""
        others = {other.component: other.commits[-1] for other in guilty if other is not one}
        return _Patches(self, one, others).blamed()

    def asked(self, commits: Mapping[str, str]) -> bool | None:
        failed = self.ask(commits)
        self.runs += failed is not None
        return failed

    def fails_without(self, component: str, commit: str) -> bool | None:
        """Whether head fails without one patch; None: that cannot be known."""

        def ask() -> bool | None:
            failed = self.without(component, commit)
            self.runs += failed is not None
            return failed

        return self._fails(ask)


@dataclass(slots=True)
class _Patches:
    """The search inside one component. A place is the number of patches that are applied."""

    search: Search
    one: Changed
    others: Mapping[str, str]
    found: PatchSearch = field(init=False)
    ran: dict[int, Counts] = field(default_factory=dict)
    lost: dict[int, int] = field(default_factory=dict)
    contents: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.found = PatchSearch(len(self.one.commits), self.search.head, self.search.base, self.one.weights)
        self._same(len(self.one.commits))

    def blamed(self) -> BlamedPatch:
        """The patch, confirmed with and without it; or those that are left."""
        while self._narrowed() and (missing := self._unconfirmed()):
            self._run(missing[0])
        left = self.found.suspicion()
        commits = tuple(self.one.commits[place - 1] for place in left.patches)
        made = BlamedPatch(component=self.one.component, commits=commits, probability=round(left.probability, 4))
        if len(left.patches) > 1:
            return made
        place = left.patches[0]
        before = self.ran.get(place - 1, Counts()) if place > 1 or self.others else self.search.base
        without = self.search.fails_without(self.one.component, commits[0]) if self.found.patches > 1 else None
        return made.model_copy(update={"at": self.ran.get(place, Counts()), "before": before, "without": without})

    def _narrowed(self) -> bool:
        """Run until one patch is probable enough; False: the budget ended, or head's machines are lost."""
        while not self.found.over and self._may_go_on():
            if not self._run(self.found.next()):
                return False
        return self._may_go_on()

    def _may_go_on(self) -> bool:
        return self.found.runs < _MOST_RUNS and self.search.go_on()

    def _unconfirmed(self) -> list[int]:
        """Places right after and right before the likeliest patch where nothing ran yet."""
        chances = self.found.probabilities()
        place = chances.index(max(chances)) + 1
        places = [place, place - 1] if self.found.patches > 1 else []
        return [one for one in places if one and one not in self.ran and self.lost.get(one, 0) < _LOST]

    def _run(self, place: int) -> bool:
        """Run the test there; False when it is head, and can no longer be tested."""
        if self._same(place):
            return True
        failed = self.search.asked(self._stack(place))
        if failed is not None:
            self.found.record(place, failed)
            self.ran[place] = self.ran.get(place, Counts()).plus(failed)
            return True
        self.lost[place] = self.lost.get(place, 0) + 1
        if place == self.found.patches:
            return False
        if self.lost[place] == _LOST:
            self.search.untestable.append(f"{self.one.component} up to patch {place}")
            self.found.record(place, None)
        return True

    def _same(self, place: int) -> bool:
        """Clear the patches between two places where the same was built; True when that changed what is known."""
        if place in self.contents:
            return False
        content = self.contents[place] = self.search.content(self._stack(place))
        twins = [other for other, built in self.contents.items() if other != place and built == content and content]
        cleared = [patch for other in twins for patch in range(min(other, place) + 1, max(other, place) + 1)]
        for patch in cleared:
            self.found.clear(patch)
        return bool(cleared)

    def _stack(self, place: int) -> dict[str, str]:
        return {**self.others, self.one.component: self.one.commits[place - 1]}
