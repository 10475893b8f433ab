# SPDX-License-Identifier: GPL-2.0-or-later
"""What came by mail, and what it says of itself."""

from collections.abc import Iterator
from typing import Literal

from reviewbot.model.base import Model

NEVER_SENT = "format-patch.invalid"
"""Host part of the Message-IDs of mails that nobody has sent yet."""

Signed = Literal["pass", "fail", "none", "unchecked"]
"""Of a signature: good, broken, absent, or not to be checked here (no DNS, unknown key)."""


class Attestation(Model):
    """Who wrote a mail, as far as signatures tell."""

    dkim: Signed = "unchecked"
    dkim_domain: str = ""
    """Signing domain (`d=`) of the signature that counts."""
    patatt: Signed = "none"
    patatt_signer: str = ""
    """Identity of the key, as the keyring names it."""
    why: str = ""
    """What kept a signature from passing, one line."""


PrerequisiteKind = Literal["patch-id", "change-id", "message-id"]


class Declared(Model):
    """Something a series says it stands on."""

    kind: PrerequisiteKind
    value: str
    """`git patch-id --stable`, a change-id (`…:v5` wants that version), or a bare Message-ID."""
    trailer: str
    """Name of the trailer it came from: `prerequisite-patch-id`, `Based-on`, …"""


class Patch(Model):
    """One mail with a diff that belongs to a part. Its bytes are kept apart, keyed by Message-ID."""

    message_id: str
    """Without angle brackets."""
    subject: str
    """As sent, decoded and unfolded."""
    author: str
    """`Name <address>` of From:, decoded."""
    number: int
    """The n of [PATCH n/N]; 1 for a lone patch."""
    paths: tuple[str, ...]
    """Every path the diff touches, relative to the component's root."""
    blobs: dict[str, str] = {}
    """Path before the patch -> abbreviated blob id of its content then (`index` lines); new files are left out."""
    patch_id: str = ""
    """`git patch-id --stable`; empty if git finds no patch in the mail."""
    attestation: Attestation | None = None


class Prerequisite(Model):
    """A declared prerequisite and what was found of it."""

    declared: Declared
    status: Literal["found", "missing", "loop", "limit"]
    why: str = ""
    """Where it was found, or what was tried."""
    patches: tuple[Patch, ...] = ()
    """In the order in which they are to be applied."""


class Pull(Model):
    """A part that comes out of a git repository instead of mails."""

    url: str
    ref: str
    """Branch, tag or commit to fetch."""
    base: str = ""
    """Commit or ref that the part starts after; empty: where it leaves the component's base."""
    tip: str = ""
    """Commit that `ref` must be, if the request says so (full or abbreviated)."""
    message_id: str = ""
    """Of the `[GIT PULL]` mail or cover; empty: a manifest named it."""


class Version(Model):
    """Another version of a part or posting, in the archive."""

    message_id: str
    """Of its cover or first patch."""
    subject: str
    version: int
    date: int
    """Seconds since the epoch, of its Date: header."""
    how: Literal["change-id", "supersedes", "subject", "patch-id"]
    """By what it was recognised."""
    newer: bool


class Part(Model):
    """One sub-series of a posting: what a single `git am` run applies, in order."""

    component: str
    counter: str
    """Place among the component's parts as its cover says, `1/9`; `1/1` when it says nothing."""
    version: int = 1
    rfc: bool
    subject: str
    """The cover's subject (the patch's, if there is no cover) without its bracketed prefixes."""
    cover: str | None
    """Message-ID of the cover."""
    base_commit: str | None = None
    """The `base-commit:` trailer of cover or patches."""
    change_id: str | None = None
    date: int = 0
    """Of cover or first patch, seconds since the epoch."""
    pull: Pull | None = None
    """Set: the part is fetched with git, and `patches` is empty."""
    prerequisites: tuple[Prerequisite, ...] = ()
    """In the order in which they are to be applied, below the part."""
    versions: tuple[Version, ...] = ()
    """Others of the same part, oldest first."""
    routed_by: str = ""
    """Why this component: one line for the plan."""
    patches: tuple[Patch, ...]


class Problem(Model):
    """Something about the posting that a human should know."""

    kind: str
    """A slug: `missing-patches`, `ambiguous-component`, `stray-patch`, `not-decodable`, …"""
    message: str
    blocking: bool = False
    """True: nothing may be built until it is solved."""
    message_ids: tuple[str, ...] = ()


class Posting(Model):
    """Everything one author sent as one logical change."""

    top: str
    """Message-ID of the outermost cover or of the only patch."""
    subject: str
    author: str
    source: str
    """URL or path it was read from."""
    files: tuple[str, ...] = ()
    """Mailboxes and folders that the user gave; empty: it came from an archive."""
    parts: tuple[Part, ...]
    problems: tuple[Problem, ...] = ()
    asked: tuple[str, ...] = ()
    """Message-IDs that name this posting together with `top`, or that the user named inside it."""
    manifest: str = ""
    """Path of the manifest that lists it; empty: mails name it."""
    versions: tuple[Version, ...] = ()
    """Others of the whole posting, oldest first."""

    def changed(self, *, rfc: bool) -> dict[str, tuple[str, ...]]:
        """Component -> paths that its parts touch; `*` for one that git fetches. Without RFC parts if not `rfc`."""
        found: dict[str, set[str]] = {}
        for part in self.parts:
            if rfc or not part.rfc:
                paths = {path for patch in part.patches for path in patch.paths}
                found.setdefault(part.component, set()).update({"*"} if part.pull else paths)
        return {component: tuple(sorted(paths)) for component, paths in found.items()}

    def component_parts(self, component: str, *, rfc: bool = True) -> tuple[Part, ...]:
        """This component's parts in order; without RFC parts if not `rfc`."""
        return tuple(p for p in self.parts if p.component == component and (rfc or not p.rfc))

    def message_ids(self) -> Iterator[str]:
        """Of all mails that a reader of the thread takes for this posting."""
        yield self.top
        for part in self.parts:
            pulled = part.pull.message_id if part.pull else ""
            yield from filter(None, (part.cover, pulled, *(patch.message_id for patch in part.patches)))

    @property
    def sent(self) -> bool:
        """False: it was read from files that were never mailed; there is no thread to answer."""
        return not self.top.endswith(f"@{NEVER_SENT}")

    @property
    def components(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(part.component for part in self.parts))
