# SPDX-License-Identifier: GPL-2.0-or-later
"""From what the user named to the posting: the way through intake.

names ─ fetch ─▶ mails ─ pieces ─▶ parts ─ join ─▶ posting
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reviewbot.config import Site
from reviewbot.intake.anchor import mail_of_anchor
from reviewbot.intake.fetch import fetch_thread
from reviewbot.intake.join import join
from reviewbot.intake.mbox import Mailbag, read_mbox
from reviewbot.intake.names import MessageId, parse_name
from reviewbot.intake.patchwork import message_id_of
from reviewbot.intake.split import Intake, pieces
from reviewbot.model.errors import UsageError
from reviewbot.model.progress import Event, Progress, silent
from reviewbot.model.stack import Stack
from reviewbot.model.words import counted


@dataclass(frozen=True, slots=True)
class Ask:
    """What the user named; see `reviewbot.intake.names` for what a name may be."""

    names: tuple[str, ...] = ()
    mbox: Path | None = None
    """File to read instead of asking the archive; `-` is standard input."""
    manifest: Path | None = None
    part_only: bool = False
    """Only the parts that hold the named mails."""


def take_in(ask: Ask, stack: Stack, site: Site, cache: Path, progress: Progress = silent) -> Intake:
    """The posting that was asked for. Raises ReviewbotError; what is merely wrong with it becomes a Problem."""
    progress(Event("intake", "thread", "start", expected=5.0))
    found = _posting(ask, stack, site, cache, progress)
    parts = found.posting.parts
    patches = sum(len(part.patches) for part in parts)
    pulls = sum(part.pull is not None for part in parts)
    said = [counted(len(parts), "part"), counted(patches, "patch"), *([counted(pulls, "pull")] if pulls else [])]
    progress(Event("intake", "thread", "done", ", ".join(said)))
    return found


def _posting(ask: Ask, stack: Stack, site: Site, cache: Path, progress: Progress) -> Intake:
    names = [_message_id(text) for text in ask.names]
    if ask.mbox is not None:
        bags = [read_mbox(ask.mbox)]
    elif names:
        bags = fetch_all(names, site.archive, cache / "lore", progress)
    else:
        raise UsageError("neither a Message-ID nor --mbox was given", hint="try `reviewbot plan --help`")
    if ask.part_only and not names:
        raise UsageError("--part-only: which part?", hint="name its cover or one of its patches")
    bag = Mailbag(", ".join(bag.source for bag in bags), tuple(mail for bag in bags for mail in bag.mails))
    ids = [mail_of_anchor(bag, name) for name in names]
    return join(pieces(bag, ids, stack, part_only=ask.part_only), stack)


def _message_id(text: str) -> MessageId:
    name = parse_name(text)
    return name if isinstance(name, MessageId) else MessageId(message_id_of(name))


def fetch_all(names: Sequence[MessageId], archive: str, cache: Path, progress: Progress) -> list[Mailbag]:
    """The threads of these mails, each fetched once. Raises UnknownMessageId, ArchiveUnreachable."""
    bags: list[Mailbag] = []
    for name in names:
        if not any(bag.has(name.id) for bag in bags):
            bags.append(fetch_thread(name.id, archive, cache, progress=progress, inbox=name.inbox))
    return bags
