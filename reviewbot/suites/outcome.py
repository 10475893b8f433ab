# SPDX-License-Identifier: GPL-2.0-or-later
"""What a step's reply means for the test it ran, as far as all suites agree."""

import re
from dataclasses import dataclass

from reviewbot.model import protocol
from reviewbot.model.deaths import in_words
from reviewbot.model.lab import StepReply
from reviewbot.model.results import KernelLine, Known, Outcome, TestResult
from reviewbot.model.splats import WAITS

EXCERPT = 4096
_LOUD = re.compile(r"<(\d)>(.+)")


@dataclass(frozen=True, slots=True)
class Judgement:
    """An outcome with its one-line reason."""

    outcome: Outcome
    reason: str = ""


def beyond_the_test(reply: StepReply) -> Judgement | None:
    """What became of a step that gave no verdict of its own; None when its exit status counts.

    A splat of the kernel makes it CRASH whatever the test said, a warning too, unless it is allowed. A task that the
    kernel found waiting makes no CRASH of a test that did not end, which is a HANG. A FUSE server that died or reported
    a fault of its own makes one, too; one that did not end after its unmount makes a HANG. A machine that was lost
    without a splat is the lab's fault (INFRA).
    """
    crashed = bool(reply.splat) and reply.crash != WAITS
    match reply.status:
        case "skipped":
            return Judgement(Outcome.MISS, "never started")
        case "timeout" if crashed:
            return Judgement(Outcome.CRASH, f"{kernel(reply)}; {_hung(reply)}"[:600])
        case "timeout" if reply.death:
            return Judgement(Outcome.CRASH, f"{in_words(reply.death)}; {_hung(reply)}{_and(reply)}"[:600])
        case "timeout":
            return Judgement(Outcome.HANG, f"{_hung(reply)}{_and(reply)}"[:600])
        case "crash" | "done" if reply.splat or reply.status == "crash":
            unnoted = f"; {last_line(reply.output)}" if reply.exit_status == protocol.DEATH else ""
            died = f"; {in_words(reply.death)}" if reply.death else unnoted
            return Judgement(Outcome.CRASH, f"{kernel(reply) or 'the kernel crashed'}{died}"[:600])
        case "lost" if crashed:
            return Judgement(Outcome.CRASH, kernel(reply))
        case "lost":
            return Judgement(Outcome.INFRA, f"the machine was lost{_and(reply) or ' without a message'}")
        case "done" if reply.death:
            outcome = Outcome.HANG if reply.death.hung else Outcome.CRASH
            return Judgement(outcome, f"{in_words(reply.death)}{_and(reply)}"[:600])
        case "done" | "known":
            return None


def by_status(reply: StepReply) -> Judgement:
    """Outcome of a step of our guest programs: their exit status, and their last line as the reason."""
    if judgement := beyond_the_test(reply):
        return judgement
    reason = last_line(reply.output)
    match reply.exit_status:
        case 0:
            return passed(reply)
        case protocol.NOTRUN if reason:
            return Judgement(Outcome.NOTRUN, reason)
        case protocol.DEATH:
            return Judgement(Outcome.CRASH, (reason or "the server died") + _and(reply))
        case None:
            return Judgement(Outcome.INFRA, "ended without an exit status")
        case status if status < 0:
            return Judgement(Outcome.FAIL, f"killed by signal {-status}{_and(reply)}{internal(reply)}")
        case status:
            words = reason or f"exit status {status} without output"
            return Judgement(Outcome.FAIL, f"{words}{_and(reply)}{internal(reply)}")


def result(suite: str, test: str, judged: Judgement, reply: StepReply) -> TestResult:
    """The test's result, with all that the machine saw while its step ran."""
    return TestResult(
        suite=suite,
        test=test,
        outcome=judged.outcome,
        reason=judged.reason,
        seconds=reply.seconds,
        excerpt=tail(reply.output),
        dmesg=kernel_excerpt(reply),
        loud=loud_lines(reply),
        crash=reply.crash,
        fingerprint=fingerprint(reply),
        hang=reply.hang,
        death=reply.death,
        server_errors=reply.server_errors,
    )


