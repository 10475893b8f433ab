# SPDX-License-Identifier: GPL-2.0-or-later
"""What the results mean.

At this stage head is compared with nothing. A test that fails on head is listed as such, and the verdict is FAILURES:
something must be looked at, and it may be older than the series.
"""

from reviewbot.model.deaths import evidence
from reviewbot.model.errors import ReviewbotError
from reviewbot.model.results import LegResult, Outcome, Results, TestResult
from reviewbot.model.verdict import Finding, FindingKind, Verdict, VerdictKind


def judge(run: str, results: Results) -> Verdict:
    """The verdict of a run whose tests ran.

    Anything broken: FAILURES (uncompared). Else anything unknown, or no test that passed at all: INFRA. Else PASS.
    """
    tests = [(leg, test) for leg in results.legs for test in leg.tests]
    broken = [(leg, test) for leg, test in tests if test.outcome.broken]
    unknown = [(leg, test) for leg, test in tests if test.outcome.unknown]
    if broken:
        kind = VerdictKind.FAILURES
    elif unknown or not any(test.outcome is Outcome.PASS for _, test in tests):
        kind = VerdictKind.INFRA
    else:
        kind = VerdictKind.PASS
    return Verdict(run=run, kind=kind, findings=tuple(_finding(leg, test) for leg, test in (*broken, *unknown)))


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
        kind=FindingKind.TEST, leg=leg.leg, suite=test.suite, test=test.test, outcome=test.outcome,
        fingerprint=test.fingerprint, said=test.reason, detail="\n".join(detail.splitlines()[:20])[:4096],
        log=test.log,
    )  # fmt: skip
