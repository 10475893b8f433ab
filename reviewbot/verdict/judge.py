# SPDX-License-Identifier: GPL-2.0-or-later
"""What the results mean, compared with those of base."""

from collections.abc import Callable, Iterator, Sequence

from reviewbot.model.comparison import Blame, Class, Comparison, FigureChange
from reviewbot.model.deaths import evidence
from reviewbot.model.deep import Deep
from reviewbot.model.errors import ReviewbotError
from reviewbot.model.results import LegResult, Outcome, Results, TestResult
from reviewbot.model.review import PatchRef
from reviewbot.model.verdict import Finding, FindingKind, Verdict, VerdictKind
from reviewbot.verdict.bench import FIGURE as SLOWER
from reviewbot.verdict.causes import grouped

NameOf = Callable[[str], PatchRef | None]
"""From a commit to the patch of the posting that it is."""


def judge(
    run: str, results: Results, comparison: Comparison | None = None, name_of: NameOf = lambda commit: None
) -> Verdict:
    """The verdict of a run whose tests ran.

    Anything new on head: REGRESSION. Else anything broken that could not be compared: FAILURES. Else anything unknown,
    or no test that passed at all: INFRA. Else PASS. Failures that base has, too, and flaky ones decide nothing.
    """
    tests = {(leg.leg, test.suite, test.test): (leg, test) for leg in results.legs for test in leg.tests}
    compared = {(one.leg, one.suite, one.test): one for one in comparison.tests} if comparison else {}
    closed = {key for key, one in compared.items() if one.kind is not Class.UNCOMPARED}
    open_ = [key for key, (_, test) in tests.items() if test.outcome.broken and key not in closed]
    unknown = [key for key, (_, test) in tests.items() if test.outcome.unknown]
    new = _new(comparison, tests, name_of) if comparison else ()
    if new:
        kind = VerdictKind.REGRESSION
    elif open_:
        kind = VerdictKind.FAILURES
    elif unknown or not any(test.outcome is Outcome.PASS for _, test in tests.values()):
        kind = VerdictKind.INFRA
    else:
        kind = VerdictKind.PASS
    stopped = {one.leg for one in new if one.suite == "smoke" and one.outcome in (Outcome.HANG, Outcome.CRASH)}
    unknown = [key for key in unknown if not (key[0] in stopped and key[1] == "smoke")]  # the fault ended its machine
    rest = (*(_finding(*tests[key]) for key in open_), *_lost([tests[key] for key in unknown]))
    return Verdict(
        run=run,
        kind=kind,
        findings=(*new, *rest),
        compared_with="base" if comparison and not comparison.base_problem else None,
    )


def _lost(tests: Sequence[tuple[LegResult, TestResult]]) -> Iterator[Finding]:
    """Tests without a result: one finding per leg, suite and reason."""
    causes: dict[tuple[str, str, str], list[tuple[LegResult, TestResult]]] = {}
    for leg, test in tests:
        causes.setdefault((leg.leg, test.suite, test.reason or test.test), []).append((leg, test))
    for (name, _, _), (first, *others) in causes.items():
        also = tuple(f"{name} {test.suite}/{test.test}" for _, test in others)
        yield _finding(*first).model_copy(update={"also": also})


_ORDER = (VerdictKind.REGRESSION, VerdictKind.FAILURES, VerdictKind.INFRA, VerdictKind.PASS)
"""Verdicts on tests, the worst first."""


def with_deep(verdict: Verdict, deep: Deep, name_of: NameOf) -> Verdict:
    """With what a variant of the stack shows; one that could not be tested changes nothing, and is named."""
    what = f"variant {deep.variant}"
    if deep.results is None:
        return verdict.model_copy(update={"lacks": {**verdict.lacks, what: deep.problem}})
    found = judge(verdict.run, deep.results, deep.comparison, name_of)
    if found.kind is VerdictKind.INFRA:
        why = next((one.said for one in found.findings if one.said), "no test passed")
        return verdict.model_copy(update={"lacks": {**verdict.lacks, what: why}})
    findings = tuple(
        one.model_copy(update={"variant": deep.variant, "log": f"{deep.folder}/{one.log}" if one.log else ""})
        for one in found.findings
    )
    kind = min(verdict.kind, found.kind, key=_ORDER.index)
    return verdict.model_copy(update={"kind": kind, "findings": (*verdict.findings, *findings)})


