# SPDX-License-Identifier: GPL-2.0-or-later
"""The fstests suite: one step per test, run by fstests' own `check`, and what its output means."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from reviewbot.config import SOAK
from reviewbot.model.lab import GuestStep, StepReply
from reviewbot.model.results import Fsck, Outcome, TestResult
from reviewbot.model.stack import LegSpec
from reviewbot.store import TestSeconds
from reviewbot.suites.conditions import FactOf
from reviewbot.suites.excludes import load_excludes
from reviewbot.suites.limits import limit
from reviewbot.suites.outcome import (
    SERVER_DIED,
    Judgement,
    beyond_the_test,
    fingerprint,
    internal,
    kernel,
    kernel_excerpt,
    last_line,
    passed,
    tail,
    with_hint,
)
from reviewbot.suites.selection import Selection, choose, parse, read_groups
from reviewbot.suites.setup import leg_env

PREPARE = "setup/fstests"
_DIFF = 4096
_DMESG = "something found in dmesg"
_CHECK_DMESG = re.compile(
    r"kernel BUG at|WARNING:|\bBUG:|Oops:|possible recursive locking detected|(?:INFO|ERR): suspicious RCU usage"
    r"|INFO: possible circular locking|general protection fault:|BUG .* remaining|oom-kill|UBSAN:"
)
"""What fstests' `_check_dmesg` fails a test for."""
_FSCK = re.compile(
    r"^e2fsck -n of (TEST_DEV|SCRATCH_DEV) after the test: status (\d{1,3})(?:, last clean after (\S{0,80}))?\n"
    r"((?:    .*\n)*)",
    re.MULTILINE,
)
"""As our guest programs print it after what `check` said."""
_FSCK_SAID = 2048
_STAMP = re.compile(r"^\[ *[\d.]+\](?:\[ *[TC]\d+\])? ")
_NOT_OURS = re.compile(r"mkfs|mount|inconsistent|TEST_DEV|SCRATCH_DEV", re.IGNORECASE)


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
        name=PREPARE, argv=("/stack/suites/fstests/prepare",), env=env | {"SOAK_DURATION": str(soak)}, timeout=60,
        gate=True,
    )  # fmt: skip
    limits = {
        test: limit((known or {}).get(f"fstests/{test}"), selection.groups.get(test, ()), soak)
        for test in selection.tests
    }
    return (prepare, *(_step(test, env, limits[test], selection.why_not.get(test, "")) for test in selection.tests))


def _step(test: str, env: Mapping[str, str], seconds: float, why_not: str) -> GuestStep:
    if why_not:
        argv = ("/bin/sh", "-c", 'echo "$1"; exit 77', "excluded", why_not)
        return GuestStep(name=f"fstests/{test}", argv=argv, timeout=10, known=why_not)
    return GuestStep(
        name=f"fstests/{test}", argv=("/stack/suites/fstests/run", test), env=dict(env), timeout=seconds,
        collect=(f"/results/{test}",), measure=bool(env["LEG_SERVER"]),
    )  # fmt: skip


def results(leg: LegSpec, replies: Sequence[StepReply]) -> tuple[TestResult, ...]:
    """One result per reply of a test, in the order of the replies."""
    found = []
    for reply in replies:
        suite, _, test = reply.name.partition("/")
        if suite != "fstests":
            continue
        judged = judge(test, reply)
        found.append(
            TestResult(
                suite="fstests", test=test, outcome=judged.outcome, reason=with_hint(judged, reply),
                seconds=reply.seconds, excerpt=tail(reply.output), dmesg=kernel_excerpt(reply),
                diff=diff_of(reply.output)[:_DIFF],
                crash=reply.crash, fingerprint=fingerprint(reply), hang=reply.hang, fsck=checked(reply),
                server=reply.server, death=reply.death, server_errors=reply.server_errors,
                learned=reply.status == "known" and not _is_excluded(reply),
            )
        )  # fmt: skip
    return tuple(found)


def judge(test: str, reply: StepReply) -> Judgement:
    """Outcome of one `check TEST`, from its exit status and its words."""
    if judgement := beyond_the_test(reply):
        return judgement
    output = reply.output
    if reply.exit_status == SERVER_DIED:
        return Judgement(Outcome.CRASH, last_line(output))
    if reply.status == "known" or _is_excluded(reply):
        return Judgement(Outcome.NOTRUN, output.partition("\n")[0][:300])
    if reply.exit_status is None or reply.exit_status < 0:
        return Judgement(Outcome.INFRA, f"check was killed by signal {-(reply.exit_status or 0)}")
    if f"{test} - unknown test" in output or re.search(r" - no such test\?$", output, re.MULTILINE):
        return Judgement(Outcome.MISS, "this fstests has no such test")
    if re.search(rf"^Failures:.* {re.escape(test)}\b", output, re.MULTILINE):
        if _complaints(reply) == [_DMESG] and _all_allowed(reply):
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
    return reply.exit_status == 77 and reply.output.startswith("excluded: ")


