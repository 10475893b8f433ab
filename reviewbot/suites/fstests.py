# SPDX-License-Identifier: GPL-2.0-or-later
"""The fstests suite: one step per test, run by fstests' own `check`, and what its output means."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from reviewbot.config import SOAK
from reviewbot.model import protocol
from reviewbot.model.lab import GuestStep, StepReply
from reviewbot.model.results import Outcome, TestResult
from reviewbot.model.stack import LegSpec
from reviewbot.store import TestSeconds
from reviewbot.suites.complaints import DMESG, checked, complaints, diff_of, failure, not_started
from reviewbot.suites.conditions import FactOf
from reviewbot.suites.excludes import load_excludes
from reviewbot.suites.limits import limit
from reviewbot.suites.outcome import (
    Judgement,
    beyond_the_test,
    excused,
    internal,
    last_line,
    passed,
)
from reviewbot.suites.selection import Selection, choose, parse, read_groups
from reviewbot.suites.setup import leg_env
from reviewbot.suites.shortcomings import known, load_shortcomings

PREPARE = "setup/fstests"
_DIFF = 4096
_STILL = 90.0
"""Seconds in which nothing moves that a test may take while it waits for the filesystem: some sleep, none so long."""
_CHECK_DMESG = re.compile(
    r"kernel BUG at|WARNING:|\bBUG:|Oops:|possible recursive locking detected|(?:INFO|ERR): suspicious RCU usage"
    r"|INFO: possible circular locking|general protection fault:|BUG .* remaining|oom-kill|UBSAN:"
)
"""What fstests' `_check_dmesg` fails a test for."""
_STAMP = re.compile(r"^\[ *[\d.]+\](?:\[ *[TC]\d+\])? ")


def select(fstests_dir: Path, selection: str, leg: LegSpec, fact: FactOf = lambda name: None) -> Selection:
    """The tests that a selection means, from the group lists of a built tree. fact: of what is under test.

    Raises UsageError for an unknown test or group, ConfigError for a bad excludes file.
    """
    return choose(parse(selection), read_groups(fstests_dir), leg, load_excludes(), fact)


def steps(
    leg: LegSpec, selection: Selection, known: Mapping[str, TestSeconds] | None = None, soak: int = SOAK
) -> tuple[GuestStep, ...]:
    """A step that prepares the tree, then one per test; that of an excluded test is not run.

    known: step name -> how long it took, for its limit. soak: seconds that soak tests run.
    """
    env = dict(leg_env(leg))
    prepare = GuestStep(
        name=PREPARE,
        argv=("/stack/suites/fstests/prepare",),
        env=env | {"SOAK_DURATION": str(soak)},
        timeout=60,
        gate=True,
    )
    limits = {
        test: limit((known or {}).get(f"fstests/{test}"), selection.groups.get(test, ()), soak)
        for test in selection.tests
    }
    return (prepare, *(_step(test, env, limits[test], selection.why_not.get(test, "")) for test in selection.tests))


def _step(test: str, env: Mapping[str, str], seconds: float, why_not: str) -> GuestStep:
    if why_not:
        argv = ("/bin/sh", "-c", f'echo "$1"; exit {protocol.NOTRUN}', "excluded", why_not)
        return GuestStep(name=f"fstests/{test}", argv=argv, timeout=10, known=why_not)
    return GuestStep(
        name=f"fstests/{test}",
        argv=("/stack/suites/fstests/run", test),
        env=dict(env),
        timeout=seconds,
        still=_STILL,
        collect=(f"/results/{test}",),
        measure=bool(env["LEG_SERVER"]),
    )


def results(leg: LegSpec, replies: Sequence[StepReply], fact: FactOf = lambda name: None) -> tuple[TestResult, ...]:
    """One result per reply of a test, in the order of the replies.

    fact: what is known of the artifacts, for shortcomings of some versions only. Raises ConfigError.
    """
    found = []
    entries = load_shortcomings()
    for reply in replies:
        suite, _, test = reply.name.partition("/")
        if suite != "fstests":
            continue
        judged = judge(test, reply)
        excuse = None
        if judged.outcome is Outcome.FAIL and not internal(reply):
            fsck = [line for one in checked(reply) if one.status for line in one.said.splitlines()]
            said = complaints(reply) or [judged.reason]
            excuse = known(leg.name, f"fstests/{test}", said, entries, fact, fsck)
        own = {
            "diff": diff_of(reply.output)[:_DIFF],
            "loud": (),
            "fsck": checked(reply),
            "learned": reply.status == "known" and not _is_excluded(reply),
        }
        found.append(excused("fstests", test, judged, reply, excuse).model_copy(update=own))
    return tuple(found)


def judge(test: str, reply: StepReply) -> Judgement:
    """Outcome of one `check TEST`, from its exit status and its words."""
    if judgement := beyond_the_test(reply):
        return judgement
    output = reply.output
    if reply.exit_status == protocol.DEATH:
        return Judgement(Outcome.CRASH, last_line(output))
    if reply.status == "known" or _is_excluded(reply):
        return Judgement(Outcome.NOTRUN, output.partition("\n")[0][:300])
    if reply.exit_status is None or reply.exit_status < 0:
        return Judgement(Outcome.INFRA, f"check was killed by signal {-(reply.exit_status or 0)}")
    if f"{test} - unknown test" in output or re.search(r" - no such test\?$", output, re.MULTILINE):
        return Judgement(Outcome.MISS, "this fstests has no such test")
    if re.search(rf"^Failures:.* {re.escape(test)}\b", output, re.MULTILINE):
        if complaints(reply) == [DMESG] and _all_allowed(reply):
            return Judgement(Outcome.PASS, reply.splat_note)
        return Judgement(Outcome.FAIL, failure(test, reply))
    if re.search(rf"^Not run:.* {re.escape(test)}\b", output, re.MULTILINE):
        return Judgement(Outcome.NOTRUN, _not_run(output))
    if "[expunged]" in output:
        return Judgement(Outcome.NOTRUN, "expunged")
    if reply.exit_status == 0 and re.search(r"^Passed all [1-9]", output, re.MULTILINE):
        return passed(reply)
    return _check_gave_up(output)


def _is_excluded(reply: StepReply) -> bool:
    return reply.exit_status == protocol.NOTRUN and reply.output.startswith("excluded: ")


def _check_gave_up(output: str) -> Judgement:
    """`check` ended before the test: the filesystem cannot be made or mounted (FAIL), or it was set up wrongly."""
    if telling := not_started(output):
        return Judgement(Outcome.FAIL, f"check could not start: {telling}")
    return Judgement(Outcome.INFRA, f"check could not start: {last_line(output)[:250] or 'no output'}")


def _not_run(output: str) -> str:
    found = re.search(r"\[not run\]\s*(.*)", output)
    return (found[1].strip() if found else "")[:300] or "no reason given"


def _all_allowed(reply: StepReply) -> bool:
    """Whether all that `check` looks for in dmesg is in splats that are allowed."""
    allowed = set(reply.allowed.splitlines())
    lines = [_STAMP.sub("", line) for line in reply.dmesg.splitlines() if _CHECK_DMESG.search(line)]
    return bool(lines) and allowed.issuperset(lines)
