# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a queue of patches a commit has already, and what of the rest it takes."""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reviewbot.host.git import git
from reviewbot.model.words import patch_name
from reviewbot.trees.history import Searched, merged
from reviewbot.trees.line_ends import with_crlf
from reviewbot.trees.probe import Probe, probe, reverts
from reviewbot.trees.queue import Queued


@dataclass(frozen=True, slots=True)
class Has:
    """A patch that a commit has already."""

    entry: Queued
    commit: str
    """The commit behind it that has the same patch-id; empty: the change is there, its commit is not known."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A queue on one commit."""

    kept: tuple[Queued, ...]
    """What is to be applied."""
    has: tuple[Has, ...]
    probe: Probe
    """Of `kept`."""
    searched: Searched
    hint: str = ""
    """One line on the patch that does not apply."""

    @property
    def all_merged(self) -> bool:
        """Whether nothing of the posting itself is left to apply."""
        own = any(not has.entry.prerequisite for has in self.has)
        return own and all(entry.prerequisite for entry in self.kept)

    @property
    def crlf(self) -> int:
        """How many patches got their carriage returns back."""
        return sum(entry.crlf for entry in self.kept)


def fit(repository: Path, commit: str, queue: Sequence[Queued], date: int | None) -> Fit:
    """Try the queue without the patches that are among the commits behind `commit`.

    date: when they were sent, seconds since the epoch, 0 if nobody knows; None: nothing is searched, all are tried.
    A prerequisite also counts as there when it can be taken back cleanly; of a patch of the posting that is only said.
    """
    searched = merged(repository, commit, queue, date) if date is not None else Searched({}, 0, "not searched")
    has = [Has(entry, searched.found[entry.patch_id]) for entry in queue if entry.patch_id in searched.found]
    kept = tuple(entry for entry in queue if entry.patch_id not in searched.found)
    found = probe(repository, commit, [entry.diff for entry in kept])
    if not found.all and any(entry.prerequisite for entry in kept):
        present = {entry.patch.message_id for entry in _undoable(repository, commit, kept)}
        has += [Has(entry, "") for entry in kept if entry.patch.message_id in present]
        kept = tuple(entry for entry in kept if entry.patch.message_id not in present)
        found = probe(repository, commit, [entry.diff for entry in kept])
    if not found.all and (restored := _with_crlf(repository, commit, kept)) != kept:
        better = probe(repository, commit, [entry.diff for entry in restored])
        kept, found = (restored, better) if better.applied > found.applied else (kept, found)
    hint = ""
    if not found.all and reverts(repository, commit, [kept[found.applied].diff]):
        hint = "base seems to have this change already: it can be reverted there"
    return Fit(kept, tuple(has), found, searched, hint)


def _undoable(repository: Path, commit: str, kept: Sequence[Queued]) -> list[Queued]:
    """Prerequisites that the commit has: all of them taken back from the last to the first, or else one by one."""
    below = [entry for entry in kept if entry.prerequisite]
    if len(below) > 1 and reverts(repository, commit, [entry.diff for entry in reversed(below)]):
        return below
    return [entry for entry in below if reverts(repository, commit, [entry.diff])]


def _with_crlf(repository: Path, commit: str, kept: tuple[Queued, ...]) -> tuple[Queued, ...]:
    @functools.cache
    def content(path: str) -> bytes:
        done = git(repository, "cat-file", "blob", f"{commit}:{path}", check=False)
        return done.output.encode() if done.status == 0 else b""

    mails = [with_crlf(entry.mail, entry.diff, content) for entry in kept]
    return tuple(
        entry if mail is entry.mail else replace(entry, mail=mail, diff=mail.partition(b"\n\n")[2], crlf=True)
        for mail, entry in zip(mails, kept, strict=True)
    )


def failure_place(found: Fit) -> str:
    """`patch 3/33 “fuse: …” at fs/fuse/file.c:123` of the first patch that a fit does not take."""
    entry = found.kept[found.probe.applied]
    place = place_of(found.probe.words)
    kind = "prerequisite patch" if entry.prerequisite else "patch"
    name = patch_name(entry.part.component, entry.part.counter, entry.patch.number, entry.total, kind)
    return f"{name} “{entry.patch.subject}”{f' at {place}' if place else ''}"


def place_of(words: str) -> str:
    """`file:line`, or the file, that git's words name."""
    if match := re.search(r"^error: patch failed: (.+):(\d+)$", words, re.MULTILINE):
        return f"{match[1]}:{match[2]}"
    other = re.search(r"^error: (.+?): (?!patch does not apply).+$", words, re.MULTILINE)
    return other[1] if other else ""
