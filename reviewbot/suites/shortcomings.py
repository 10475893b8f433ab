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
from reviewbot.model.results import Known

FactOf = Callable[[str], Fact | None]
"""`component.fact` of the artifacts under test, None if there is no such."""
SHORTCOMINGS = Path(__file__).with_name("shortcomings.yaml")


class Shortcoming(Model):
    """One failure of a server that is no news."""

    legs: tuple[str, ...] = Field(min_length=1)
    """Shell patterns."""
    tests: tuple[str, ...] = Field(min_length=1)
    """Shell patterns of `suite/test`: `smoke/acl`, `fstests/*`."""
    says: str
    """Regular expression, searched for in the test's own words."""
    fsck: str = ""
    """Regular expression that each line of e2fsck's words must match, where e2fsck is what complains: all else that it
    finds is news."""
    components: tuple[str, ...] = Field(min_length=1)
    """Whose fault it is. Where a posting touches one of them, the failure is told with the verdict."""
    reason: str = Field(min_length=10)
    link: str = Field(pattern=r"^https?://")
    when: dict[str, str] = {}
    """`component.fact` -> shell pattern that the artifact's fact must match: `e2fsprogs.version: 1.47.*`."""

    @field_validator("says", "fsck")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return value

    def covers(self, leg: str, test: str, said: str, fsck: Sequence[str], fact: FactOf) -> bool:
        """Whether this complaint of a test (`suite/test`) is the one meant. fsck: e2fsck's lines, if it complains."""
        return (
            any(fnmatchcase(leg, pattern) for pattern in self.legs)
            and any(fnmatchcase(test, pattern) for pattern in self.tests)
            and all(fnmatchcase(str(fact(name)), pattern) for name, pattern in self.when.items())
            and bool(re.search(self.says, said))
            and all(re.search(self.fsck, line) for line in fsck)
            and (not fsck or bool(self.fsck))
        )


class Shortcomings(Model):
    """The file of them."""

    shortcomings: tuple[Shortcoming, ...] = ()


def load_shortcomings(path: Path = SHORTCOMINGS) -> tuple[Shortcoming, ...]:
    """Raises ConfigError that names file, line and key."""
    return load_yaml(path, Shortcomings).shortcomings


def known(
    leg: str, test: str, said: Sequence[str], entries: Sequence[Shortcoming], fact: FactOf, fsck: Sequence[str] = ()
) -> Known | None:
    """Why this failure is no news; None when one of its complaints is.

    test: `suite/test`. said: each of its complaints. fsck: what e2fsck said of the disks after the test.
    """
    found = []
    for complaint in said:
        lines = fsck if complaint.startswith("e2fsck finds ") else ()
        entry = next((entry for entry in entries if entry.covers(leg, test, complaint, lines, fact)), None)
        if entry is None:
            return None
        found.append(entry)
    if not found:
        return None
    first = found[0]
    components = tuple(dict.fromkeys(name for entry in found for name in entry.components))
    return Known(reason=first.reason, link=first.link, components=components)