def _check_gave_up(output: str) -> Judgement:
    """`check` ended before the test: the filesystem cannot be made or mounted (FAIL), or it was set up wrongly."""
    words = [line.strip() for line in output.splitlines() if line.strip()]
    telling = next((line for line in words if _NOT_OURS.search(line) and " -- " not in line), "")
    if telling:
        return Judgement(Outcome.FAIL, f"check could not start: {telling[:250]}")
    return Judgement(Outcome.INFRA, f"check could not start: {words[-1][:250] if words else 'it said nothing'}")


def _not_run(output: str) -> str:
    found = re.search(r"\[not run\]\s*(.*)", output)
    return (found[1].strip() if found else "")[:300] or "no reason given"


def failure(test: str, reply: StepReply) -> str:
    """Why `check` counts a test as failed, in one line: the weightiest of what it said."""
    said = kernel(reply)
    found = [f"kernel: {said}" if said and one == _DMESG else one for one in _complaints(reply)]
    if said and _DMESG not in _complaints(reply):
        found.append(f"kernel: {said}")
    return ("; ".join(found)[:300] or "check gives no reason") + internal(reply)


def _complaints(reply: StepReply) -> list[str]:
    test, output = reply.name.removeprefix("fstests/"), reply.output
    begin = re.search(rf"^{re.escape(test)}\b", output, re.MULTILINE)
    output = output[begin.start() :] if begin else output  # before it, `check` looks at what other tests left
    found = []
    if match := re.search(r"filesystem on (\S+) (is inconsistent|has dirty log)", output):
        said = [_inconsistent(fsck) for fsck in checked(reply) if fsck.status]
        found += said or [f"{match[0]} after the test"]
    if "_check_dmesg: something found in dmesg" in output:
        found.append(_DMESG)
    if "[dumped core]" in output:
        found.append("dumped core")
    if match := re.search(r"\[failed, exit status (\d+)\]", output):
        found.append(f"exit status {match[1]}")
    if "output mismatch" in output:
        found.append(_mismatch(diff_of(output)))
    if "no qualified output" in output:
        found.append("no golden output")
    return found


def checked(reply: StepReply) -> tuple[Fsck, ...]:
    """The devices that were checked after the test, the last word on each; at most two."""
    found = {}
    for device, status, clean_after, said in _FSCK.findall(reply.output + "\n"):
        lines = [line.strip() for line in said.splitlines()]
        words = "\n".join(line for line in lines if line)[:_FSCK_SAID]
        found[device] = Fsck(device=device, status=int(status), said=words, clean_after=clean_after)
    return tuple(found.values())


def _inconsistent(fsck: Fsck) -> str:
    """`e2fsck finds TEST_DEV inconsistent: Inode 12 ref count is 3, should be 2` in one line."""
    words = next((line for line in fsck.said.splitlines() if "is mounted" not in line), f"status {fsck.status}")
    since = f" (last clean after {fsck.clean_after})" if fsck.clean_after else ""
    return f"e2fsck finds {fsck.device} inconsistent: {words[:160]}{since}"


def _all_allowed(reply: StepReply) -> bool:
    """Whether all that `check` looks for in dmesg is in splats that are allowed."""
    allowed = set(reply.allowed.splitlines())
    lines = [_STAMP.sub("", line) for line in reply.dmesg.splitlines() if _CHECK_DMESG.search(line)]
    return bool(lines) and allowed.issuperset(lines)


def diff_of(output: str) -> str:
    """The golden output against the test's own, as `check` prints it, without its indentation; or empty."""
    lines = output.splitlines()
    start = next((n for n, line in enumerate(lines) if line.startswith("    --- ")), None)
    if start is None:
        return ""
    found = []
    for line in lines[start:]:
        if line.startswith("    (Run 'diff") or (line and not line.startswith("    ")):
            break
        found.append(line[4:])
    while found and found[-1] in ("...", ""):
        found.pop()
    return "\n".join(found)


def _mismatch(diff: str) -> str:
    body = diff.splitlines()[2:]
    for sign, words in (("+", "unexpected output"), ("-", "missing output")):
        first = next((line[1:].strip() for line in body if line.startswith(sign) and line[1:].strip()), "")
        if first:
            return f"{words}: {first[:200]}"
    return "output mismatch"
