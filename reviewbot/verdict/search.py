# SPDX-License-Identifier: GPL-2.0-or-later
"""Which patch of a part brought a failure: a search that survives tests that fail only sometimes. Pure.

Bayesian bisection: each run of the test after some patch moves the weights of all patches, and the next run is made
where it is expected to say the most. The failure rates before and after the guilty patch are not known; what is
believed of them starts from the verdict's own counts on base and head. The search is that of git_bayesect.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reviewbot.model.comparison import Counts

if TYPE_CHECKING:
    from git_bayesect import Bisector

CONFIDENT = 0.965
"""Posterior probability of one patch at which the search ends."""
CONFIDENT_STEADY = 0.94
"""The same for a failure of every run on head and none on base: its runs do not mislead."""
CREDIBLE = 0.9
"""Probability that the guilty patch is in the set that is named when the budget ends."""
_UNKNOWN = 0.5
"""Jeffreys' prior: added to failures and to passes."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What a search came to."""

    patches: tuple[int, ...]
    """Numbers (1-based) of the smallest set of patches that holds the guilty one with probability `probability`."""
    probability: float
    runs: int
    """Test runs that the search took."""


@dataclass(slots=True)
class PatchSearch:
    """A search over the patches of one part.

    patches: how many. head, base: the verdict's counts. weights: per patch, how likely it is before any run, on any
    scale; 0.0 for a patch that cannot be guilty, as one whose artifacts equal those of the patch before it.
    """

    patches: int
    head: Counts
    base: Counts
    weights: Sequence[float] = ()
    runs: int = 0
    _search: "Bisector" = field(init=False)
    _untestable: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        weights = list(self.weights or [1.0] * self.patches)
        if len(weights) != self.patches or not any(weights):
            raise ValueError("one weight per patch, and not all of them zero")
        from git_bayesect import Bisector  # numpy takes a tenth of a second, and most runs search for nothing

        # The library counts from the newest commit: index i is the state after patch `patches - i`.
        self._search = Bisector(
            weights[::-1],
            alpha_new=_UNKNOWN + self.head.failed,
            beta_new=_UNKNOWN + self.head.runs - self.head.failed,
            alpha_old=_UNKNOWN + self.base.failed,
            beta_old=_UNKNOWN + self.base.runs - self.base.failed,
        )

    def probabilities(self) -> tuple[float, ...]:
        """Per patch, that it brought the failure."""
        import numpy

        with numpy.errstate(divide="ignore", invalid="ignore"):  # the logarithm of a weight of zero is what is wanted
            return tuple(float(value) for value in self._search.distribution[::-1])

    @property
    def over(self) -> bool:
        """One patch is probable enough."""
        steady = self.head.failed == self.head.runs and not self.base.failed
        return max(self.probabilities()) >= (CONFIDENT_STEADY if steady else CONFIDENT)

    def next(self) -> int:
        """The patch (1-based) after which the test should run now; with all before it, and none after it."""
        import numpy

        with numpy.errstate(divide="ignore", invalid="ignore"):
            patch = self.patches - int(self._search.select())
        below = next((one for one in range(patch, 0, -1) if one not in self._untestable), 0)
        return below or next(one for one in range(patch, self.patches + 1) if one not in self._untestable)

    def record(self, patch: int, failed: bool | None) -> None:
        """The test ran with the patches up to this one.

        None: that state cannot be tested. Its patch and the one after it are then one suspect. Raises ValueError for
        the last patch, which is head.
        """
        if failed is None:
            if patch == self.patches:
                raise ValueError("head was tested before the search began")
            self._untestable.add(patch)
        else:
            self.runs += 1
        self._search.record(self.patches - patch, failed)

    def clear(self, patch: int) -> None:
        """It cannot be guilty: what was built with it is the same as without it. The last suspect stays one."""
        suspects = [one for one, chance in enumerate(self.probabilities(), 1) if chance > 0 and one != patch]
        if suspects:
            self._search.record(self.patches - patch, None)

    def suspicion(self) -> Suspicion:
        """The most likely patches, as many as `CREDIBLE` needs; one when the search is over."""
        found = self.probabilities()
        order = sorted(range(self.patches), key=lambda place: -found[place])
        named, total = [], 0.0
        for place in order:
            named += [place + 1, *self._joined_to(place + 1)]
            total += found[place]
            if total >= CREDIBLE:
                break
        return Suspicion(tuple(sorted(named)), total, self.runs)

    def _joined_to(self, patch: int) -> list[int]:
        """Patches before it after which nothing could be tested: they are as suspect as it is."""
        joined = []
        while patch - 1 in self._untestable:
            patch -= 1
            joined.append(patch)
        return joined
