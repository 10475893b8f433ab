# SPDX-License-Identifier: GPL-2.0-or-later
"""Which tests and groups fstests have, before they are built: `names.yaml`, a folder of sources, or a commit.

For telling a wrong name at once. What a test's groups are when it runs is read from the built tree (`selection`).
"""

import difflib
import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from reviewbot.config import load_yaml
from reviewbot.host.files import read_regular
from reviewbot.host.git import git
from reviewbot.model.base import Model
from reviewbot.model.errors import UsageError
from reviewbot.suites.selection import Groups, Words

NAMES = Path(__file__).with_name("names.yaml")
_BEGIN = re.compile(r"^_begin_fstest\s+(.*)$", re.MULTILINE)
_TEST = re.compile(r"[a-z0-9]+/[0-9]{3}(-[A-Za-z0-9-]+)?")
_PATH = re.compile(rf"tests/({_TEST.pattern})")
_HEAD = 8192
"""Bytes of a test within which it names its groups."""
_BUILT_IN = {"all", "auto"}
"""Groups that need no test to name them: `check` has them by itself."""


@dataclass(frozen=True, slots=True)
class Names:
    """Tests and groups that are known to be there."""

    tests: frozenset[str]
    """`generic/001`."""
    groups: frozenset[str]

    @classmethod
    def of(cls, groups: Groups) -> "Names":
        return cls(frozenset(groups), frozenset(name for its in groups.values() for name in its))

    def has_test(self, pattern: str) -> bool:
        """Whether a shell pattern names any."""
        wanted = pattern.removeprefix("tests/")
        return wanted in self.tests or any(fnmatchcase(test, wanted) for test in self.tests)

    def has_group(self, name: str) -> bool:
        """`quick`, `generic/quick`."""
        folder, _, group = name.rpartition("/")
        return (group in self.groups or group in _BUILT_IN) and (
            not folder or any(test.startswith(f"{folder}/") for test in self.tests)
        )


class _Shipped(Model):
    """Folder -> numbers of its tests, as ranges; names of groups."""

    tests: dict[str, str]
    groups: str


@functools.cache
def shipped(path: Path = NAMES) -> Names:
    """What fstests had when this reviewbot was made. Raises ConfigError."""
    found = load_yaml(path, _Shipped)
    tests = {f"{folder}/{number:03}" for folder, ranges in found.tests.items() for number in _numbers(ranges)}
    return Names(frozenset(tests), frozenset(found.groups.split()))


def _numbers(ranges: str) -> Iterator[int]:
    for word in ranges.split():
        first, _, last = word.partition("-")
        yield from range(int(first), int(last or first) + 1)


def groups_of_folder(folder: Path) -> Groups:
    """Of a folder of sources. Empty when it is none of fstests. Raises OSError."""
    found = {}
    for path in sorted(folder.glob("tests/*/[0-9][0-9][0-9]*")):
        name = str(path.relative_to(folder / "tests"))
        if _TEST.fullmatch(name) and (said := _BEGIN.search(read_regular(path, _HEAD))):
            found[name] = frozenset(said[1].split())
    lists = {path.parent.name: read_regular(path) for path in sorted(folder.glob("tests/*/group"))}
    return {**found, **_listed(lists)}


def groups_of_commit(repository: Path, commit: str) -> Groups:
    """Of a commit or another ref. Empty when it is none of fstests. Raises CommandFailed, CommandTimeout."""
    said = git(repository, "grep", "-I", "-E", "^_begin_fstest ", commit, "--", "tests", check=False, timeout=120)
    found = {}
    for line in said.output.splitlines():
        path, _, words = line.removeprefix(f"{commit}:").partition(":")
        if (test := _PATH.fullmatch(path)) and (groups := _BEGIN.match(words)):
            found[test[1]] = frozenset(groups[1].split())
    names = git(repository, "ls-tree", "--name-only", "-r", commit, "tests", timeout=120).output.splitlines()
    old = [path for path in names if re.fullmatch(r"tests/[a-z0-9]+/group", path)]
    lists = {path.split("/")[1]: git(repository, "show", f"{commit}:{path}", timeout=120).output for path in old}
    return {**found, **_listed(lists)}


def _listed(lists: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Before 2021 a file `group` per folder said which test is in which groups."""
    found = {}
    for folder, text in lists.items():
        for line in text.splitlines():
            number, *groups = line.split("#")[0].split() or [""]
            if _TEST.fullmatch(f"{folder}/{number}"):
                found[f"{folder}/{number}"] = frozenset(groups)
    return found


def check_names(words: Words, known: Names) -> None:
    """Raises UsageError for a test or group that cannot be there.

    A test whose number is above all that are known may be new, or the posting may add it: it passes.
    """
    for name in (*words.tests, *words.without_tests):
        if not known.has_test(name) and not _may_be_new(name, known):
            raise UsageError(f"fstests has no test {name}", hint=_range(name, known.tests))
    for name in (*words.groups, *words.without_groups):
        if not known.has_group(name):
            hint = _near(name, known.groups) or "doc/group-names.txt of fstests lists them"
            raise UsageError(f"fstests has no group {name}", hint=hint)


def _may_be_new(name: str, known: Names) -> bool:
    test = name.removeprefix("tests/")
    if not _TEST.fullmatch(test):
        return False
    folder, _, number = test.partition("/")
    highest = max(
        (int(other.partition("/")[2][:3]) for other in known.tests if other.startswith(f"{folder}/")), default=0
    )
    return int(number[:3]) > highest > 0


def _range(name: str, tests: Iterable[str]) -> str:
    """`generic has 001 to 787`, or a name that is alike."""
    folder = name.removeprefix("tests/").partition("/")[0]
    its = sorted(test.partition("/")[2] for test in tests if test.startswith(f"{folder}/"))
    return f"{folder} has {its[0]} to {its[-1]}" if its else _near(name, tests) or "tests are named like generic/001"


def _near(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, sorted(names), n=1, cutoff=0.75)
    return f"did you mean {near[0]}?" if near else ""
