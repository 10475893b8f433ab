# SPDX-License-Identifier: GPL-2.0-or-later
"""What a step's reply means for the test it ran, as far as all suites agree."""

from dataclasses import dataclass

from reviewbot.model.lab import StepReply
from reviewbot.model.results import Outcome

NOTRUN, SERVER_DIED = 77, 70
"""Exit statuses of our guest programs, besides 0 PASS."""

EXCERPT = 4096


@dataclass(frozen=True, slots=True)
class Judgement:
    """An outcome with its one-line reason."""

    outcome: Outcome
    reason: str = ""


def beyond_the_test(reply: StepReply) -> Judgement | None:
    """What became of a step that gave no verdict of its own; None when its exit status counts.

    A machine that was lost is CRASH only if the kernel said so before; without a splat it is the lab's fault (INFRA).
    """
    match reply.status:
        case "skipped":
            return Judgement(Outcome.MISS, "never started")
        case "timeout":
            return Judgement(Outcome.HANG, f"did not end within {reply.seconds:.0f} s{_and(reply.splat)}")
        case "crash":
            return Judgement(Outcome.CRASH, reply.splat or "the kernel crashed")
        case "lost":
            if reply.splat:
                return Judgement(Outcome.CRASH, reply.splat)
            return Judgement(Outcome.INFRA, "the machine was lost without a word")
        case "done":
            return None


def by_status(reply: StepReply) -> Judgement:
    """Outcome of a step of our guest programs: their exit status, and their last line as the reason.

    A step that passed but made the kernel warn has failed.
    """
    if judgement := beyond_the_test(reply):
        return judgement
    reason = last_line(reply.output)
    match reply.exit_status:
        case 0 if reply.splat:
            return Judgement(Outcome.FAIL, f"kernel: {reply.splat}")
        case 0:
            return Judgement(Outcome.PASS)
        case 77 if reason:
            return Judgement(Outcome.NOTRUN, reason)
        case 70:
            return Judgement(Outcome.CRASH, reason or "the server died")
        case None:
            return Judgement(Outcome.INFRA, "ended without an exit status")
        case status if status < 0:
            return Judgement(Outcome.FAIL, f"killed by signal {-status}{_and(reply.splat)}")
        case status:
            return Judgement(Outcome.FAIL, reason or f"exit status {status} without a word")


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


def _and(splat: str) -> str:
    return f"; kernel: {splat}" if splat else ""
