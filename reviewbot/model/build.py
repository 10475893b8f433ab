# SPDX-License-Identifier: GPL-2.0-or-later
"""The stack at exact commits, built."""

from collections.abc import Mapping

from reviewbot.model.artifacts import Artifacts
from reviewbot.model.base import Model
from reviewbot.model.trees import Trees
from reviewbot.model.variants import PLAIN, Variant

HEAD, BASE = "head", "base"


def side_of(commits: Mapping[str, str]) -> str:
    """Name of the stack with these components at these commits, the others at base: `base`, `kernel-0123456789ab`."""
    return "+".join(f"{component}-{commit[:12]}" for component, commit in sorted(commits.items())) or BASE


class Build(Model):
    """One stack that tests can run on: which commits, and what was built of them."""

    side: str = HEAD
    """`head`, `base`, or what is between; see `side_of`."""
    trees: Trees
    """Component -> commit and tree: those that were built are the trees' heads."""
    artifacts: Artifacts
    variant: Variant = PLAIN

    @property
    def patched(self) -> frozenset[str]:
        """Components with patches: what machines of this stack say is believed for this stack only."""
        return self.trees.patched
