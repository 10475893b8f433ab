# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests that are left out, as data: each entry with its legs, condition, reason, link and end."""

import datetime
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from reviewbot.config import load_yaml
from reviewbot.model.base import Model
from reviewbot.model.results import Exclusion
from reviewbot.suites.conditions import FactOf, holds, parse_when, unknown_names

EXCLUDES = Path(__file__).with_name("excludes.yaml")


class Exclude(Model):
    """Tests that are left out, and why."""

    test: str = ""
    """Shell pattern, `generic/0[0-9]*`."""
    group: str = ""
    """Shell pattern."""
    legs: tuple[str, ...] = ()
    """Shell patterns; none: all legs."""
    when: str = ""
    """Condition, see `conditions`; empty: always."""
    reason: str = Field(min_length=10)
    link: str = Field(pattern=r"^https?://")
    expires: datetime.date | None = None
    """The last day it excludes. An entry by `test` is for a bug, so it must end; a group's may be a policy."""

    @field_validator("when")
    @classmethod
    def _understood(cls, value: str) -> str:
        parse_when(value)
        return value

    @model_validator(mode="after")
    def _whole(self) -> "Exclude":
        if bool(self.test) == bool(self.group):
            raise ValueError("needs either `test` or `group`")
        if self.test and self.expires is None:
            raise ValueError("an entry by `test` needs `expires`, the last day it excludes")
        return self

    @property
    def by(self) -> Literal["test", "group"]:
        return "test" if self.test else "group"

    @property
    def pattern(self) -> str:
        return self.test or self.group

    @property
    def words(self) -> str:
        """`excluded: REASON (LINK)`."""
        return f"excluded: {self.reason} ({self.link})"

    def in_leg(self, leg: str) -> bool:
        return not self.legs or any(fnmatchcase(leg, pattern) for pattern in self.legs)

    def matches(self, test: str, groups: frozenset[str]) -> bool:
        """Whether it is about `test`, which is in `groups`."""
        if self.test:
            return fnmatchcase(test, self.test)
        return any(fnmatchcase(group, self.group) for group in groups)

    def expired(self, today: datetime.date) -> bool:
        return self.expires is not None and today > self.expires

    def exclusion(self, tests: Sequence[str]) -> Exclusion:
        """As the results tell it."""
        return Exclusion(
            by=self.by,
            pattern=self.pattern,
            reason=self.reason,
            link=self.link,
            when=self.when,
            expires=self.expires,
            tests=tuple(sorted(tests)),
        )


class Excludes(Model):
    """The file of them."""

    excludes: tuple[Exclude, ...] = ()


def load_excludes(path: Path = EXCLUDES) -> tuple[Exclude, ...]:
    """Raises ConfigError that names file, line and key."""
    return load_yaml(path, Excludes).excludes


def state(exclude: Exclude, fact: FactOf, today: datetime.date) -> tuple[bool, str]:
    """Whether an entry that is about a selected test excludes it now, and what must be said of the entry or empty."""
    what = f"the exclude of {exclude.by} {exclude.pattern}"
    if unknown := unknown_names(exclude.when, fact):
        return False, f"{what} does not apply: nothing is known about {', '.join(unknown)} here"
    if not holds(exclude.when, fact):
        return False, ""
    if exclude.expired(today):
        return False, f"{what} expired on {exclude.expires}, its tests run again: {exclude.reason} ({exclude.link})"
    return True, ""
