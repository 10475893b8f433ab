# SPDX-License-Identifier: GPL-2.0-or-later
"""Run again, on head and on base, what did not pass on head, until the counts decide.

Results of head and two sets of artifacts in, a Comparison out. Base goes first, in one machine per leg: most failures
that are older than the series show there, and cost head nothing. Must not know: mails, verdicts, reports.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from reviewbot.model.comparison import Class, Compared, Comparison, Rerun, Side, cause
from reviewbot.model.errors import InfraError, SeriesAtFault
from reviewbot.model.progress import Event
from reviewbot.model.results import LegResult, Outcome, TestResult
from reviewbot.model.stack import LegSpec
from reviewbot.pipeline.failure import LOST_ROUNDS, Failure
from reviewbot.pipeline.outcomes import SETUP, entries_of, inputs_in, outcome_of, recalled
from reviewbot.runner import Context, SuiteName, Tests, confirm, run_legs
from reviewbot.store.history import History
from reviewbot.suites import quarantine as quarantines
from reviewbot.suites import smoke
from reviewbot.suites.suite import SUITES
from reviewbot.verdict.sequential import DEFAULT, Design, error_bound

COMPANY = 120.0
"""Seconds of a leg's fstests up to which they are all run again for one that fails only after others."""


def compare(
    legs: Sequence[LegSpec],
    results: Sequence[LegResult],
    head: Context,
    base: Callable[[], Context],
    *,
    history: History,
    design: Design = DEFAULT,
    quarantine: Sequence[quarantines.Entry] = (),
) -> Comparison:
    """What each test that did not pass on head does on base, and again on head.

    base: builds the unpatched stack; called only when something has to be compared. Raises Stopping, OSError.
    """
    cases = _cases(legs, results, head.tests.selection)
    specs = {leg.name: leg for leg in legs}
    chance = (*_failed_before(specs, results, head, history), *_failed_elsewhere(specs, results, cases))
    for case in cases:
        case.look_back(history, head, quarantine)
    if all(case.kind for case in cases):
        return Comparison(error_bound=error_bound(design), tests=(*(case.compared() for case in cases), *chance))
    try:
        before = base()
    except (InfraError, SeriesAtFault) as error:  # what the posting stands on may break base, too
        return _without_base(cases, str(error), design)
    comparer = _Comparer(cases, {Side.HEAD: head, Side.BASE: before}, history, design)
    comparer.run()
    told = (
        case.compared() for case in cases if not case.known or case.kind not in (Class.PRE_EXISTING, Class.UNCOMPARED)
    )
    return Comparison(error_bound=error_bound(design), tests=(*told, *chance))


def to_compare(results: Sequence[LegResult]) -> bool:
    """Whether any test has to be run again."""
    return any(_worth(leg, test) for leg in results if leg.available for test in leg.tests)


def uncompared(legs: Sequence[LegSpec], results: Sequence[LegResult], why: str) -> Comparison:
    """Of a run whose base cannot be had: every test that failed, and why nothing more is known of it."""
    return _without_base(_cases(legs, results, ""), why, DEFAULT)


def _cases(legs: Sequence[LegSpec], results: Sequence[LegResult], selection: str) -> list[Failure]:
    specs = {leg.name: leg for leg in legs}
    found = []
    for leg in (leg for leg in results if leg.available):
        seconds = sum(test.seconds for test in leg.tests if test.suite == "fstests")
        broke: tuple[str, ...] = ()
        for test in leg.tests:
            in_smoke = test.suite == "smoke"
            if _worth(leg, test):
                after = selection if test.suite == "fstests" and seconds <= COMPANY else ""
                company = _company(test.test) if in_smoke else after
                found.append(Failure(specs[leg.leg], test, broke if in_smoke else (), company))
            if in_smoke and test.outcome in (Outcome.HANG, Outcome.CRASH):
                broke = (*broke, test.test)
    return found


def _company(check: str) -> str:
    """Empty for a check of smoke that runs after all others anyway."""
    return check if smoke.alone([check]) != smoke.up_to([check]) else ""


