# SPDX-License-Identifier: GPL-2.0-or-later
"""`docs/faults.md` promises nothing that no test proves: its table is made of the tests."""

import ast

import pytest

from reviewbot.lab import machine_run
from reviewbot.model.results import Outcome
from reviewbot.model.shard import MAX_LOSSES
from reviewbot.suites import limits
from tests.faults import PAGE, ROOT, Fault, faults, written

TEXT = PAGE.read_text()
FAULTS = tuple(faults())
OUTCOMES = ("its own", "none", *(str(outcome) for outcome in Outcome))


def test_the_table_is_that_of_the_tests() -> None:
    assert written(TEXT) == TEXT, "run `python -m tests.faults`"


@pytest.mark.parametrize("found", FAULTS, ids=lambda found: found.fault)
def test_every_fault_has_words_for_a_table_and_a_known_outcome(found: Fault) -> None:
    words = (found.fault, found.collected, found.outcome, found.machine)
    assert all(words) and not any("|" in word or "\n" in word for word in words)
    assert found.outcome.startswith(OUTCOMES)


@pytest.mark.parametrize("name", ["test_watchdog_vm", "test_faults_vm"])
def test_every_test_of_a_fault_is_in_the_table(name: str) -> None:
    path = f"tests/lab/{name}.py"
    tests = [
        node.name
        for node in ast.parse((ROOT / path).read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    assert tests and {f"{path}::{test}" for test in tests} <= {found.proof for found in FAULTS}


def test_the_figures_are_those_of_the_code() -> None:
    words = " ".join(TEXT.split())
    assert f"at least {limits.LEAST:.0f} s and at most half an hour" in words and limits.MOST == 1800
    assert f"{limits.UNKNOWN:.0f} s if there is no record" in words and f"have {limits.LONG_RW:.0f} s more" in words
    assert "those of `soak` three times" in words and limits.SOAK_TIMES == 3
    assert (
        f"is silent for {machine_run.SILENCE:.0f} s, or does not respond {machine_run.GRACE:.0f} s after a limit"
        in words
    )
    assert f"loses {MAX_LOSSES} machines" in words
