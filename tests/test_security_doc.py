# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/security.md: each wall names the tests that attack it, and they are there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from reviewbot.host.walls import WAIVABLE

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "security.md").read_text()
_PATH = re.compile(r"`((?:[\w/]+/)?test_\w+\.py)`")


def tables() -> Iterator[tuple[list[str], list[list[str]]]]:
    """Head and rows of each table."""
    for block in re.findall(r"(?:^\|.*\n)+", TEXT, re.MULTILINE):
        head, _, *rows = ([cell.strip() for cell in line.strip("|\n").split(" | ")] for line in block.splitlines())
        yield head, rows


def named_in(cell: str) -> list[str]:
    """Paths of a cell; a name without a folder is in that of the one before it."""
    found: list[str] = []
    for name in _PATH.findall(cell):
        folder = name.rpartition("/")[0] or (found[-1].rpartition("/")[0] if found else "tests")
        found.append(f"{folder}/{name.rpartition('/')[2]}")
    return found


WALLS = [(row[0], row[-1]) for head, rows in tables() if head[-1] == "attacked by" for row in rows]


@pytest.mark.parametrize(("wall", "attackers"), WALLS, ids=[wall for wall, _ in WALLS])
def test_a_wall_names_tests_that_are_there_and_test_something(wall: str, attackers: str) -> None:
    named = named_in(attackers)
    assert named, "no test attacks it"
    for path in named:
        assert re.search(r"^def test_", (ROOT / path).read_text(), re.MULTILINE), path


def test_every_other_test_that_is_named_is_there() -> None:
    for line in TEXT.splitlines():
        for path in named_in(line):
            assert (ROOT / path).is_file(), path


def test_every_wall_of_the_box_has_its_row() -> None:
    assert {"namespaces", *WAIVABLE} <= {wall.strip("`") for wall, _ in WALLS}
    assert len(WALLS) > 30