def _failed_before(
    specs: Mapping[str, LegSpec], results: Sequence[LegResult], head: Context, history: History
) -> tuple[Compared, ...]:
    """Tests whose PASS was taken from an earlier run, and that failed in another run of the same inputs."""
    found = []
    for leg in (leg for leg in results if leg.available and leg.reused):
        passed = [test for test in leg.tests if test.outcome is Outcome.PASS and test.test != SETUP]
        for test, inputs in zip(passed, inputs_in(specs[leg.leg], passed, head), strict=True):
            case = Failure(specs[leg.leg], test)
            for number, entry in enumerate(history.of_inputs(inputs), 1):
                case.reruns.append(recalled(Side.HEAD, number, entry))
            if case.counts(Side.HEAD).failed:
                case.kind = Class.FLAKY
                found.append(case.compared())
    return tuple(found)


def _failed_elsewhere(
    specs: Mapping[str, LegSpec], results: Sequence[LegResult], cases: Sequence[Failure]
) -> tuple[Compared, ...]:
    """Tests that passed on one host and failed on a second one. What the second one said of a case is a rerun of it."""
    known = {(case.leg.name, case.first.suite, case.first.test): case for case in cases}
    found = []
    for leg, twice in ((result, twice) for result in results for twice in result.twice):
        rerun = Rerun(side=Side.HEAD, number=0, outcome=twice.outcome, reason=twice.reason)
        if case := known.get((leg.leg, twice.suite, twice.test)):
            case.reruns.append(rerun)
            continue
        first = next((t for t in leg.tests if (t.suite, t.test) == (twice.suite, twice.test)), None)
        if first and first.outcome is Outcome.PASS and twice.outcome.broken:
            case = Failure(specs[leg.leg], first)
            case.reruns.append(rerun)
            case.kind = Class.FLAKY
            found.append(case.compared())
    return tuple(found)


def _worth(leg: LegResult, test: TestResult) -> bool:
    """A reason that earlier runs gave, or an exclude, is no news. Smoke runs on base anyway: it knows what is known."""
    if test.suite == "bench":
        return test.outcome.broken  # what cannot be measured says why, and is the same on base
    excluded = any(test.test in entry.tests for entry in leg.excluded)
    known = test.outcome is Outcome.KNOWN and test.suite == "smoke"
    return test.outcome.broken or known or (test.outcome is Outcome.NOTRUN and not test.learned and not excluded)


def _without_base(cases: Sequence[Failure], why: str, design: Design) -> Comparison:
    tests = tuple(case.compared() for case in cases if case.first.outcome.broken)
    return Comparison(base_problem=why, error_bound=error_bound(design), tests=tests)


