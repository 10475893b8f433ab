# SPDX-License-Identifier: GPL-2.0-or-later
"""junit.xml, as Jenkins, GitLab and GitHub's test reporters read it."""

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from reviewbot.model.results import LegResult, Outcome, TestResult
from reviewbot.model.verdict import ExitStatus, Verdict
from reviewbot.report.record import Record
from reviewbot.report.text import one_line, plain


def junit_xml(record: Record) -> bytes:
    """One suite per leg and suite. FAIL is a failure; CRASH, HANG, MISS and INFRA are errors; NOTRUN is skipped.

    A run that reached no test has one case, its verdict: readers take a file without cases for success.
    """
    xml = JUnitXml("reviewbot")
    if record.results is None and record.verdict is not None:
        xml.add_testsuite(_verdict(record.verdict))
    for leg in record.results.legs if record.results else ():
        for name in dict.fromkeys(test.suite for test in leg.tests):
            suite = TestSuite(f"{leg.leg}.{name}")
            suite.add_property("leg", leg.leg)
            suite.add_property("accelerator", leg.accelerator)
            for test in leg.tests:
                if test.suite == name:
                    suite.add_testcase(_case(leg, test))
            xml.add_testsuite(suite)
        if not leg.available:
            suite = TestSuite(f"{leg.leg}")
            case = TestCase("leg", f"{leg.leg}")
            case.result = [Skipped(one_line(f"unavailable: {leg.reason}", 400))]
            suite.add_testcase(case)
            xml.add_testsuite(suite)
    xml.update_statistics()
    text: bytes = xml.tostring()
    return text + b"\n"


def _verdict(verdict: Verdict) -> TestSuite:
    kind = Failure if verdict.kind.exit_status is ExitStatus.SERIES else Error
    result = kind(one_line(verdict.summary, 400), str(verdict.kind))
    result.text = plain("\n".join(finding.detail for finding in verdict.findings))
    case = TestCase("verdict", "reviewbot")
    case.result = [result]
    suite = TestSuite("reviewbot")
    suite.add_testcase(case)
    return suite


def _case(leg: LegResult, test: TestResult) -> TestCase:
    case = TestCase(one_line(test.test), f"{leg.leg}.{test.suite}", round(test.seconds, 3))
    reason = one_line(test.reason, 400)
    match test.outcome:
        case Outcome.PASS:
            pass
        case Outcome.NOTRUN:
            case.result = [Skipped(reason)]
        case Outcome.FAIL:
            failure = Failure(reason, str(test.outcome))
            failure.text = plain(test.diff)
            case.result = [failure]
        case _:
            error = Error(reason, str(test.outcome))
            error.text = plain(test.dmesg)
            case.result = [error]
    if test.excerpt:
        case.system_out = plain(test.excerpt)
    return case
