# SPDX-License-Identifier: GPL-2.0-or-later
"""junit.xml as its readers count it."""

from xml.etree import ElementTree

import pytest

from reviewbot.model.comparison import FigureChange
from reviewbot.model.results import Outcome
from reviewbot.model.verdict import Finding, FindingKind, VerdictKind
from reviewbot.report import junit_xml
from tests.report.records import CRASHED, DIFF, DMESG, case, compared, failing, judged, leg, passing, results, unapplied

ELEMENTS = {
    Outcome.PASS: None, Outcome.FAIL: "failure", Outcome.CRASH: "error", Outcome.HANG: "error", Outcome.MISS: "error",
    Outcome.INFRA: "error", Outcome.NOTRUN: "skipped", Outcome.KNOWN: "skipped",
}  # fmt: skip


def suites_of(xml: bytes) -> dict[str | None, ElementTree.Element]:
    return {suite.get("name"): suite for suite in ElementTree.fromstring(xml)}


def numbers(element: ElementTree.Element) -> tuple[str | None, ...]:
    return tuple(element.get(name) for name in ("tests", "failures", "errors", "skipped"))


@pytest.mark.parametrize("outcome", Outcome)
def test_each_outcome_is_one_element(outcome: Outcome) -> None:
    record = judged(results(leg("ext4", case("smoke", "rename", outcome, reason="because"))))
    (found,) = ElementTree.fromstring(junit_xml(record)).findall(".//testcase")
    expected = ELEMENTS[outcome]
    words = "KNOWN: because" if outcome is Outcome.KNOWN else "because"
    assert [(child.tag, child.get("message")) for child in found] == ([(expected, words)] if expected else [])
    assert (found.get("name"), found.get("classname"), found.get("time")) == ("rename", "ext4.smoke", "1.25")


def test_every_outcome_has_its_element() -> None:
    assert set(ELEMENTS) == set(Outcome)


def test_failures_and_errors_name_their_outcome_and_bring_evidence() -> None:
    root = ElementTree.fromstring(junit_xml(failing()))
    crash = root.find(".//testcase[@name='fio']/error")
    differs = root.find(".//testsuite[@name='fuse2fs.fstests']/testcase[@name='generic/023']/failure")
    assert crash is not None and differs is not None
    said = f"oops: {CRASHED} (BUG: kernel NULL pointer dereference)"
    assert (crash.get("type"), crash.get("message"), crash.text) == ("CRASH", said, DMESG)
    assert (differs.get("type"), differs.text) == ("FAIL", DIFF)
    assert root.findtext(".//testcase[@name='fio']/system-out") == "fio: starting 4 jobs\n"


def test_a_suite_per_leg_and_suite_with_its_own_counts() -> None:
    found = suites_of(junit_xml(failing()))
    assert {name: numbers(suite) for name, suite in found.items()} == {
        "ext4.smoke": ("1", "0", "0", "0"),
        "ext4.fstests": ("2", "0", "0", "1"),
        "fuse2fs.smoke": ("4", "1", "2", "1"),
        "fuse2fs.fstests": ("3", "1", "2", "0"),
        "fuse4fs-iomap": ("1", "0", "0", "1"),
    }
    assert numbers(ElementTree.fromstring(junit_xml(failing()))) == ("11", "2", "4", "3")


def test_leg_and_accelerator_are_properties() -> None:
    suite = suites_of(junit_xml(failing()))["fuse2fs.smoke"]
    properties = {item.get("name"): item.get("value") for item in suite.iter("property")}
    assert properties == {"leg": "fuse2fs", "accelerator": "tcg"}


def test_an_unavailable_leg_is_skipped_with_its_reason() -> None:
    skipped = suites_of(junit_xml(passing()))["fuse4fs-iomap"].find("testcase/skipped")
    assert skipped is not None
    assert skipped.get("message") == ("unavailable: kernel.fuse_iomap is missing: the kernel was built without it")


def test_a_run_that_reached_no_test_is_red_and_says_why() -> None:
    (suite,) = ElementTree.fromstring(junit_xml(unapplied()))
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("reviewbot", "1", "1")
    (failure,) = suite.iter("failure")
    assert failure.get("type") == "DOES-NOT-APPLY" and "does not apply" in str(failure.get("message"))
    assert "error: patch failed: lib/fuse.c:2871" in (failure.text or "")


def test_what_base_has_too_is_no_failure_and_what_is_new_is_one() -> None:
    root = ElementTree.fromstring(junit_xml(compared()))
    found = {
        case.get("name"): [(child.tag, child.get("message") or "") for child in case] for case in root.iter("testcase")
    }
    assert found["rename"][0][0] == "failure"
    assert found["fio"][0] == (
        "skipped", f"fails on base, too (2/2 on base): CRASH oops: {CRASHED} (BUG: kernel NULL pointer dereference)"
    )  # fmt: skip
    flaky = [message for name in ("generic/001", "generic/023") for tag, message in found[name] if tag == "skipped"]
    assert any("passes and fails with the same patches" in message for message in flaky)
    assert root.findtext(".//testcase[@name='fio']/system-err") == DMESG


def test_a_regression_that_no_test_shows_is_a_failure_all_the_same() -> None:
    record = passing()
    assert record.verdict
    change = FigureChange(leg="fuse2fs", suite="smoke", figure="memory", unit="KiB", base=(6200.0,), head=(34800.0,))
    finding = Finding(kind=FindingKind.FIGURE, leg="fuse2fs", suite="smoke", change=change)
    worse = record.verdict.model_copy(update={"kind": VerdictKind.REGRESSION, "findings": (finding,)})
    root = ElementTree.fromstring(junit_xml(record.model_copy(update={"verdict": worse})))
    assert [case.get("name") for case in root.iter("testcase") if case.find("failure") is not None] == ["verdict"]
