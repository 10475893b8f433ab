# SPDX-License-Identifier: GPL-2.0-or-later
"""What servers are known to get wrong without any patch, as data."""

import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import Field, field_validator

from reviewbot.config import load_yaml
from reviewbot.model.artifacts import Fact
from reviewbot.model.base import Model

FactOf = Callable[[str], Fact | None]
"""`component.fact` of the artifacts under test, None if there is no such."""
SHORTCOMINGS = Path(__file__).with_name("shortcomings.yaml")


class Shortcoming(Model):
    """One check that a server fails in one known way."""

    legs: tuple[str, ...] = Field(min_length=1)
    """Shell patterns."""
    check: str
    says: str
    """Regular expression, searched for in the check's own words."""
    reason: str = Field(min_length=10)
    link: str = Field(pattern=r"^https?://")
    when: dict[str, str] = {}
    """`component.fact` -> shell pattern that the artifact's fact must match: `e2fsprogs.version: 1.47.*`."""

    @field_validator("says")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"no regular expression: {error}") from error
        return value


class Shortcomings(Model):
    """The file of them."""

    shortcomings: tuple[Shortcoming, ...] = ()


def load_shortcomings(path: Path = SHORTCOMINGS) -> tuple[Shortcoming, ...]:
    """Raises ConfigError that names file, line and key."""
    return load_yaml(path, Shortcomings).shortcomings


def known(leg: str, check: str, said: str, entries: Sequence[Shortcoming], fact: FactOf) -> str:
    """Why this failure is no news, with what was said and the entry's link, or an empty string."""
    for entry in entries:
        here = any(fnmatchcase(leg, pattern) for pattern in entry.legs)
        here = here and all(fnmatchcase(str(fact(name)), pattern) for name, pattern in entry.when.items())
        if here and entry.check == check and re.search(entry.says, said):
            return f"known: {said}: {entry.reason} ({entry.link})"
    return ""
