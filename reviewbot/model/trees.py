# SPDX-License-Identifier: GPL-2.0-or-later
"""What is built: every component at an exact commit, and why that one."""

from typing import Literal

from reviewbot.model.base import Model


class Attempt(Model):
    """One thing tried while choosing a base or reaching a source."""

    what: str
    result: str


class AppliedPatch(Model):
    """One commit of head that is not in base, or a patch that base already has."""

    message_id: str
    """Empty when it was fetched with git."""
    subject: str
    commit: str
    """Of head; of the upstream commit when `merged`, empty if only the change was found there."""
    merged: bool = False
    """Base has this change already (same patch-id): it was left out."""
    prerequisite: bool = False
    """Of a prerequisite, not of the posting."""


class Stopped(Model):
    """The patch that a component's base does not take."""

    what: str
    """One line: `kernel part 1/9 patch 3/33 “…” does not apply at fs/fuse/file.c:123`."""
    message_id: str
    detail: tuple[str, ...] = ()
    """git's words, the hunk, what the base has in its place, which other base would take it."""


class Tree(Model):
    """One component before and after its parts. All ids are full git object names."""

    component: str
    repository: str
    """Path of the bare repository in the cache that holds all commits named here."""
    source: str
    """One line: provider, URL or package and version."""
    provider: Literal["git", "deb", "dir", "tarball", ""] = ""
    """Of the source. Commits of others than git were made here by importing files: nobody else has them."""
    url: str = ""
    """Of a git or tarball source."""
    base_commit: str
    base_tree: str
    base_why: str
    head_commit: str
    head_tree: str
    head_date: int = 0
    """Committer date of head, seconds since the epoch; builds use it as SOURCE_DATE_EPOCH."""
    justified: bool = True
    """False: nothing in the posting or the sources speaks for this base but that it is the default."""
    patches: tuple[AppliedPatch, ...] = ()
    """In the order of head's history; merged ones in the order of the posting."""
    attempts: tuple[Attempt, ...] = ()
    stopped: Stopped | None = None
    """Set: head is base, because this patch does not apply; only where bases were tried, not in a run."""

    @property
    def below(self) -> str:
        """The commit that the posting's own patches stand on: base, or the last of the prerequisites right above it."""
        commit = self.base_commit
        for patch in self.patches:
            if not patch.prerequisite:
                break
            commit = patch.commit or commit
        return commit


class Trees(Model):
    """All components of a run."""

    trees: tuple[Tree, ...]
    unavailable: dict[str, str] = {}
    """Component -> reason, for sources that could not be had."""

    @property
    def patched(self) -> frozenset[str]:
        """Components with patches."""
        return frozenset(tree.component for tree in self.trees if tree.patches)

    def get(self, component: str) -> Tree | None:
        return next((t for t in self.trees if t.component == component), None)
