# SPDX-License-Identifier: GPL-2.0-or-later
"""junit.xml, as Jenkins, GitLab and GitHub's test reporters read it."""

from collections.abc import Sequence

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from reviewbot.model.comparison import Class, Compared
from reviewbot.model.deaths import evidence
from reviewbot.model.results import LegResult, Outcome, TestResult
from reviewbot.model.review import Review, Severity
from reviewbot.model.untried import excluded, left_out
from reviewbot.model.verdict import ExitStatus, SaidVerdict
from reviewbot.model.words import one_line, plain
from reviewbot.report.rates import aside
from reviewbot.report.record import Record
from reviewbot.report.remarks import Remark, remarks
from reviewbot.report.words import said


def junit_xml(record: Record) -> bytes:
    """One suite per leg and suite. FAIL is a failure; CRASH, HANG, MISS and INFRA are errors; NOTRUN and KNOWN are
    skipped, and so is a failure that decides nothing since base has it, too, or it is flaky. A test that runs on base
    only is a failure.

    A suite `review` has one case per patch, which fails when the patch does not build or has an error, and one for the
    series. A run that reached no test and did not pass, or that accuses the series of what no test shows, has one case
    more, its verdict: readers take a file without failures for success.
    """
    xml = JUnitXml("reviewbot")
    status = record.verdict.kind.exit_status if record.verdict else ExitStatus.PASS
    if status is not ExitStatus.PASS and record.results is None:
        xml.add_testsuite(_verdict(said(record)))
    compared = {(one.leg, one.suite, one.test): one for one in record.comparison.tests} if record.comparison else {}
    if record.review is not None:
        xml.add_testsuite(_review(record.review))
    for leg in record.results.legs if record.results else ():
        for name in dict.fromkeys(test.suite for test in leg.tests):
            suite = TestSuite(f"{leg.leg}.{name}")
            suite.add_property("leg", leg.leg)
            suite.add_property("accelerator", leg.accelerator)
            if record.variant:
                suite.add_property("variant", record.variant)
            tests = [test for test in leg.tests if test.suite == name]
            suite.add_testcases([_case(leg, test, compared.get((leg.leg, name, test.test))) for test in tests])
            if name == "fstests":
                _add_untried(suite, leg)
            xml.add_testsuite(suite)
        if not leg.available:
            suite = TestSuite(f"{leg.leg}")
            case = TestCase("leg", f"{leg.leg}")
            case.result = [Skipped(one_line(f"unavailable: {leg.reason}", 400))]
            suite.add_testcase(case)
            xml.add_testsuite(suite)
    xml.update_statistics()
    if status is ExitStatus.SERIES and not xml.failures and not xml.errors:
        xml.add_testsuite(_verdict(said(record)))
        xml.update_statistics()
    text: bytes = xml.tostring()
    return text + b"\n"


def _verdict(verdict: SaidVerdict) -> TestSuite:
    kind = Failure if verdict.kind.exit_status is ExitStatus.SERIES else Error
    result = kind(one_line(verdict.summary, 400), str(verdict.kind))
    result.text = plain("\n".join(finding.detail for finding in verdict.findings))
    case = TestCase("verdict", "reviewbot")
    case.result = [result]
    suite = TestSuite("reviewbot")
    suite.add_testcase(case)
    return suite


def _review(review: Review) -> TestSuite:
    suite = TestSuite("review")
    for patch in review.patches:
        case = TestCase(
            one_line(patch.title), f"review.{patch.component}", round(patch.build.seconds, 3) if patch.build else 0
        )
        detail = patch.build.detail if patch.build and patch.broken else ""
        suite.add_testcase(_remarked(case, remarks(patch), detail))
    of_series = [Remark(finding.severity, finding.words()) for finding in review.findings]
    suite.add_testcase(_remarked(TestCase("series", "review"), of_series, ""))
    return suite


def _remarked(case: TestCase, found: Sequence[Remark], detail: str) -> TestCase:
    errors = [remark.words for remark in found if remark.severity is Severity.ERROR]
    if errors:
        failure = Failure(one_line(errors[0], 400), "REVIEW")
        failure.text = plain("\n".join((*errors, detail) if detail else errors))
        case.result = [failure]
    others = [f"{remark.severity}: {remark.words}" for remark in found if remark.severity is not Severity.ERROR]
    if others:
        case.system_out = plain("\n".join(others))
    return case


def _add_untried(suite: TestSuite, leg: LegResult) -> None:
    """What was selected and not planned: a skipped case per entry that excludes a group, and one for the budget."""
    groups = [(f"group {one.pattern}", excluded(one)) for one in leg.excluded if one.by == "group"]
    left = [("budget", left_out(leg.left_out))] if leg.left_out else []
    for name, words in (*groups, *left):
        case = TestCase(one_line(name), f"{leg.leg}.{suite.name.rpartition('.')[2]}.left-out")
        case.result = [Skipped(one_line(words, 400))]
        suite.add_testcase(case)


def _case(leg: LegResult, test: TestResult, compared: Compared | None) -> TestCase:
    case = TestCase(one_line(test.test), f"{leg.leg}.{test.suite}", round(test.seconds, 3))
    reason = one_line(test.reason, 400)
    decides_nothing = one_line(aside(compared), 200) if compared else ""
    match test.outcome:
        case Outcome.PASS:
            pass
        case outcome if decides_nothing:
            case.result = [Skipped(f"{decides_nothing}: {outcome} {reason}")]
            case.system_err = plain(test.diff or test.trace or test.dmesg)
        case Outcome.NOTRUN if compared and compared.kind is Class.NEWLY_NOTRUN:
            case.result = [Failure(f"it runs and passes on base: {reason}", str(test.outcome))]
        case Outcome.NOTRUN:
            case.result = [Skipped(f"NOTRUN(learned): {reason}" if test.learned else reason)]
        case Outcome.KNOWN:
            why = f": {one_line(test.known.reason, 200)}" if test.known else ""
            case.result = [Skipped(f"KNOWN: {reason}{why}")]
        case Outcome.FAIL:
            failure = Failure(reason, str(test.outcome))
            failure.text = plain(test.diff)
            case.result = [failure]
        case _:
            error = Error(reason, str(test.outcome))
            kernel = test.trace or test.dmesg
            error.text = plain(evidence(test.death) if test.death and not test.crash else kernel)
            case.result = [error]
    if test.excerpt:
        case.system_out = plain(test.excerpt)
    return case
