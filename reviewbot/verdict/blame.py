# SPDX-License-Identifier: GPL-2.0-or-later
"""Which repository, and which of its patches, brought a new failure. Pure: whoever calls runs the tests.

First the smallest set of changed components that fails with all others at base; then, in each of them, the patch.
"""

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
    runs: int = 0
    untestable: list[str] = field(default_factory=list)

    def run(self) -> Blame:
        """The guilty components, and in each its patch or the patches that are left."""
        guilty = self._components()
        patches = tuple(self._patch(one, guilty) for one in guilty)
        return Blame(
            components=tuple(one.component for one in guilty), patches=patches, runs=self.runs,
            untestable=tuple(self.untestable),
        )  # fmt: skip

    def _components(self) -> tuple[Changed, ...]:
        """The smallest set that fails; all of them when the budget ends before any is found."""
        if len(self.changed) == 1:
            return tuple(self.changed)
        for size in range(1, len(self.changed)):
            for some in combinations(self.changed, size):
                fails = self._fails({one.component: one.commits[-1] for one in some})
                if fails is None:
                    self.untestable.append("+".join(one.component for one in some))
                elif fails:
                    return some
        return tuple(self.changed)

    def _fails(self, commits: Mapping[str, str]) -> bool | None:
        """Whether such a stack has the failure; None: it cannot be tested, or the budget is spent."""
        counts, lost = Counts(), 0
        rate = (self.head.failed + 0.5) / (self.head.runs + 1)
        while self.go_on():
            if (failed := self._asked(commits)) is None:
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
        number = len(one.commits)
        if number == 1:
            return BlamedPatch(component=one.component, commits=one.commits, probability=1.0)
        search = PatchSearch(number, self.head, self.base, one.weights)
        lost: dict[int, int] = {}
        while not search.over and search.runs < _MOST_RUNS and self.go_on():
            place = search.next()
            failed = self._asked({**others, one.component: one.commits[place - 1]})
            lost[place] = lost.get(place, 0) + (failed is None)
            if failed is not None:
                search.record(place, failed)
            elif place == number:  # head was tested before; now its machines are lost
                break
            elif lost[place] >= _LOST:
                self.untestable.append(f"{one.component} up to patch {place}")
                search.record(place, None)
        found = search.suspicion()
        return BlamedPatch(
            component=one.component, commits=tuple(one.commits[place - 1] for place in found.patches),
            probability=round(found.probability, 4),
        )  # fmt: skip

    def _asked(self, commits: Mapping[str, str]) -> bool | None:
        failed = self.ask(commits)
        self.runs += failed is not None
        return failed
