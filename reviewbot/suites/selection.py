# SPDX-License-Identifier: GPL-2.0-or-later
"""Which fstests run: the words of `check`'s command line against the groups of a built tree, and our excludes."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import Field, model_validator

from reviewbot.config import load_yaml
from reviewbot.model.base import Model
from reviewbot.model.errors import UsageError
from reviewbot.model.stack import LegSpec

EXCLUDES = Path(__file__).with_name("excludes.yaml")
_TEST = re.compile(r"[A-Za-z0-9_.-]+/[0-9]{3}[A-Za-z0-9-]*")

Groups = Mapping[str, frozenset[str]]
"""Test (`generic/001`) -> its groups."""


class Exclude(Model):
    """Tests that are left out, and why."""

    test: str = ""
    """Shell pattern, `generic/0[0-9]*`."""
    group: str = ""
    """Shell pattern."""
    legs: tuple[str, ...] = ()
    """Shell patterns; none: all legs."""
    reason: str = Field(min_length=10)
    link: str = Field(pattern=r"^https?://")

    @model_validator(mode="after")
    def _one_of(self) -> "Exclude":
        if bool(self.test) == bool(self.group):
            raise ValueError("needs either `test` or `group`")
        return self

    def applies(self, leg: str, test: str, groups: frozenset[str]) -> bool:
        """Whether `test`, which is in `groups`, is left out of this leg."""
        if self.legs and not any(fnmatchcase(leg, pattern) for pattern in self.legs):
            return False
        if self.test:
            return fnmatchcase(test, self.test)
        return any(fnmatchcase(group, self.group) for group in groups)


class Excludes(Model):
    """The file of them."""

    excludes: tuple[Exclude, ...] = ()


@dataclass(frozen=True, slots=True)
class Words:
    """A selection, taken apart as `check` does."""

    tests: tuple[str, ...]
    groups: tuple[str, ...]
    without_groups: tuple[str, ...]
    without_tests: tuple[str, ...]


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
                raise UsageError(f"--tests: {word} is not understood", hint="use -g, -x, -e and names of tests")
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
        raise UsageError(f"{fstests} has no tests/*/group.list: it is no built fstests")
    return found


def choose(words: Words, groups: Groups, leg: LegSpec, excludes: Sequence[Exclude]) -> tuple[str, ...]:
    """The tests in order of their names. Raises UsageError for an unknown test or group, or when none is left.

    Without names and groups: group `auto`, as `check` does. Excludes by group do not touch what was named, nor a
    group that was asked for; excludes by test are left to `excluded`, which says why a test was not run.
    """
    folders = ("generic", "shared", leg.fstyp)
    named = {test for name in words.tests for test in _named(name, groups)}
    wanted = words.groups or (() if words.tests else ("auto",))
    grouped = {test for group in wanted for test in _members(group, groups, folders)}
    for exclude in excludes:
        if exclude.group and not any(fnmatchcase(g.rpartition("/")[2], exclude.group) for g in wanted):
            grouped -= {test for test in grouped if exclude.applies(leg.name, test, groups[test])}
    chosen = named | grouped
    for group in words.without_groups:
        chosen -= _members(group, groups, folders)
    for name in words.without_tests:
        chosen -= set(_named(name, groups))
    if not chosen:
        raise UsageError("--tests selects nothing", hint="see tests/*/group.list of fstests")
    return tuple(sorted(chosen))


def excluded(leg: LegSpec, test: str, excludes: Sequence[Exclude]) -> str:
    """Why this test is not run in this leg, with its link, or an empty string."""
    for exclude in excludes:
        if exclude.test and exclude.applies(leg.name, test, frozenset()):
            return f"excluded: {exclude.reason} ({exclude.link})"
    return ""


def load_excludes(path: Path = EXCLUDES) -> tuple[Exclude, ...]:
    """Raises ConfigError that names file, line and key."""
    return load_yaml(path, Excludes).excludes


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
