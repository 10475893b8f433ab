# SPDX-License-Identifier: GPL-2.0-or-later
"""Beyond the mails of a posting: its other versions, what it stands on, who wrote it."""

from collections.abc import Collection
from dataclasses import dataclass

from reviewbot.config import AttestationPolicy
from reviewbot.intake.archive import Archive
from reviewbot.intake.attest import Lookup, attest
from reviewbot.intake.latest import take_latest
from reviewbot.intake.prerequisites import resolve_prerequisites
from reviewbot.intake.split import Intake
from reviewbot.intake.versions import find_versions
from reviewbot.model.stack import Stack


@dataclass(frozen=True, slots=True)
class Wish:
    """How far to look."""

    versions: bool = True
    """Whether to search for other versions."""
    latest: bool = False
    """Take the newest version instead of the one that was named."""
    rfc: bool = True
    """Whether RFC parts are applied."""
    named_bases: Collection[str] = ()
    """Components whose base the user named."""
    fresh: bool = False
    """Do not use the archive's answers of a moment ago."""


def look_further(
    found: Intake, archive: Archive, stack: Stack, policy: AttestationPolicy, wish: Wish, lookup: Lookup | None = None
) -> Intake:
    """The posting, its newest version if that was wished for, with versions, prerequisites and attestation.

    Raises ArchiveUnreachable, UnknownMessageId and NoPatches only for `latest`.
    """
    if wish.versions or wish.latest:
        found = find_versions(found, archive, fresh=wish.fresh)
    if wish.latest:
        found = take_latest(found, archive, stack, fresh=wish.fresh)
    found = resolve_prerequisites(found, archive, stack, named_bases=wish.named_bases, rfc=wish.rfc, fresh=wish.fresh)
    return attest(found, policy, lookup)
