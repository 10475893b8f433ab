# SPDX-License-Identifier: GPL-2.0-or-later
"""A reply through an outbox of its own, by rules that hold nothing back."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from reviewbot.model.posting import Posting
from reviewbot.post import Delivery, Outbox, Policy, Sender
from reviewbot.post import mail as deliver
from reviewbot.post.policy import Defaults

OPEN = Policy(defaults=Defaults(level="all", posting_hours=0))


def outbox(folder: Path) -> Outbox:
    """Beside the run's folder."""
    return Outbox(folder.parent / "outbox.sqlite")


def mail(
    folder: Path,
    *,
    send: bool = False,
    to: Sequence[str] = (),
    cc: Sequence[str] = (),
    uncompared: bool = False,
    policy: Policy = OPEN,
    posting: Posting | None = None,
    mails: Mapping[str, bytes] | None = None,
    pauses: Sequence[float] = (),
) -> Delivery:
    """Of a run with one reply."""
    sender = Sender(outbox(folder), policy, pauses=pauses)
    (one,) = deliver(folder, sender, send=send, to=to, cc=cc, uncompared=uncompared, posting=posting, mails=mails)
    return one


def state(folder: Path) -> str:
    """Of the newest thing in the outbox; empty: there is none."""
    items = outbox(folder).all()
    return items[-1].state if items else ""
