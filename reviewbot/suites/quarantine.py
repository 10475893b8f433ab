# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests whose failures decide nothing for now, as data: each entry with its reason, link and end."""

import datetime
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import Field, field_validator

from reviewbot.config import Site, load_yaml
from reviewbot.model.base import Model
from reviewbot.model.comparison import Quarantine


class Entry(Model):
    """Failures of some tests."""

    tests: tuple[str, ...] = Field(min_length=1)
    """Shell patterns of `suite/test`: `fstests/generic/475`, `smoke/*`."""
    legs: tuple[str, ...] = ()
    """Shell patterns; none: all legs."""
    says: str = ""
    """Regular expression, searched for in the test's reason; empty: whatever it says."""
    reason: str = Field(min_length=10)
    link: str = Field(pattern=r"^https?://")
    expires: datetime.date
    """The last day on which it holds."""

    @field_validator("says")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return value

    def covers(self, leg: str, test: str, said: str) -> bool:
        """test: `suite/test`. said: the reason of its failure."""
        return (
            any(fnmatchcase(test, pattern) for pattern in self.tests)
            and (not self.legs or any(fnmatchcase(leg, pattern) for pattern in self.legs))
            and bool(re.search(self.says, said))
        )


class Entries(Model):
    """The file of them."""

    quarantine: tuple[Entry, ...] = ()


def load_quarantine(site: Site) -> tuple[Entry, ...]:
    """Of the site's file; none without one. Raises ConfigError that names file, line and key."""
    return load_yaml(Path(site.quarantine), Entries).quarantine if site.quarantine else ()


def quarantined(
    entries: Sequence[Entry], leg: str, test: str, said: str, today: datetime.date | None = None
) -> Quarantine | None:
    """The entry for a failure: one that holds if there is any, else one that has expired, which is told."""
    day = today or datetime.datetime.now(datetime.UTC).date()
    found = sorted((one for one in entries if one.covers(leg, test, said)), key=lambda one: one.expires, reverse=True)
    if not found:
        return None
    first = found[0]
    return Quarantine(reason=first.reason, link=first.link, expires=first.expires, expired=first.expires < day)
