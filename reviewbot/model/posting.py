# SPDX-License-Identifier: GPL-2.0-or-later
"""What came by mail."""

from reviewbot.model.base import Model


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
    parts: tuple[Part, ...]
    problems: tuple[Problem, ...] = ()

    def component_parts(self, component: str, *, rfc: bool = True) -> tuple[Part, ...]:
        """This component's parts in order; without RFC parts if not `rfc`."""
        return tuple(p for p in self.parts if p.component == component and (rfc or not p.rfc))

    @property
    def components(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(part.component for part in self.parts))
