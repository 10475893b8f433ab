# SPDX-License-Identifier: GPL-2.0-or-later
"""What the builds leave behind."""

from reviewbot.model.base import Model

Fact = str | int | bool

PART = "artifact "
"""Prefix of those inputs of a payload that are the artifacts put into it; its other inputs are our own programs."""


class Artifact(Model):
    """One folder of the store."""

    kind: str
    """`kernel`, `libfuse`, `e2fsprogs`, `lkl`, `fstests`, `buildroot`, `guest`, …"""
    key: str
    """Hash of all inputs, hex."""
    path: str
    """Folder with the files, where the store is now: no record on disk holds it."""
    content: str = ""
    """Hash of the names, modes and contents of all its files, hex; empty: they were not hashed."""
    facts: dict[str, Fact] = {}
    """What was checked after building: `{"fuse4fs": True, "libfuse": "3.19.0", "release": "7.1.0-rb-…"}`."""
    inputs: dict[str, str] = {}
    """What the key was made of."""
    seconds: float = 0.0
    """Wall time the build took, when it was built."""
    reused: bool = False
    """True: came from the store in this run."""


class Artifacts(Model):
    """All artifacts of a run by kind, and why the others are missing."""

    artifacts: dict[str, Artifact] = {}
    unavailable: dict[str, str] = {}
    unprovable: dict[str, str] = {}
    """Proof (`iomap`) -> why no leg can give it, as far as that is known before anything is booted."""

    def fact(self, name: str) -> Fact | None:
        """`component.fact`, or None if there is no such artifact or fact."""
        kind, _, fact = name.partition(".")
        artifact = self.artifacts.get(kind)
        return artifact.facts.get(fact) if artifact else None
