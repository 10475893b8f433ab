# SPDX-License-Identifier: GPL-2.0-or-later
"""`@fault(…)` says what a test proves; `python -m tests.faults` writes the table of all into docs/faults.md."""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "faults.md"
BEGIN = "<!-- The table is written by `python -m tests.faults`, from the decorators of the tests. -->\n"
HEADER = "| fault | collected | outcome of its test | the machine | proven by |\n| --- | --- | --- | --- | --- |\n"
Test = TypeVar("Test", bound=Callable[..., None])


@dataclass(frozen=True, slots=True)
class Fault:
    """A row of the table."""

    fault: str
    collected: str
    outcome: str
    machine: str
    proof: str
    """`tests/lab/test_vm.py::test_x`."""

    def row(self) -> str:
        return f"| {self.fault} | {self.collected} | {self.outcome} | {self.machine} | `{self.proof}` |\n"


def fault(what: str, *, collected: str, outcome: str, machine: str) -> Callable[[Test], Test]:
    """The test proves that after this fault `collected` is known, its test has `outcome`, and the machine does what.

    All four are read as literals from the source, so that the table needs neither a machine nor an import.
    """
    assert what and collected and outcome and machine
    return lambda test: test


def faults() -> Iterator[Fault]:
    """All of them, by file and line."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef):
                for words in (decorator for decorator in node.decorator_list if _is_fault(decorator)):
                    yield _fault(words, f"{path.relative_to(ROOT)}::{node.name}")


def _is_fault(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "fault"


def _fault(node: ast.expr, proof: str) -> Fault:
    assert isinstance(node, ast.Call)
    words = {str(word.arg): ast.literal_eval(word.value) for word in node.keywords}
    return Fault(fault=ast.literal_eval(node.args[0]), proof=proof, **words)


def table() -> str:
    return HEADER + "".join(found.row() for found in faults())


def written(page: str) -> str:
    """The page with the table of now."""
    head, begin, _ = page.partition(BEGIN)
    return f"{head}{begin}\n{table()}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
