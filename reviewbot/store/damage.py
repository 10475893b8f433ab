# SPDX-License-Identifier: GPL-2.0-or-later
"""Artifacts that are not as they were made."""

from collections.abc import Callable
from dataclasses import dataclass

from reviewbot.model.progress import Event, Progress


@dataclass(frozen=True, slots=True)
class Damaged:
    """An artifact that counts as absent, though its folder is there."""

    kind: str
    key: str
    name: str
    """The first file that differs, relative to the artifact's folder."""
    how: str
    """`missing`, `added`, `changed`, `unreadable`."""

    def __str__(self) -> str:
        said = {"missing": "is missing", "added": "does not belong there", "changed": "was modified"}
        return f"the {self.kind} in the cache is damaged: {self.name} {said.get(self.how, 'cannot be read')}"


Told = Callable[[Damaged], None]


def untold(damaged: Damaged) -> None:
    """A Told that nobody hears."""


def telling(progress: Progress) -> Told:
    """One line of progress for each."""
    return lambda damaged: progress(Event("build", damaged.kind, "say", f"{damaged}; rebuilding it"))
