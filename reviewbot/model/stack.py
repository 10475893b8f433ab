# SPDX-License-Identifier: GPL-2.0-or-later
"""Definition of a stack, as in stacks/*.yaml: components, routes, legs."""

import re
from typing import Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from reviewbot.model.base import Model

Provider = Literal["git", "deb", "dir", "tarball"]


class Source(Model):
    """Where a component's base comes from."""

    provider: Provider
    url: str = ""
    """git: URL or path of a repository; tarball: URL or path."""
    ref: str = ""
    """git: branch, tag or commit that is the default base."""
    package: str = ""
    """deb: a source package (`fuse3`), or a binary package that holds a source tarball (`linux-source-6.12`)."""
    suite: str = ""
    """deb: Debian suite to take it from (`trixie`); empty: what this machine's own apt configuration offers."""
    path: str = ""
    """dir: the folder."""
    sha256: str = ""
    """tarball: what its bytes must have, in hex."""
    exclude: tuple[str, ...] = ()
    """Paths left out of the import (large blobs that a mirror lacks)."""

    @model_validator(mode="after")
    def _named(self) -> Self:
        key = {"git": "url", "deb": "package", "dir": "path", "tarball": "url"}[self.provider]
        if not getattr(self, key):
            raise PydanticCustomError(
                key, "{key} is missing, which {provider} needs", {"key": key, "provider": self.provider}
            )
        return self

    @model_validator(mode="after")
    def _pinned(self) -> Self:
        if self.provider == "tarball" and not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            said = "is not 64 hex digits" if self.sha256 else "is missing"
            raise PydanticCustomError(
                "sha256", "the sha256 of a tarball {said}: `sha256sum FILE` prints it", {"said": said}
            )
        if self.provider != "tarball" and self.sha256:
            raise PydanticCustomError("sha256", "only a tarball has a sha256", {})
        return self


class Candidate(Model):
    """A base to try when a posting declares none. One of `ref` and `tags`, of the component's source or of `source`."""

    ref: str = ""
    """Branch, tag or commit; empty with a `source`: what that one has by default."""
    tags: str = ""
    """Pattern of tags (`v[0-9]*`), newest first."""
    newest: int = 3
    """How many of the tags."""
    source: Source | None = None
    """Another repository; None: the component's own source."""
    why: str


class Route(Model):
    """A pathname pattern (shell style, `**` crosses slashes) that belongs to a component."""

    path: str
    why: str
    shared: bool = False
    """True: many projects have such a path, so it does not decide by itself."""


class Elsewhere(Model):
    """A repository outside the stack whose patches travel with ours: recognised in order to be left out by name."""

    name: str
    why: str
    names: tuple[str, ...] = ()
    """What it is called in brackets, prefixes and URLs besides `name`; shell patterns."""
    lists: tuple[str, ...] = ()
    """Mailing-list addresses of its own."""


class ComponentSpec(Model):
    """One repository of the stack."""

    name: str
    recipe: str
    """Name of the recipe in reviewbot.build that builds it."""
    source: Source
    fallback: Source | None = None
    """Used when `source` cannot be reached and the user gave no other, with a loud note."""
    candidates: tuple[Candidate, ...] = ()
    """Bases that are tried in this order after the default one."""
    routes: tuple[Route, ...] = ()
    lists: tuple[str, ...] = ()
    """Mailing-list addresses; decide the component only when the paths do not."""
    names: tuple[str, ...] = ()
    """What it is called in brackets (`[PATCH xfstests]`), prefixes and URLs besides `name`; shell patterns."""
    top: tuple[str, ...] = ()
    """Shell patterns of all that lies at the top of its tree; a part that touches something else is not for it.
    Empty: not known."""
    why: str = ""


class LegSpec(Model):
    """One filesystem implementation in one configuration."""

    name: str
    why: str
    needs: tuple[str, ...]
    """Components that must be available."""
    requires: tuple[str, ...] = ()
    """Facts that must be true of the artifacts, `component.fact`: `e2fsprogs.fuse4fs`, `kernel.fuse_iomap`."""
    server: str = ""
    """Server program inside the stack's prefix (`fuse4fs`); empty: the kernel's own filesystem."""
    fstyp: str
    """FSTYP of fstests and type for mount(8): `ext4`, `fuse.ext4`."""
    mount_options: str = ""
    mkfs_options: str = ""
    scratch_mkfs_options: str = ""
    prove: tuple[str, ...] = ()
    """Proofs the guest must give before the leg counts: `iomap`."""
    asked_only: bool = False
    """Run only when it is named with --legs."""


class Stack(Model):
    """Components that are built and tested together."""

    name: str
    components: tuple[ComponentSpec, ...]
    legs: tuple[LegSpec, ...]
    elsewhere: tuple[Elsewhere, ...] = ()
    default_tests: str
    """What fstests runs when nobody says otherwise: names, or `-g GROUP`."""

    @property
    def default_legs(self) -> tuple[str, ...]:
        """Names of those that run when none is named."""
        return tuple(leg.name for leg in self.legs if not leg.asked_only)

    def component(self, name: str) -> ComponentSpec:
        """Raises KeyError for an unknown name."""
        return {component.name: component for component in self.components}[name]

    def leg(self, name: str) -> LegSpec:
        """Raises KeyError for an unknown name."""
        return {leg.name: leg for leg in self.legs}[name]
