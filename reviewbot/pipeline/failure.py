# SPDX-License-Identifier: GPL-2.0-or-later
"""One test that did not pass on head: which side it has to run on again, and what the counts make of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from reviewbot.model.comparison import Class, Compared, Counts, Earlier, Quarantine, Rerun, Side
from reviewbot.model.results import Outcome, TestResult
from reviewbot.model.stack import LegSpec
from reviewbot.pipeline.outcomes import SETUP, flakes, others_of, rerun_in, strip
from reviewbot.runner import Context, SuiteName
from reviewbot.store.history import History
from reviewbot.suites import quarantine as quarantines
from reviewbot.verdict.sequential import Design, decide

LOST_ROUNDS = 3
"""Rounds in which a test got no outcome, before it is given up."""


@dataclass(slots=True)
class Failure:
    """One test that did not pass on head, and what is known of it by now."""

    leg: LegSpec
    first: TestResult
    before: tuple[str, ...] = ()
    """The checks of the same machine that hung or crashed before it."""
    company: str = ""
    """What runs with it when it does not show alone: the selection of head's run; empty: that would take too long."""
    leader: "Failure | None" = None
    """Another test of the leg with the same cause, which is run for both until it is decided."""
    reruns: list[Rerun] = field(default_factory=list)
    alone: bool = True
    """False: it passed alone each time, so it is run after the tests that ran before it."""
    kind: Class | None = None
    lost: int = 0
    flakes: Counts = field(default_factory=Counts)
    earlier: tuple[Earlier, ...] = ()
    quarantine: Quarantine | None = None

    @property
    def suite(self) -> SuiteName:
        return rerun_in(self.first.suite, self.first.test).name

    @property
    def known(self) -> bool:
        """It failed as the unpatched server is known to, which base has to confirm."""
        return self.first.outcome is Outcome.KNOWN

    @property
    def absent(self) -> bool:
        """It could not run on head."""
        return self.first.outcome is Outcome.NOTRUN

    def counts(self, side: Side) -> Counts:
        """A test that cannot run, or that fails as it is known to, does not have the failure."""
        ran = [self._has_it(rerun.outcome) for rerun in self.reruns if rerun.side is side and rerun.alone is self.alone]
        return Counts(failed=sum(ran), runs=len(ran))

    def _has_it(self, outcome: Outcome) -> bool:
        """A test that crashes or hangs on head and only fails on base is worse on head."""
        worse = (Outcome.CRASH, Outcome.HANG)
        if self.known:
            return outcome.broken or outcome is Outcome.KNOWN
        return outcome.broken and (outcome in worse or self.first.outcome not in worse)

    def wants(self, side: Side) -> bool:
        """Base is asked first: twice, or until it passes. Then head, one run behind it."""
        if self.kind is not None:
            return False
        head, base = self.counts(Side.HEAD), self.counts(Side.BASE)
        if self.leader:
            return side is Side.BASE and not base.runs
        old = base.failed == base.runs
        return old or base.runs <= head.runs if side is Side.BASE else not old and head.runs < base.runs

    def judge(self, design: Design) -> None:
        """Set `kind` when the counts are enough."""
        head, base = self.counts(Side.HEAD), self.counts(Side.BASE)
        if self._follows(base):
            return
        if self.absent:
            last = next((r.outcome for r in reversed(self.reruns) if r.side is Side.BASE), None)
            if last is not None:
                self.kind = Class.NEWLY_NOTRUN if last is Outcome.PASS else Class.PRE_EXISTING
        elif self.before and self.alone and head.runs and not head.failed:
            self.kind = Class.CONSEQUENCE
        elif self.known and base.failed:
            self.kind = Class.PRE_EXISTING
        else:
            self.kind = decide(head, base, design, self.flakes)
            if self.kind is Class.FLAKY and self.alone and self.company and not head.failed and not base.failed:
                self.alone, self.kind = False, None
        if self.kind is None and self.lost >= LOST_ROUNDS:
            self.kind = Class.UNCOMPARED

    def _follows(self, base: Counts) -> bool:
        """Whether the leader speaks for it: as long as that one is not decided, and when it is new."""
        if self.leader is None:
            return False
        if base.failed or self.leader.kind not in (None, Class.NEW) or self.lost >= LOST_ROUNDS:
            self.leader = None
            return False
        self.kind = self.leader.kind if base.runs else None
        return True

    def look_back(self, history: History, head: Context, quarantine: Sequence[quarantines.Entry]) -> None:
        """What other runs say of the test, and whether its failure decides anything."""
        if not self.first.outcome.broken or self.first.test == SETUP:
            return
        others = others_of(self.leg, self.first, head, history)
        self.flakes, self.earlier = flakes(others), strip(others)
        name = f"{self.first.suite}/{self.first.test}"
        self.quarantine = quarantines.quarantined(quarantine, self.leg.name, name, self.first.reason)
        if self.quarantine and not self.quarantine.expired:
            self.kind = Class.QUARANTINED

    def compared(self) -> Compared:
        return Compared(
            leg=self.leg.name,
            suite=self.first.suite,
            test=self.first.test,
            outcome=self.first.outcome,
            reason=self.first.reason,
            fingerprint=self.first.fingerprint,
            machine=self.first.machine,
            kind=self.kind or Class.UNCOMPARED,
            head=self.counts(Side.HEAD),
            base=self.counts(Side.BASE),
            reruns=tuple(self.reruns),
            flakes=self.flakes,
            earlier=self.earlier,
            quarantine=self.quarantine,
            after=self.before[0] if self.kind is Class.CONSEQUENCE else "",
        )
