# SPDX-License-Identifier: GPL-2.0-or-later
"""`git diff --check`: whitespace that no file wants, and markers that a merge left."""

import itertools
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from reviewbot.config import load_yaml
from reviewbot.host.git import git
from reviewbot.model.base import Model
from reviewbot.model.review import ReviewFinding, Severity
from reviewbot.review.blobs import read
from reviewbot.review.commits import Item
from reviewbot.review.text import one_line, some_lines

EXCLUDES = Path(__file__).with_name("whitespace.yaml")
_REMARK = re.compile(
    r"^(.+?):(\d+): (trailing whitespace|space before tab in indent|indent with spaces|"
    r"tab in indent|new blank line at EOF|leftover conflict marker)\.?$"
)
_CONFLICT = "leftover conflict marker"
# `=======` alone is also how a heading is underlined.
_CONFLICTED = re.compile(rb"^(<{7}|>{7}|\|{7})", re.MULTILINE)
_MOST = 2000
"""Remarks that are read; far more than are shown."""


class Exclude(Model):
    """Files whose whitespace is not the author's to choose."""

    path: str
    """Shell pattern; `*` matches slashes too."""
    components: tuple[str, ...] = ("*",)
    why: str = Field(min_length=10)


class Excludes(Model):
    """`whitespace.yaml`."""

    excludes: tuple[Exclude, ...] = ()


class Remark(NamedTuple):
    """One line of `git diff --check`."""

    file: str
    line: int
    what: str
    text: str
    """The line that it is about, with its sign; empty where git does not print it."""


def check_whitespace(item: Item, excludes: Sequence[Exclude]) -> list[ReviewFinding]:
    """Remarks on the lines that the commit adds."""
    repository, component = Path(item.tree.repository), item.tree.component
    said = git(
        repository,
        "-c",
        "core.quotePath=false",
        "diff-tree",
        "--check",
        "--no-color",
        "--root",
        "--no-ext-diff",
        "--no-textconv",
        "-r",
        "--no-commit-id",
        item.commit.id,
        check=False,
    ).output
    remarks = [r for r in parse_check(said) if not any(_matches(entry, component, r.file) for entry in excludes)][
        :_MOST
    ]
    suspects = sorted({remark.file for remark in remarks if remark.what == _CONFLICT})
    texts = read(repository, item.commit.id, suspects)
    headings = {file for file, text in texts.items() if not _CONFLICTED.search(text)}
    return [
        ReviewFinding(
            tool="whitespace",
            severity=Severity.ERROR if remark.what == _CONFLICT else Severity.WARNING,
            message=remark.what,
            file=one_line(remark.file),
            line=remark.line,
            detail=some_lines(remark.text[:1] + remark.text[1:].replace(" ", "·").replace("\t", "→")),
        )
        for remark in remarks
        if remark.what != _CONFLICT or remark.file not in headings
    ]


def parse_check(said: str) -> list[Remark]:
    """git prints the line below its remark with the sign in front, so no such line passes for a remark."""
    lines = [*said.split("\n"), ""]
    return [
        Remark(match[1], int(match[2]), match[3], following if following.startswith("+") else "")
        for line, following in itertools.pairwise(lines)
        if not line.startswith("+") and (match := _REMARK.match(line))
    ]


def _matches(entry: Exclude, component: str, file: str) -> bool:
    return fnmatchcase(file, entry.path) and any(fnmatchcase(component, pattern) for pattern in entry.components)


def load_excludes(path: Path = EXCLUDES) -> tuple[Exclude, ...]:
    """Raises ConfigError that names file, line and key."""
    return load_yaml(path, Excludes).excludes
