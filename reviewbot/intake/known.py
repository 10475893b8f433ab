# SPDX-License-Identifier: GPL-2.0-or-later
"""Which files the components have, as far as their sources are in the cache. Nothing is fetched."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from reviewbot.host.git import git
from reviewbot.host.process import CommandFailed
from reviewbot.intake.routing import Exists

_BASES = ("base", "deb", "dir", "tarball")
"""Below refs/reviewbot/: what was fetched or imported; nothing that patches made."""
_NEWEST = 2
_MOST = 200
"""Paths that are looked up."""


def known_trees(cache: Path) -> Exists:
    """Looks a component's paths up in the newest of its bases; None if there is none."""

    def exists(component: str, paths: Sequence[str]) -> Mapping[str, bool] | None:
        repository = cache / "repos" / f"{component}.git"
        if not (repository / "HEAD").exists():
            return None
        try:
            refs = git(
                repository,
                "for-each-ref",
                "--sort=-committerdate",
                f"--count={_NEWEST}",
                "--format=%(objectname)",
                *(f"refs/reviewbot/{kind}" for kind in _BASES),
            ).output.split()
            if not refs:
                return None
            asked = [path for path in paths if "\n" not in path][:_MOST]
            lines = "".join(f"{ref}:{path}\n" for ref in refs for path in asked)
            said = git(
                repository,
                "cat-file",
                "--batch-check=%(objecttype)",
                stdin=lines.encode(errors="surrogateescape"),
                env={"GIT_NO_LAZY_FETCH": "1"},
            ).output.splitlines()
        except CommandFailed:
            return None
        there = [line in ("blob", "tree") for line in said]
        return {path: any(there[place :: len(asked)]) for place, path in enumerate(asked)}

    return exists
