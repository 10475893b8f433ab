# SPDX-License-Identifier: GPL-2.0-or-later
"""Which fstests run: the words of `check`'s command line against the groups of a built tree, and our excludes."""

import datetime
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

from reviewbot.model.errors import UsageError
from reviewbot.model.results import Exclusion
from reviewbot.model.stack import LegSpec
from reviewbot.suites.conditions import FactOf
from reviewbot.suites.excludes import Exclude, state

_TEST = re.compile(r"[A-Za-z0-9_.-]+/[0-9]{3}[A-Za-z0-9-]*")

Groups = Mapping[str, frozenset[str]]
"""Test (`generic/001`) -> its groups."""


@dataclass(frozen=True, slots=True)
class Words:
    """A selection, taken apart as `check` does."""

    tests: tuple[str, ...]
    groups: tuple[str, ...]
    without_groups: tuple[str, ...]
    without_tests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """What a selection means in one leg."""

    tests: tuple[str, ...]
    """In order of their names."""
    groups: Groups = field(default_factory=dict)
    """Of all tests of the tree."""
    why_not: Mapping[str, str] = field(default_factory=dict)
    """Test of `tests` that is excluded -> `excluded: REASON (LINK)`."""
    excluded: tuple[Exclusion, ...] = ()
    """All entries that left out tests: of `tests` by name, and others by group."""
    notes: tuple[str, ...] = ()
    """What must be said of entries that did not apply."""

    def without(self, tests: Collection[str]) -> "Selection":
        """The same with fewer tests."""
        return replace(self, tests=tuple(test for test in self.tests if test not in tests))

    def also(self, tests: Collection[str]) -> "Selection":
        """The same with those of these that the tree has."""
        return replace(self, tests=tuple(sorted({*self.tests, *(test for test in tests if test in self.groups)})))


def parse(selection: str) -> Words:
    """`-g quick,generic/attr -x dangerous -e generic/001 generic/002,generic/003`. Raises UsageError."""
    try:
        words = shlex.split(selection)
    except ValueError as error:
        raise UsageError(f"--tests {selection!r}: {error}") from error
    found: dict[str, list[str]] = {"": [], "-g": [], "-x": [], "-e": []}
    option = ""
    for word in words:
        if word.startswith("-"):
            if word not in found or option:
                raise UsageError(f"--tests: unknown word {word}", hint="use -g, -x, -e and names of tests")
            option = word
            continue
        found[option] += [name for name in re.split(r"[,\s]+", word) if name]
        option = ""
    if option:
        raise UsageError(f"--tests: {option} needs a name")
    return Words(tuple(found[""]), tuple(found["-g"]), tuple(found["-x"]), tuple(found["-e"]))


def read_groups(fstests: Path) -> Groups:
    """All tests of a built tree by its tests/*/group.list files. Raises UsageError when there are none."""
    found: dict[str, frozenset[str]] = {}
    for path in sorted((fstests / "tests").glob("*/group.list")):
        for line in path.read_text(errors="replace").splitlines():
            name, *groups = line.split("#")[0].split() or [""]
            if _TEST.fullmatch(f"{path.parent.name}/{name}"):
                found[f"{path.parent.name}/{name}"] = frozenset(groups)
    if not found:
        raise UsageError(f"{fstests} has no tests/*/group.list: it is not a built fstests tree")
    return found


def choose(
    words: Words,
    groups: Groups,
    leg: LegSpec,
    excludes: Sequence[Exclude],
    fact: FactOf = lambda name: None,
    today: datetime.date | None = None,
) -> Selection:
    """The tests in order of their names. Raises UsageError for an unknown test or group, or when none is left.

    Without names and groups: group `auto`, as `check` does. Excludes by group do not touch what was named, nor a
    group that was asked for; a test that is excluded by name stays, and says why it is not run.
    fact: of what is under test, for conditions. today: [now], for entries that end.
    """
    folders = ("generic", "shared", leg.fstyp)
    named = {test for name in words.tests for test in _named(name, groups)}
    wanted = words.groups or (() if words.tests else ("auto",))
    grouped = {test for group in wanted for test in _members(group, groups, folders)}
    without = {test for group in words.without_groups for test in _members(group, groups, folders)}
    without |= {test for name in words.without_tests for test in _named(name, groups)}
    chosen = (named | grouped) - without
    found: list[Exclusion] = []
    notes: list[str] = []
    why_not: dict[str, str] = {}
    for exclude in excludes:
        if not exclude.in_leg(leg.name):
            continue
        within = chosen - why_not.keys()
        if exclude.group:
            asked = any(fnmatchcase(group.rpartition("/")[2], exclude.group) for group in wanted)
            within = set() if asked else within - named
        about = {test for test in within if exclude.matches(test, groups[test])}
        applies, note = state(exclude, fact, today or datetime.date.today()) if about else (False, "")
        notes += [note] if note else []
        if applies:
            found.append(exclude.exclusion(sorted(about)))
            if exclude.group:
                chosen -= about
            else:
                why_not |= dict.fromkeys(about, exclude.words)
    if not chosen:
        raise UsageError("--tests selects no tests", hint="see tests/*/group.list of fstests")
    return Selection(tuple(sorted(chosen)), groups, why_not, tuple(found), tuple(notes))


def _named(name: str, groups: Groups) -> list[str]:
    found = [test for test in groups if fnmatchcase(test, name.removeprefix("tests/"))]
    if not found:
        raise UsageError(f"fstests has no test {name}", hint="tests are named like generic/001")
    return found


def _members(group: str, groups: Groups, folders: Sequence[str]) -> set[str]:
    """`quick`, `generic/quick`; `all` is every test of the folders."""
    folder, _, name = group.rpartition("/")
    places = (folder,) if folder else folders
    found = {
        test for test, its in groups.items() if test.partition("/")[0] in places and (name == "all" or name in its)
    }
    if not found:
        raise UsageError(f"fstests has no group {group} for this leg", hint="see doc/group-names.txt of fstests")
    return found
