# SPDX-License-Identifier: GPL-2.0-or-later
"""From what the user named to the posting: the way through intake.

names ─ fetch ─▶ mails ─ pieces ─▶ parts ─ join ─▶ posting ─ look further ─▶ with versions, prerequisites, attestation
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from reviewbot.config import Site
from reviewbot.host.public import Reach
from reviewbot.intake.anchor import mail_of_anchor
from reviewbot.intake.archive import Archive
from reviewbot.intake.errors import SeveralPostings
from reviewbot.intake.fetch import fetch_thread
from reviewbot.intake.further import Wish, look_further
from reviewbot.intake.join import join
from reviewbot.intake.known import known_trees
from reviewbot.intake.manifest import as_said, load_manifest, pull_piece
from reviewbot.intake.mbox import Mailbag, read_mbox
from reviewbot.intake.names import MessageId, NotAName, parse_name
from reviewbot.intake.patchwork import message_id_of
from reviewbot.intake.split import Intake, Piece, pieces, tops
from reviewbot.intake.wait import wait_complete
from reviewbot.model.errors import UsageError
from reviewbot.model.progress import Event, Progress, silent
from reviewbot.model.stack import Stack
from reviewbot.model.words import counted


@dataclass(frozen=True, slots=True)
class Ask:
    """What the user named; see `reviewbot.intake.names` for what a name may be."""

    names: tuple[str, ...] = ()
    mbox: tuple[Path, ...] = ()
    """Files and folders to read instead of asking the archive, as one posting; `-` is standard input."""
    manifest: Path | None = None
    part_only: bool = False
    """Only the parts that hold the named mails."""
    wait: float = 0.0
    """Seconds to wait until the posting is complete."""
    latest: bool = False
    """The newest version instead of the one that was named."""
    rfc: bool = False
    """Whether RFC parts are applied."""
    bases: Mapping[str, str] = field(default_factory=dict)
    """Component -> base that the user named: it is taken to hold what the component's parts stand on."""


def take_in(ask: Ask, stack: Stack, site: Site, cache: Path, progress: Progress = silent) -> Intake:
    """The posting that was asked for. Raises ReviewbotError; what is merely wrong with it becomes a Problem."""
    progress(Event("intake", "thread", "start", expected=5.0))
    if ask.wait and ask.mbox:
        raise UsageError("--wait cannot be used with a mailbox", hint="give the Message-ID instead of --mbox")
    if ask.wait:
        found = wait_complete(lambda: _posting(ask, stack, site, cache, silent), ask.wait, progress)
    else:
        found = _posting(ask, stack, site, cache, progress)
    # A mailbox is for those who have no archive: it is asked only for what the mails themselves name.
    wish = Wish(
        versions=not ask.mbox,
        latest=ask.latest,
        rfc=ask.rfc,
        named_bases={*ask.bases, *found.bases},
        fresh=ask.wait > 0,
    )
    found = look_further(found, Archive(site.archive, cache / "lore"), stack, site.attestation, wish)
    parts = found.posting.parts
    patches = sum(len(part.patches) for part in parts)
    pulls = sum(part.pull is not None for part in parts)
    said = [counted(len(parts), "part"), counted(patches, "patch"), *([counted(pulls, "pull")] if pulls else [])]
    progress(Event("intake", "thread", "done", ", ".join(said)))
    return found


def _posting(ask: Ask, stack: Stack, site: Site, cache: Path, progress: Progress) -> Intake:
    mails = _Mails(
        site.archive,
        cache / "lore",
        read_mbox(*ask.mbox) if ask.mbox else None,
        progress,
        ask.wait > 0,
        _reach(site),
    )
    if ask.manifest is not None:
        return _of_manifest(ask, ask.manifest, stack, mails)
    names = [_message_id(text, mails.reach) for text in ask.names]
    if not names and not ask.mbox:
        raise UsageError("neither a Message-ID nor --mbox was given", hint="try `reviewbot plan --help`")
    if ask.part_only and not names:
        raise UsageError("--part-only: which part?", hint="name its cover or one of its patches")
    for name in names:
        mails.fetch(name)
    bag = mails.bag()
    ids = [mail_of_anchor(bag, name) for name in names]
    together = len(ask.mbox) > 1
    found = join(pieces(bag, ids, stack, part_only=ask.part_only, together=together, exists=known_trees(cache)), stack)
    files = tuple(str(path) for path in ask.mbox)
    found = replace(found, posting=found.posting.model_copy(update={"files": files}))
    if not names and any(problem.kind == "duplicate-part" for problem in found.posting.problems):
        several = tops(bag, stack)
        if len(several) > 1:
            raise SeveralPostings(bag.source, tuple((top.id, top.subject.text) for top in several))
    return found


def _of_manifest(ask: Ask, path: Path, stack: Stack, mails: "_Mails") -> Intake:
    if ask.names or ask.part_only:
        raise UsageError("--manifest names the whole posting", hint="put the Message-IDs into the manifest, or drop it")
    manifest = load_manifest(path, stack)
    names = [_message_id(entry.message_id, mails.reach) if entry.message_id else None for entry in manifest.parts]
    for name, entry in zip(names, manifest.parts, strict=True):
        if name and not entry.mbox:
            mails.fetch(name)
    found: list[Piece] = []
    for name, entry in zip(names, manifest.parts, strict=True):
        if not (name or entry.mbox):
            found.append(pull_piece(entry, path, stack))
            continue
        bag = read_mbox(path.parent / Path(entry.mbox).expanduser()) if entry.mbox else mails.bag()
        ids = [mail_of_anchor(bag, name)] if name else []
        some = pieces(bag, ids, stack, part_only=True, component=entry.component)
        found += [as_said(piece, entry) for piece in some]
    return join(found, stack, title=manifest.title, author=manifest.author, manifest=str(path), bases=manifest.base)


@dataclass(frozen=True, slots=True)
class _Mails:
    """Where mails come from: a mailbox, else the archive."""

    archive: str
    cache: Path
    mbox: Mailbag | None
    progress: Progress
    fresh: bool
    """Not out of the cache: the user waits for it to change."""
    reach: Reach
    """Where a URL may lead that names a mail."""
    fetched: list[Mailbag] = field(default_factory=list)

    def fetch(self, name: MessageId) -> None:
        """Have the thread of this mail in the bag. Raises UnknownMessageId, ArchiveUnreachable."""
        if self.mbox is None and not any(bag.has(name.id) for bag in self.fetched):
            self.fetched.append(
                fetch_thread(
                    name.id,
                    self.archive,
                    self.cache,
                    progress=self.progress,
                    inbox=name.inbox,
                    fresh=self.fresh,
                    reach=self.reach,
                )
            )

    def bag(self) -> Mailbag:
        """All mails of the mailbox, or of what was fetched."""
        if self.mbox is not None:
            return self.mbox
        source = ", ".join(bag.source for bag in self.fetched)
        return Mailbag(source, tuple(mail for bag in self.fetched for mail in bag.mails))


def _reach(site: Site) -> Reach:
    """Where names may lead: to public places, where the site allows it, and to the server of its own archive."""
    return Reach((*site.network.private, urlsplit(site.archive).netloc))


def _message_id(text: str, reach: Reach) -> MessageId:
    try:
        name = parse_name(text)
    except NotAName as error:
        if Path(text).exists():
            raise UsageError(str(error), hint=f"use --mbox {text} to read mails from a file or folder") from error
        raise
    return name if isinstance(name, MessageId) else MessageId(message_id_of(name, reach))
