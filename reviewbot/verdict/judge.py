# SPDX-License-Identifier: GPL-2.0-or-later
"""What the results mean.

At this stage head is compared with nothing. A test that fails on head is then listed as such, and the verdict is
REGRESSION only in the sense that something must be looked at: its summary says that the failure may be older than
the series.
"""

from collections.abc import Sequence

from reviewbot.model.artifacts import Artifacts
from reviewbot.model.deaths import evidence
from reviewbot.model.errors import ReviewbotError
from reviewbot.model.posting import Posting
from reviewbot.model.results import LegResult, Outcome, Results, TestResult
from reviewbot.model.trees import Trees
from reviewbot.model.verdict import Finding, Verdict, VerdictKind
from reviewbot.model.words import counted
from reviewbot.verdict.untried import not_tried

BROKEN = (Outcome.FAIL, Outcome.CRASH, Outcome.HANG)
"""Outcomes that are the tested code's doing."""
UNKNOWN = (Outcome.INFRA, Outcome.MISS)
"""Outcomes that say nothing about it."""
UNCOMPARED = "failed on head, not yet compared with base"


def judge(
    run: str, results: Results, *, trees: Trees | None = None, artifacts: Artifacts | None = None,
    posting: Posting | None = None,
) -> Verdict:  # fmt: skip
    """The verdict of a run whose tests ran.

    Anything broken: REGRESSION (uncompared). Else anything unknown, or no test that passed at all: INFRA. Else PASS.
    """
    tests = [(leg, test) for leg in results.legs for test in leg.tests]
    broken = [(leg, test) for leg, test in tests if test.outcome in BROKEN]
    unknown = [(leg, test) for leg, test in tests if test.outcome in UNKNOWN]
    passed = sum(test.outcome is Outcome.PASS for _, test in tests)
    notes = _notes(results, trees)
    if broken:
        kind = VerdictKind.REGRESSION
        summary = f"{counted(len(broken), 'test')} {UNCOMPARED}: {_by_leg(broken)}; {passed} passed"
    elif unknown or not passed:
        kind = VerdictKind.INFRA
        what = f"{counted(len(unknown), 'test')} got no result: {_by_leg(unknown)}" if unknown else "no test passed"
        summary = f"{what}; this says nothing about the series"
    else:
        kind = VerdictKind.PASS
        legs = [leg for leg in results.legs if leg.available]
        what = "the one test" if passed == 1 else f"all {passed} tests"
        summary = f"{what} that could run passed in {counted(len(legs), 'leg')} ({', '.join(_names(legs))})"
    findings = tuple(_finding(leg, test) for leg, test in (*broken, *unknown))
    return Verdict(run=run, kind=kind, summary=summary, compared_with=None, findings=findings, notes=notes)


def judge_error(run: str, error: ReviewbotError) -> Verdict:
    """The verdict of a run that did not reach its tests."""
    details = getattr(error, "details", ())
    path = str(getattr(error, "log", "") or "")
    log = _inside_run(run, path)
    finding = Finding(
        what=str(error), where=str(getattr(error, "message_id", "") or getattr(error, "component", "")),
        detail="\n".join(details)[:4096], log=log,
    )  # fmt: skip
    # The author of the series gets the notes by mail, and has no use for the name of our user's home.
    hint = error.hint.replace(path, log) if log else error.hint
    notes = (hint,) if hint else ()
    return Verdict(
        run=run, kind=error.verdict or VerdictKind.INFRA, summary=str(error), findings=(finding,), notes=notes
    )


def _inside_run(run: str, log: str) -> str:
    """`…/runs/<id>/logs/x` -> `logs/x`; empty for a file elsewhere."""
    _, marker, rest = log.rpartition(f"/{run}/logs/")
    return f"logs/{rest}" if marker else ""


def _finding(leg: LegResult, test: TestResult) -> Finding:
    reason = f": {test.reason}" if test.reason else ""
    splat = (test.trace or test.dmesg) if test.crash else ""  # messages begin with the splat
    detail = test.hang or splat or (evidence(test.death) if test.death else "") or test.diff or test.excerpt
    return Finding(
        what=f"{leg.leg} {test.suite}/{test.test} {test.outcome}{reason}", where=f"{leg.leg}/{test.suite}/{test.test}",
        detail="\n".join(detail.splitlines()[:20])[:4096], log=test.log,
    )  # fmt: skip


def _notes(results: Results, trees: Trees | None) -> tuple[str, ...]:
    notes = ["compared with nothing: whether a failure is new is not yet known"]
    notes += [f"variant {results.variant}: not what the plain stack would show"] if results.variant else []
    for leg in results.legs:
        if not leg.available:
            notes.append(f"leg {leg.leg} is unavailable: {leg.reason}")
        elif leg.reason:
            notes.append(f"leg {leg.leg}: {leg.reason}")
        notes += [f"leg {leg.leg}: {note}" for note in leg.notes]
    notes += not_tried(results)
    reused = [leg.leg for leg in results.legs if leg.available and leg.reused and leg.tests]
    if reused:
        notes.append(f"same inputs as an earlier run, results taken from it: {', '.join(reused)}")
    if any(leg.accelerator == "tcg" for leg in results.legs):
        why = results.accelerator_why or "the CPU was emulated"
        notes.append(f"tcg: {why}; times mean little, races show differently")
    return (*notes, *tree_notes(trees))


def tree_notes(trees: Trees | None) -> tuple[str, ...]:
    """Sources that could not be had, what base had already, and what was tried for bases that took some trying."""
    notes = []
    for component, reason in (trees.unavailable if trees else {}).items():
        notes.append(f"component {component} is unavailable: {reason}")
    for tree in trees.trees if trees else ():
        if tree.patches and not tree.justified:
            notes.append(f"{tree.component}: nothing justifies this base: {tree.base_why}")
        merged = [patch for patch in tree.patches if patch.merged]
        if merged:
            notes.append(f"{tree.component}: base has {counted(len(merged), 'patch')} already: “{merged[0].subject}”"
                         f"{f' and {len(merged) - 1} more' if len(merged) > 1 else ''}")  # fmt: skip
        if len(tree.attempts) > 1 or not all(a.result == "chosen" for a in tree.attempts):
            notes += [f"{tree.component}: {attempt.what}: {attempt.result}" for attempt in tree.attempts]
    return tuple(notes)


def _by_leg(tests: Sequence[tuple[LegResult, TestResult]]) -> str:
    counts: dict[str, int] = {}
    for leg, _ in tests:
        counts[leg.leg] = counts.get(leg.leg, 0) + 1
    return ", ".join(f"{number} in {leg}" for leg, number in counts.items())


def _names(legs: Sequence[LegResult]) -> list[str]:
    return [leg.leg for leg in legs]
