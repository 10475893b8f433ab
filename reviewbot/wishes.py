# SPDX-License-Identifier: GPL-2.0-or-later
"""Names that a user gives: those that cannot be meant are refused before anything is fetched or built."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reviewbot.config import choose_variant, load_stack
from reviewbot.host.process import CommandFailed, CommandTimeout
from reviewbot.model.errors import UsageError
from reviewbot.model.stack import Source, Stack
from reviewbot.model.trees import Trees
from reviewbot.store import Store
from reviewbot.suites import names, selection
from reviewbot.suites.names import Names

SUITES = ("smoke", "fstests")
FSTESTS = "fstests"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was asked for by name; empty: what the stack has."""

    legs: Sequence[str] = ()
    suites: Sequence[str] = SUITES
    tests: str = ""
    variants: Sequence[str] = ()
    bases: Iterable[str] = ()
    """Components whose base was named."""


def check_wishes(wishes: Wishes, stack: Stack, cache: Path) -> None:
    """What can be said without fetching anything. Raises UsageError, ConfigError."""
    _among(wishes.legs, [leg.name for leg in stack.legs], f"stack {stack.name} has no leg", "legs")
    _among(wishes.suites, SUITES, "no suite", "suites")
    _among(wishes.bases, [component.name for component in stack.components], "--base: no such component", "components")
    choose_variant(wishes.variants)
    words = selection.parse(wishes.tests)
    if wishes.tests and FSTESTS in wishes.suites and (known := _known(stack, cache)):
        names.check_names(words, known)


def check_tests(wishes: Wishes, stack: Stack, trees: Trees) -> None:
    """The selection against the patched fstests, once these are there and before they are built. Raises UsageError."""
    tree = trees.get(FSTESTS)
    if not wishes.tests or FSTESTS not in wishes.suites or tree is None:
        return
    try:
        groups = names.groups_of_commit(Path(tree.repository), tree.head_commit)
    except (CommandFailed, CommandTimeout):
        return  # the built tree has the last word
    words = selection.parse(wishes.tests)
    for leg in (leg for leg in stack.legs if groups and (not wishes.legs or leg.name in wishes.legs)):
        selection.choose(words, groups, leg, ())


def _among(given: Iterable[str], there: Sequence[str], problem: str, what: str) -> None:
    for name in given:
        if name not in there:
            near = difflib.get_close_matches(name, there, n=1, cutoff=0.75)
            meant = f"did you mean {near[0]}? " if near else ""
            raise UsageError(f"{problem} {name}", hint=f"{meant}{what}: {', '.join(there)}")


def _known(stack: Stack, cache: Path) -> Names | None:
    """Tests and groups of the fstests that would be tested with; None: only fetching them will tell."""
    source = stack.component(FSTESTS).source
    if local := _local(source):
        return Names.of(local)
    if source != load_stack(stack.name).component(FSTESTS).source:
        return None
    built = [Names.of(selection.read_groups(folder)) for folder in _built(cache)]
    return Names(
        names.shipped().tests.union(*(one.tests for one in built)),
        names.shipped().groups.union(*(one.groups for one in built)),
    )


def _local(source: Source) -> Mapping[str, frozenset[str]]:
    """Of a folder or repository on this machine; empty when it is elsewhere, or no fstests."""
    try:
        if source.provider == "dir":
            return names.groups_of_folder(Path(source.path))
        if source.provider == "git" and (place := Path(source.url)).is_dir():
            return names.groups_of_commit(place / ".git" if (place / ".git").exists() else place, source.ref or "HEAD")
    except (OSError, CommandFailed, CommandTimeout):
        pass  # a run will say what is wrong with it
    return {}


def _built(cache: Path) -> Iterator[Path]:
    for artifact in Store(cache).of(FSTESTS):
        folder = Path(artifact.path) / "root" / "stack" / "fstests"
        if any((folder / "tests").glob("*/group.list")):
            yield folder
