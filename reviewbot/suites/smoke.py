# SPDX-License-Identifier: GPL-2.0-or-later
"""The smoke suite: is this leg's filesystem worth testing at all? Seconds per check, about a minute in all."""

from collections.abc import Collection, Sequence

from reviewbot.model.lab import GuestStep, StepReply
from reviewbot.model.results import Outcome, TestResult
from reviewbot.model.stack import LegSpec
from reviewbot.suites.costs import costs
from reviewbot.suites.made import made
from reviewbot.suites.outcome import by_status, excused
from reviewbot.suites.setup import PYTHON, STILL, STILL_AGAIN, leg_env
from reviewbot.suites.shortcomings import FactOf, Shortcoming, known, load_shortcomings

CHECKS = (
    "mkfs", "mount", "negotiation", "files", "truncation", "directories", "rename", "exchange", "noreplace",
    "moves", "links", "nodes", "open-files", "released", "tmpfile", "flags", "ioctls", "birth", "nanoseconds",
    "years", "atime", "xattr", "attributes", "acl", "default-acl", "owners", "setgid", "umask", "search", "sparse",
    "holes", "allocate", "punch", "zero", "copy", "direct", "descriptors", "locks", "waits", "sizes", "mmap",
    "pages", "fsync", "durable", "durable-names", "space", "statfs", "full", "readonly", "options", "names", "many",
    "times", "follow", "caches", "large", "growing", "random-data", "random-names", "mounts", "costs", "fio",
    "stress", "parallel", "races", "interrupt", "unmount", "remount", "outside", "fsck",
)  # fmt: skip
"""In order: `remount` and `outside` compare all that the earlier ones left, `fsck` judges the disk at the end."""
QUICK = (*CHECKS[: CHECKS.index("many")], "fsck")
"""Does the filesystem work at all? One operation of each kind, and no load: less than half of the time."""

_BASIS = ("mkfs", "mount")
_JUDGES = frozenset({"remount", "outside", "fsck"})

_LIMIT, _LIMIT_AGAIN = 20.0, 6.0
"""Seconds, on a machine that is not slow; and when a check is run again, for one that hangs does so several times.

One that works takes a tenth of that, on a crowded host, too.
"""
_LONG = {
    **dict.fromkeys(
        ("mkfs", "mount", "readonly", "options", "mounts", "parallel", "interrupt", "unmount", "fsck"), (60.0, 20.0)
    ),
    **dict.fromkeys(("fio", "stress", "many", "remount", "outside"), (120.0, 20.0)),
    "costs": (120.0, 60.0),
}
"""The same of checks that move more, or wait for a server's start or end."""


def steps(leg: LegSpec, only: Collection[str] = (), *, again: bool = False) -> tuple[GuestStep, ...]:
    """One step per check. only: those that are wanted, as `alone` and `up_to` choose them; empty: all. again: they ran
    before, on this stack or another.
    """
    env = dict(leg_env(leg, again=again))
    return tuple(
        GuestStep(
            name=f"smoke/{check}",
            argv=(*PYTHON, "smoke", check),
            env=env,
            timeout=_LONG.get(check, (_LIMIT, _LIMIT_AGAIN))[bool(only) and again],
            still=STILL_AGAIN if only and again else STILL,
            measure=bool(leg.server),
        )
        for check in CHECKS
        if check in only or not only
    )


def alone(wanted: Collection[str]) -> tuple[str, ...]:
    """The checks that have to run to see these: on a filesystem that was just made, nothing else but those that judge
    what all before them left.
    """
    if _JUDGES.intersection(wanted):
        return up_to(wanted)
    return tuple(check for check in CHECKS if check in wanted or check in _BASIS)


def up_to(wanted: Collection[str]) -> tuple[str, ...]:
    """All checks up to the last of these; all when none of these is a check."""
    places = [CHECKS.index(check) for check in wanted if check in CHECKS]
    return CHECKS[: 1 + max(places)] if places else CHECKS


def results(leg: LegSpec, replies: Sequence[StepReply], fact: FactOf = lambda name: None) -> tuple[TestResult, ...]:
    """One result per check, in order; a check without a reply is MISS.

    fact: what is known of the artifacts, for shortcomings of some versions only. Raises ConfigError.
    """
    answers = {reply.name: reply for reply in replies}
    entries = load_shortcomings()
    return tuple(
        _result(leg, check, answers.get(name) or StepReply(name=name, status="skipped"), entries, fact)
        for check, name in ((check, f"smoke/{check}") for check in CHECKS)
    )


def _result(leg: LegSpec, check: str, reply: StepReply, entries: Sequence[Shortcoming], fact: FactOf) -> TestResult:
    judged = by_status(reply)
    failed = judged.outcome is Outcome.FAIL
    excuse = known(leg.name, f"smoke/{check}", [judged.reason], entries, fact) if failed else None
    told = excused("smoke", check, judged, reply, excuse)
    match check:
        case "costs":
            return told.model_copy(update={"costs": costs(reply.output)})
        case "mkfs" | "negotiation":
            return told.model_copy(update={"made": made(reply.output)})
        case _:
            return told
