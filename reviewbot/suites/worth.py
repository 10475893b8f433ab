# SPDX-License-Identifier: GPL-2.0-or-later
"""What a test is worth to the reader of a posting: what the posting touches, what went wrong lately, what is new."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import Field

from reviewbot.config import load_yaml
from reviewbot.model.base import Model
from reviewbot.model.results import Outcome, Results

WORTH = Path(__file__).with_name("worth.yaml")
BASE = 0.2
"""Of any test."""
TOUCHED, TOUCHED_MORE = 6.0, 1.0
"""Of a test in one group that the posting touches, and of each further one, up to three."""
FAILED, FLAKY, DIFFERENT = 5.0, 3.0, 2.0
"""Of a test that failed the last time, had several outcomes lately, or does not come out alike in all legs."""
COVERAGE = 1.0
"""Of the first test of a group in a leg; half of it for the second, a quarter for the third, …"""
_BROKEN = (Outcome.FAIL, Outcome.CRASH, Outcome.HANG)


class Touched(Model):
    """Groups that exercise some files of a component."""

    component: str
    paths: tuple[str, ...] = Field(min_length=1)
    """Shell patterns; `*` crosses slashes."""
    groups: tuple[str, ...] = Field(min_length=1)
    why: str = Field(min_length=4)


class Worth(Model):
    """The file of them."""

    touched: tuple[Touched, ...]


@functools.cache
def load_touched(path: Path = WORTH) -> tuple[Touched, ...]:
    """Raises ConfigError that names file, line and key."""
    return load_yaml(path, Worth).touched


def touched_groups(changed: Mapping[str, Iterable[str]], entries: Sequence[Touched]) -> frozenset[str]:
    """changed: component -> paths that the posting's patches touch; `*`: any of its files."""
    found: set[str] = set()
    for entry in entries:
        paths = changed.get(entry.component, ())
        if any(path == "*" or fnmatchcase(path, pattern) for path in paths for pattern in entry.paths):
            found |= set(entry.groups)
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class Lately:
    """What recent runs said of tests; each is (leg, test)."""

    failed: frozenset[tuple[str, str]] = frozenset()
    """Broken the last time."""
    flaky: frozenset[tuple[str, str]] = frozenset()
    """Passed once and was broken once."""
    different: frozenset[str] = frozenset()
    """Tests that passed in one leg and were broken in another of the same run."""


def lately(runs: Sequence[Results]) -> Lately:
    """runs: the newest last."""
    history: dict[tuple[str, str], list[bool]] = {}
    different: set[str] = set()
    for run in runs:
        here: dict[str, set[bool]] = {}
        for leg in run.legs:
            for test in leg.tests:
                if test.suite == "fstests" and test.outcome in (Outcome.PASS, *_BROKEN):
                    passed = test.outcome is Outcome.PASS
                    history.setdefault((leg.leg, test.test), []).append(passed)
                    here.setdefault(test.test, set()).add(passed)
        different |= {test for test, answers in here.items() if len(answers) > 1}
    return Lately(
        frozenset(name for name, answers in history.items() if not answers[-1]),
        frozenset(name for name, answers in history.items() if len(set(answers)) > 1),
        frozenset(different),
    )


@dataclass(slots=True)
class Judge:
    """Worth of the next test, given those that were taken: it never rises as more are taken."""

    groups: Mapping[str, frozenset[str]]
    touched: frozenset[str] = frozenset()
    lately: Lately = Lately()
    taken: dict[tuple[str, str], int] = field(default_factory=dict)
    """(leg, group) -> tests of it that were taken."""

    def worth(self, leg: str, test: str) -> float:
        its = self.groups.get(test, frozenset())
        touched = min(len(its & self.touched), 4)
        found = BASE + (TOUCHED + TOUCHED_MORE * (touched - 1) if touched else 0.0)
        found += FAILED if (leg, test) in self.lately.failed else 0.0
        found += FLAKY if (leg, test) in self.lately.flaky else 0.0
        found += DIFFERENT if test in self.lately.different else 0.0
        taken = (min(self.taken.get((leg, group), 0), 60) for group in sorted(its))
        return found + sum(COVERAGE * 0.5**count for count in taken)

    def take(self, leg: str, test: str) -> None:
        for group in self.groups.get(test, frozenset()):
            self.taken[leg, group] = self.taken.get((leg, group), 0) + 1