def excused(suite: str, test: str, judged: Judgement, reply: StepReply, excuse: Known | None) -> TestResult:
    """The result of a test on a mounted filesystem. excuse: why its failure is no news."""
    return result(suite, test, judged, reply).model_copy(
        update={
            "outcome": Outcome.KNOWN if excuse else judged.outcome,
            "reason": judged.reason if excuse else _with_hint(judged, reply),
            "known": excuse,
            "server": reply.server,
        }
    )


def passed(reply: StepReply) -> Judgement:
    """A test that says it passed; a splat that is allowed is told."""
    return Judgement(Outcome.PASS, reply.splat_note)


def _with_hint(judged: Judgement, reply: StepReply) -> str:
    """The reason, and that a server did not go when it was unmounted: what comes of that is hard to read otherwise."""
    if not (reply.server and reply.server.umounts_late) or (reply.death and reply.death.hung):
        return judged.reason
    hint = f"a server was still running {reply.server.umount_seconds_max or 0:.0f} s after it was unmounted"
    return f"{judged.reason}; {hint}" if judged.reason else hint


def kernel(reply: StepReply) -> str:
    """What the kernel said: `oops: fuse_do_readpage:fuse_read_folio (BUG: kernel NULL pointer dereference)`."""
    if not reply.splat:
        return ""
    where = f"{reply.fingerprint} ({reply.splat})" if reply.fingerprint else reply.splat
    note = f"; {reply.splat_note}" if reply.splat_note else ""
    named = not reply.crash or where.startswith(f"{reply.crash}: ")
    return f"{where if named else f'{reply.crash}: {where}'}{note}"


def fingerprint(reply: StepReply) -> str:
    """Of the kernel's splat, else of the server's death."""
    return reply.fingerprint or (reply.death.fingerprint if reply.death and not reply.splat else "")


def internal(reply: StepReply) -> str:
    """`; server: …`: where a server broke its own rules, for the reason of a test that failed anyway."""
    said = next((error.line for error in reply.server_errors if error.kind == "internal"), "")
    return f"; server: {said[:200]}" if said else ""


def kernel_excerpt(reply: StepReply) -> str:
    """The splat, or else the last of the kernel's messages; at most 4 KiB."""
    return reply.splat_text or tail(reply.dmesg)


def loud_lines(reply: StepReply) -> tuple[KernelLine, ...]:
    """Kernel messages of level warning and above, each once."""
    found = (_LOUD.fullmatch(line) for line in reply.loud.splitlines())
    lines = dict.fromkeys(KernelLine(level=int(line[1]), text=line[2][:300]) for line in found if line)
    return tuple(lines)[:50]


def last_line(text: str) -> str:
    """The last line that is not blank, at most 300 characters, or an empty string."""
    lines = text.strip().splitlines()
    return lines[-1].strip()[:300] if lines else ""


def tail(text: str, limit: int = EXCERPT) -> str:
    """The last whole lines that fit into `limit` characters."""
    text = text.strip("\n")
    if len(text) <= limit:
        return text
    cut = text[-limit:]
    _, newline, rest = cut.partition("\n")
    return rest if newline else cut


def _hung(reply: StepReply) -> str:
    """`did not finish within 60 s; ended when …; fuse connection 42 (/dev/vdd on /mnt/test): …`, or who fell silent."""
    said = [line.strip() for line in reply.hang.splitlines()[:3]]
    if not reply.limit or reply.seconds >= reply.limit:
        said = [f"did not finish within {reply.limit or reply.seconds:.0f} s", *said[:2]]
    return "; ".join(said or ["the guest stopped responding"])


def _and(reply: StepReply) -> str:
    return f"; kernel: {kernel(reply)}" if reply.splat else ""
