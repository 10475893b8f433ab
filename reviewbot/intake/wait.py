# SPDX-License-Identifier: GPL-2.0-or-later
"""`--wait`: a large posting takes an hour to arrive; ask the archive now and then until all of it is there."""

import time
from collections.abc import Callable

from reviewbot.intake.errors import ArchiveUnreachable, NoPatches, NothingArrived, UnknownMessageId
from reviewbot.intake.mail import parse_mail
from reviewbot.intake.split import Intake
from reviewbot.model.posting import Problem
from reviewbot.model.progress import Event, Progress
from reviewbot.model.words import counted

FIRST_PAUSE = 60.0
"""Seconds before the second question; each pause is half as long again."""
LONGEST_PAUSE = 300.0
SETTLED = 7200
"""Seconds. A complete posting whose last mail is younger could be one whose other half is still on its way:
mailers pace some 15 s a mail, and a component of which nothing came yet is not missed by any counter."""

_TIME_HEALS = frozenset({"missing-patches", "missing-part", "unplaced-patches"})
_MAY_HEAL = frozenset({"no-component"})
"""Of a part of which only the README patch is here yet."""


def wait_complete(
    take: Callable[[], Intake],
    limit: float,
    progress: Progress,
    *,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> Intake:
    """Calls `take` until every part has its 1..N, something is wrong that waiting cannot fix, or the time is over.

    take: must not be answered from a cache. limit: seconds. now: seconds since the epoch. Returns the last state; its
    problems name the missing numbers of each part. Raises NothingArrived if there never was a patch, ArchiveUnreachable
    if the archive was never there.
    """
    until = now() + limit
    pause = FIRST_PAUSE
    last: Intake | None = None
    while True:
        trouble = ""
        try:
            before, last = last, take()
        except (UnknownMessageId, NoPatches, ArchiveUnreachable) as error:
            if now() >= until and last is None:
                raise error if isinstance(error, ArchiveUnreachable) else NothingArrived(str(error), limit) from error
            trouble = str(error)
        else:
            missing = _missing(last)
            if missing is None or (not missing and (_same(before, last) or _settled(last, now()))):
                progress(Event("intake", "wait", "done", counted(len(last.mails), "mail")))
                return last
            trouble = missing or f"{counted(len(last.mails), 'mail')}; checking once more for further mails"
        left = until - now()
        if left <= 0 and last is not None:
            progress(Event("intake", "wait", "failed" if _missing(last) else "done", trouble))
            return last
        progress(Event("intake", "wait", "note", f"{trouble} (waiting {_spoken(left)} more)", expected=left))
        sleep(max(min(pause, left), 1.0))
        pause = min(pause * 1.5, LONGEST_PAUSE)


def _same(before: Intake | None, after: Intake) -> bool:
    """Whether nothing came between two looks."""
    return before is not None and before.mails.keys() == after.mails.keys()


def _missing(found: Intake) -> str | None:
    """What did not arrive yet, in words; empty: nothing; None: waiting does not help."""
    blocking: list[Problem] = [problem for problem in found.posting.problems if problem.blocking]
    healing = [problem.message for problem in blocking if problem.kind in _TIME_HEALS]
    if any(problem.kind not in _TIME_HEALS and not (problem.kind in _MAY_HEAL and healing) for problem in blocking):
        return None
    return "; ".join(healing[:3]) + (f"; and {len(healing) - 3} more" if len(healing) > 3 else "")


def _settled(found: Intake, now: float) -> bool:
    """Whether the author's last mail is so old that no other will follow."""
    heads = [found.posting.top, *(patch.message_id for part in found.posting.parts for patch in part.patches)]
    dates = [mail.date for key in heads if (mail := parse_mail(found.mails.get(key, b""))) is not None]
    return bool(dates) and now - max(dates) > SETTLED


def _spoken(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"