@dataclass(slots=True)
class _Comparer:
    cases: list[Failure]
    sides: Mapping[Side, Context]
    history: History
    design: Design
    rounds: dict[Side, int] = field(default_factory=lambda: dict.fromkeys(Side, 0))

    def run(self) -> None:
        for case in self.cases:
            self._same_artifacts(case)
            self._remember(case)
        self._follow()
        while open_cases := [case for case in self.cases if case.kind is None]:
            for side in (Side.BASE, Side.HEAD):
                wanted = [case for case in open_cases if case.wants(side) and not (side is Side.HEAD and case.absent)]
                if wanted:
                    self._round(side, wanted)
            for case in open_cases:
                case.judge(self.design)

    def _follow(self) -> None:
        """Of failures of one cause in a leg the first is run for all."""
        leaders: dict[tuple[str, str, str], Failure] = {}
        for case in self.cases:
            words = cause(case.first.fingerprint, case.first.reason)
            if case.kind is None and case.first.outcome.broken and words:
                leader = leaders.setdefault((case.leg.name, case.suite, words), case)
                case.leader = leader if leader is not case else None

    def _same_artifacts(self, case: Failure) -> None:
        """A leg in which nothing of the series is: its head is its base."""
        if case.kind is None and same_artifacts(case.leg, self.sides[Side.HEAD], self.sides[Side.BASE]):
            case.kind = Class.PRE_EXISTING

    def _remember(self, case: Failure) -> None:
        """Runs of the same test on the same base, by whatever posting."""
        if case.kind is not None or case.first.test == SETUP:
            return
        (inputs,) = inputs_in(case.leg, [case.first], self.sides[Side.BASE])
        for entry in self.history.of_inputs(inputs)[-self.design.rounds :]:
            number = 1 + sum(rerun.side is Side.BASE for rerun in case.reruns)
            case.reruns.append(recalled(Side.BASE, number, entry))
        self.rounds[Side.BASE] = max(self.rounds[Side.BASE], len(case.reruns))
        case.judge(self.design)

    def _round(self, side: Side, cases: Sequence[Failure]) -> None:
        """Each leg's tests once, in machines that were started for it."""
        self.rounds[side] += 1
        number = self.rounds[side]
        context = self.sides[side]
        for place, (leg, suite, alone, group) in enumerate(_groups(cases)):
            wanted = " ".join(case.first.test for case in group)
            what = f"{leg.name} {suite} on {side}"
            context.progress(Event("lab", what, "start", f"run {number}: {wanted}", total=len(group)))
            # The first run of smoke on base is nobody's rerun: every posting on this base shares it.
            first = side is Side.BASE and suite == "smoke" and not any(case.reruns for case in group)
            tests = Tests(
                wanted if alone else group[0].company,
                fresh=context.tests.fresh and side is Side.HEAD,
                checks=() if first else _checks(group, alone=alone),
                rerun="" if first else f"{side} {number}",
            )
            folder = f"{side}.{number}" + (f".{place}" if place else "")
            once = context.again(folder, tests, group[0].first.machine)
            (result,) = run_legs([leg], (suite,), once)
            if side is Side.BASE:
                confirm(leg, result, once, context.notruns)
            self._take(side, number, group, result, once)
            context.progress(Event("lab", what, "done", _said(group, side)))

    def _take(self, side: Side, number: int, group: Sequence[Failure], result: LegResult, context: Context) -> None:
        found = {test.test: test for test in result.tests}
        if SETUP not in found and outcome_of(result, SETUP) is Outcome.PASS:
            found[SETUP] = TestResult(suite=group[0].suite, test=SETUP, outcome=Outcome.PASS)
        tests = []
        for case in group:
            test = found.get(case.first.test)
            if test is None or test.outcome in (Outcome.INFRA, Outcome.MISS):
                case.lost += 1 if result.available else LOST_ROUNDS  # a leg that base cannot have
                continue
            log = f"reruns/{context.run.path.name}/{test.log}" if test.log else ""
            case.reruns.append(
                Rerun(
                    side=side,
                    number=number,
                    outcome=test.outcome,
                    alone=case.alone,
                    reason=test.reason,
                    fingerprint=test.fingerprint,
                    log=log,
                )
            )
            tests.append(test)
        if tests:
            self.history.add(entries_of(group[0].leg, tests, side, number, context))


def same_artifacts(leg: LegSpec, head: Context, base: Context) -> bool:
    """Whether nothing of the series is in the leg."""
    pairs = [(head.build.artifacts.artifacts.get(need), base.build.artifacts.artifacts.get(need)) for need in leg.needs]
    return all(one and other and one.key == other.key for one, other in pairs)


def _checks(group: Sequence[Failure], *, alone: bool) -> tuple[str, ...]:
    """The checks of smoke or bench that show these; for a crash in the setup, which every run has, the first two."""
    names, suite = [case.first.test for case in group], SUITES[group[0].suite]
    broke = {check for case in group for check in case.before}
    return tuple(check for check in suite.alone(names) if check not in broke) if alone else suite.up_to(names)


def _groups(cases: Sequence[Failure]) -> Iterator[tuple[LegSpec, SuiteName, bool, list[Failure]]]:
    """By leg, suite, and whether they run alone, in order of appearance.

    What may be the consequence of a check that hung or crashed runs in another machine than that check. Where several
    kinds of hosts ran head, both sides of a test run on the same kind.
    """
    groups: dict[tuple[str, SuiteName, bool, bool, str], list[Failure]] = {}
    for case in cases:
        key = case.leg.name, case.suite, case.alone, case.alone and bool(case.before), case.first.machine
        groups.setdefault(key, []).append(case)
    for (_, suite, alone, _, _), group in groups.items():
        yield group[0].leg, suite, alone, group


def _said(group: Sequence[Failure], side: Side) -> str:
    failed = sum(
        bool(case.reruns) and case.reruns[-1].side is side and case.reruns[-1].outcome.broken for case in group
    )
    return f"{failed} of {len(group)} failed"
