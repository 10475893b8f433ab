# SPDX-License-Identifier: GPL-2.0-or-later
"""CONTRIBUTING.md leads to what is there."""

import ast
import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text()
FILES = sorted(set(re.findall(r"`((?:reviewbot|qemu|stacks|kconfigs|tests|tools|workflows)/[\w./*-]*)`", TEXT)))
PLACES = re.findall(r"`((?:reviewbot|qemu)/\S+?\.py)::(\w+)`", TEXT)


def defined(path: Path) -> set[str]:
    """Functions, classes, methods and constants of a file."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    return names | {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


@pytest.mark.parametrize(("file", "name"), PLACES, ids="::".join)
def test_each_answer_of_the_map_is_where_it_says(file: str, name: str) -> None:
    assert name in defined(ROOT / file)


def test_the_map_answers_fifteen_questions() -> None:
    rows = re.findall(r"^\| [a-z][^|]*\? \| (.*) \|$", TEXT, re.MULTILINE)
    assert len(rows) == 15 and all("::" in row for row in rows)


@pytest.mark.parametrize("path", FILES)
def test_each_place_to_change_something_is_there(path: str) -> None:
    assert list(ROOT.glob(path.rstrip("/")))
