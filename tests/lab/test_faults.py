# SPDX-License-Identifier: GPL-2.0-or-later
"""`docs/faults.md` promises nothing that no test proves."""

import ast
import re
from pathlib import Path

import pytest

from reviewbot.lab import job
from reviewbot.model.shard import MAX_LOSSES
from reviewbot.suites import limits

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "faults.md").read_text()
ROWS = [line.strip("| ").split(" | ") for line in TEXT.splitlines() if line.startswith("| ")]
FAULTS = [row for row in ROWS if row[0] != "fault" and not row[0].startswith("---")]


def functions(path: Path) -> set[str]:
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("row", FAULTS, ids=lambda row: row[0])
def test_every_fault_names_what_is_collected_its_outcome_and_an_existing_test(row: list[str]) -> None:
    assert len(row) == 5 and all(row)
    proof = re.fullmatch(r"`(tests/[\w/]+\.py)::(test_\w+)`", row[4])
    assert proof and proof[2] in functions(ROOT / proof[1])


def test_every_test_of_the_watchdog_is_in_the_table() -> None:
    proofs = {row[4].strip("`").partition("::")[2] for row in FAULTS}
    named = {name for name in functions(ROOT / "tests" / "lab" / "test_watchdog_vm.py") if name.startswith("test_")}
    assert named and named <= proofs


def test_the_figures_are_those_of_the_code() -> None:
    words = " ".join(TEXT.split())
    assert f"at least {limits.LEAST:.0f} s and at most half an hour" in words and limits.MOST == 1800
    assert f"{limits.UNKNOWN:.0f} s if nothing is known" in words and f"have {limits.LONG_RW:.0f} s more" in words
    assert "those of `soak` three times" in words and limits.SOAK_TIMES == 3
    assert f"says nothing for {job.SILENCE:.0f} s, or does not come back {job.GRACE:.0f} s after a limit" in words
    assert f"loses {MAX_LOSSES} machines" in words