def _new(
    comparison: Comparison, tests: dict[tuple[str, str, str], tuple[LegResult, TestResult]], name_of: NameOf
) -> tuple[Finding, ...]:
    """What is worse on head: one finding per cause."""
    found = []
    for group in grouped((*comparison.of(Class.NEW), *comparison.of(Class.NEWLY_NOTRUN))):
        first = group[0]
        leg, test = tests[first.leg, first.suite, first.test]
        also = tuple(f"{one.leg} {one.suite}/{one.test}" for one in group[1:])
        suspects = _suspects(first.blame, name_of)
        found.append(_finding(leg, test).model_copy(update={"compared": first, "also": also, "suspects": suspects}))
    for change in (one for one in comparison.figures if one.counts and not one.feature):
        suspects = _suspects(change.blame, name_of)
        found.append(
            Finding(
                kind=FindingKind.SLOWER if change.figure.startswith(f"{SLOWER} ") else FindingKind.FIGURE,
                leg=change.leg,
                suite=change.suite,
                change=change,
                suspects=suspects,
            )
        )
    found += _lost_features(comparison, name_of)
    found += [
        Finding(
            kind=FindingKind.MESSAGE,
            leg=message.leg,
            suite=message.suite,
            test=message.test,
            said=message.text,
            message=message,
            suspects=_suspects(message.blame, name_of),
            log=message.log,
        )
        for message in comparison.messages
        if message.alarm
    ]
    found += [
        Finding(
            kind=FindingKind.COMPAT,
            leg=cell.leg,
            suite="smoke",
            test=cell.only_here[0],
            said=cell.reason,
            cell=cell,
            suspects=_suspects(cell.blame, name_of),
            log=cell.log,
        )
        for cell in comparison.broken_cells
    ]
    return tuple(found)


def _lost_features(comparison: Comparison, name_of: NameOf) -> list[Finding]:
    """One per guilty patch: mke2fs makes the filesystems of all legs, and one feature may need another."""
    groups: dict[tuple[str, ...], list[FigureChange]] = {}
    for change in (one for one in comparison.figures if one.counts and one.feature):
        guilty = [commit for one in (change.blame.patches if change.blame else ()) for commit in one.commits]
        groups.setdefault(tuple(guilty), []).append(change)
    return [
        Finding(
            kind=FindingKind.FEATURE,
            leg=first.leg,
            suite=first.suite,
            test=first.test,
            change=first,
            also=tuple(f"{one.leg} {one.feature}" for one in others),
            suspects=_suspects(first.blame, name_of),
        )
        for first, *others in groups.values()
    ]


def _suspects(blame: Blame | None, name_of: NameOf) -> tuple[PatchRef, ...]:
    named = (name_of(commit) for one in (blame.patches if blame else ()) for commit in one.commits)
    return tuple(patch for patch in named if patch)


def judge_error(run: str, error: ReviewbotError) -> Verdict:
    """The verdict of a run that did not reach its tests. Paths are relative to the run's folder."""
    path = str(error.log or "")
    findings = tuple(
        found.model_copy(update={"log": _inside_run(run, found.log), "detail": found.detail[:4096]})
        for found in error.findings()
    )
    # The author of the series may read the hint, and has no use for the name of our user's home.
    hint = error.hint.replace(path, inside) if (inside := _inside_run(run, path)) else error.hint
    return Verdict(run=run, kind=error.verdict or VerdictKind.INFRA, findings=findings, hint=hint)


def _inside_run(run: str, log: str) -> str:
    """`…/runs/<id>/logs/x` -> `logs/x`; empty for a file elsewhere."""
    _, marker, rest = log.rpartition(f"/{run}/logs/")
    return f"logs/{rest}" if marker else ""


def _finding(leg: LegResult, test: TestResult) -> Finding:
    splat = (test.trace or test.dmesg) if test.crash else ""  # messages begin with the splat
    detail = test.hang or splat or (evidence(test.death) if test.death else "") or test.diff or test.excerpt
    return Finding(
        kind=FindingKind.TEST,
        leg=leg.leg,
        suite=test.suite,
        test=test.test,
        outcome=test.outcome,
        fingerprint=test.fingerprint,
        said=test.reason,
        detail="\n".join(detail.splitlines()[:20])[:4096],
        log=test.log,
    )
