# SPDX-License-Identifier: GPL-2.0-or-later
"""What a server's death, or its words, make of a test: in both suites, for every way in which a step can end."""

from typing import Any

import pytest

from reviewbot.config import load_stack
from reviewbot.model.deaths import Death, ServerError, ServerReport, evidence
from reviewbot.model.lab import StepReply
from reviewbot.model.results import LegResult, Outcome, Results, TestResult
from reviewbot.suites import fstests, smoke
from reviewbot.suites.outcome import by_status
from reviewbot.suites.setup import setup_result
from reviewbot.verdict import judge

LEG = load_stack().leg("fuse2fs")
DEATH = Death(
    server="fuse2fs",
    device="/dev/vdd",
    pid=7,
    status=139,
    signal="SIGSEGV",
    mounted=True,
    backtrace="#0  op_read ()",
    fingerprint="op_read:fuse_lib_read",
    log="the end",
)
SAID = "fuse2fs (pid 7) was killed by SIGSEGV: op_read:fuse_lib_read"
REPORT = ServerReport(kind="ubsan", title="fuse2fs.c: shift", text="fuse2fs.c:1:1: runtime error: shift")
ALIVE = Death(server="fuse2fs", report=REPORT)
OOPS = {"status": "crash", "splat": "BUG: kernel NULL pointer dereference", "crash": "oops", "fingerprint": "fuse_x"}
LINK = "https://example.org/"


def error(kind: Any, line: str) -> ServerError:
    return ServerError(kind=kind, line=line, reason="long enough to tell", link=LINK)


def reply(name: str = "smoke/fio", **fields: Any) -> StepReply:
    words: dict[str, Any] = {"name": name, "status": "done", "exit_status": 0, "seconds": 1.0, "death": DEATH}
    return StepReply.model_validate(words | fields)


@pytest.mark.parametrize(
    ("fields", "outcome", "reason"),
    [
        ({}, Outcome.CRASH, SAID),
        ({"exit_status": 1, "output": "cat: input/output error"}, Outcome.CRASH, SAID),
        ({"exit_status": 77, "output": "no such thing"}, Outcome.CRASH, SAID),
        ({"death": ALIVE}, Outcome.CRASH, "fuse2fs reported an error itself (ubsan: fuse2fs.c: shift)"),
        ({"splat": "Out of memory", "crash": "oom"}, Outcome.CRASH, f"oom: Out of memory; {SAID}"),
        (OOPS, Outcome.CRASH, f"oops: fuse_x (BUG: kernel NULL pointer dereference); {SAID}"),
        ({"status": "timeout", "seconds": 9.0, "limit": 9.0}, Outcome.CRASH, f"{SAID}; did not finish within 9 s"),
        ({"status": "lost"}, Outcome.INFRA, "the machine was lost without a message"),
        ({"death": None, "exit_status": 70, "output": "server died: x"}, Outcome.CRASH, "server died: x"),
    ],
)
def test_a_death_is_a_crash_whatever_the_test_said(fields: dict[str, Any], outcome: Outcome, reason: str) -> None:
    judged = by_status(reply(**fields))
    assert (judged.outcome, judged.reason) == (outcome, reason)
    assert fstests.judge("generic/001", reply("fstests/generic/001", **fields)) == judged


def test_both_suites_keep_the_death_and_its_fingerprint() -> None:
    for result in (
        *fstests.results(LEG, [reply("fstests/generic/001")]),
        *[r for r in smoke.results(LEG, [reply("smoke/fio")]) if r.test == "fio"],
        *setup_result("smoke", [reply("setup/leg")], "logs/fuse2fs"),
    ):
        assert (result.outcome, result.death, result.fingerprint) == (Outcome.CRASH, DEATH, DEATH.fingerprint)
        assert result.crash == ""
    (both,) = fstests.results(LEG, [reply("fstests/generic/001", **OOPS)])
    assert both.fingerprint == "fuse_x", "the kernel's comes first"


@pytest.mark.parametrize("suite", ["smoke", "fstests"])
def test_errors_in_the_log_change_no_outcome(suite: str) -> None:
    errors = (error("corruption", "directory corrupted"), error("internal", "Corrupt in-memory data at op_read:1!"))
    fields: dict[str, Any] = {"death": None, "server_errors": errors}
    passing = "Ran: generic/001\nPassed all 1 tests\n"
    failing = "generic/001 [failed, exit status 3]\nFailures: generic/001\nit broke\n"
    name = {"smoke": "smoke/fio", "fstests": "fstests/generic/001"}[suite]
    found = {}
    for status, output in ((0, passing), (3, failing)):
        answer = [reply(name, exit_status=status, output=output, **fields)]
        results = smoke.results(LEG, answer) if suite == "smoke" else fstests.results(LEG, answer)
        (found[status],) = (result for result in results if result.test in ("fio", "generic/001"))
    assert (found[0].outcome, found[0].reason, found[0].server_errors) == (Outcome.PASS, "", errors)
    assert found[3].outcome is Outcome.FAIL
    assert found[3].reason.endswith("; server: Corrupt in-memory data at op_read:1!"), "corruption is listed only"


def test_a_verdict_shows_what_tells_most_of_a_death() -> None:
    assert [evidence(death) for death in (DEATH, ALIVE, DEATH.model_copy(update={"backtrace": ""}))] == [
        "#0  op_read ()",
        REPORT.text,
        "the end",
    ]
    test = TestResult(suite="smoke", test="fio", outcome=Outcome.CRASH, reason=SAID, death=DEATH, excerpt="cat: error")
    leg = LegResult(leg="fuse2fs", available=True, tests=(test,))
    (finding,) = judge("r", Results(run="r", tool="t", legs=(leg,))).findings
    assert finding.detail == "#0  op_read ()" and finding.said == SAID
