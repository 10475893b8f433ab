# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m benchmarks.outcomes RUN…` writes `docs/outcomes.md`: what each test comes to in each leg, unpatched.

RUN: folders of runs with harmless postings. What several of them have of a leg's test is taken from the last one.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from reviewbot.host.files import write_atomic
from reviewbot.model.lock import Lock
from reviewbot.model.results import Outcome, Results, TestResult

PAGE = Path(__file__).resolve().parents[1] / "docs" / "outcomes.md"
HEAD = """\
# Outcomes of the unpatched stack

The default tests in each leg with unpatched sources: what is not PASS here is not caused by a series. KNOWN failures
are listed with their links in `reviewbot/suites/shortcomings.yaml`; NOTRUN means that the test, or `check`, reports
that it does not apply. `python -m benchmarks.outcomes RUN…` writes this page from run folders; legs and tests that are
not in these runs are missing here.

"""


def page(runs: Sequence[tuple[Lock, Results]]) -> str:
    """The page. Each run's sources, a row per test with a column per leg, and why an outcome is not PASS."""
    found: dict[str, dict[tuple[str, str], TestResult]] = {}
    for leg in (leg for _, results in runs for leg in results.legs if leg.available and leg.tests):
        mine = found.setdefault(leg.leg, {})
        mine |= {(test.suite, test.test): test for test in leg.tests if not test.outcome.unknown}
    tests = sorted({test for leg in found.values() for test in leg}, key=lambda test: (test[0] != "smoke", test))
    rows = [("test", *found), ("---",) * (len(found) + 1)]
    rows += [("/".join(test), *(_cell(leg.get(test)) for leg in found.values())) for test in tests]
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    return HEAD + _sources(runs) + table + "\n" + _reasons(found)


def _cell(test: TestResult | None) -> str:
    return str(test.outcome) if test else ""


def _sources(runs: Sequence[tuple[Lock, Results]]) -> str:
    """`- libfuse 3.19.0-rc0` and the like, once each, with the version or the release that the build found."""
    facts: dict[str, str] = {}
    for lock, _ in runs:
        for name, artifact in lock.artifacts.artifacts.items():
            version = artifact.facts.get("version") or artifact.facts.get("release")
            if version and lock.trees.get(name):
                facts[f"- {name} {str(version).partition('-rb-')[0]}"] = ""
    return "".join(f"{line}\n" for line in facts) + ("\n" if facts else "")


def _reasons(found: dict[str, dict[tuple[str, str], TestResult]]) -> str:
    """One line per outcome and reason, with the tests and legs that have it."""
    said: dict[tuple[str, str, str], list[str]] = {}
    for leg, tests in found.items():
        for test, result in tests.items():
            if result.outcome is not Outcome.PASS:
                why = f"{result.reason} ({result.known.reason})" if result.known else result.reason
                said.setdefault(("/".join(test), str(result.outcome), why), []).append(leg)
    return "".join(
        f"- {test}, {', '.join(legs)}: {outcome}: {why.replace('|', chr(92) + '|')}\n"
        for (test, outcome, why), legs in sorted(said.items())
    )


def read(folder: Path) -> tuple[Lock, Results]:
    """The run in this folder. Raises OSError, ValueError."""
    return (
        Lock.model_validate_json((folder / "lock.json").read_bytes()),
        Results.model_validate_json((folder / "results.json").read_bytes()),
    )


if __name__ == "__main__":
    write_atomic(PAGE, page([read(Path(name)) for name in sys.argv[1:]]))
