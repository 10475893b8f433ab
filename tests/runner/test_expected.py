# SPDX-License-Identifier: GPL-2.0-or-later
"""How long a run is said to take before it begins."""

from pathlib import Path

import pytest

from reviewbot.config import Site
from reviewbot.model.plan import Expected
from reviewbot.runner.expected import BESIDE, expected
from reviewbot.store import Durations
from reviewbot.suites import smoke

SITE = Site.model_validate({"accelerator": "tcg", "machine": {"vms": 1}})


def time_of(cache: Path, tests: str = "generic/001 generic/002", *legs: str, budget: float = 0.0) -> Expected:
    return expected(legs or ("ext4",), ("smoke", "fstests"), tests, ("kernel",), SITE, cache, budget=budget)


@pytest.fixture
def known(tmp_path: Path) -> Path:
    """A host on which everything has run: a check of smoke takes 1 s, generic/001 100 s, generic/002 200 s."""
    durations = Durations(tmp_path / "durations.json")
    durations.put_slow("tcg", 2.0)
    for leg in ("ext4", "fuse2fs"):
        seconds = {"fstests/generic/001": 50.0, "fstests/generic/002": 100.0}
        durations.put_tests(leg, "tcg", seconds | {f"smoke/{check}": 0.5 for check in smoke.CHECKS})
    for name in BESIDE:
        durations.put(f"build {name}", 10.0)
    return tmp_path


def test_the_tests_of_all_legs_are_summed_as_this_host_ran_them(known: Path) -> None:
    one, two = time_of(known).tests, time_of(known, "generic/001 generic/002", "ext4", "fuse2fs").tests
    assert one and two and 300 + len(smoke.CHECKS) < one < 400
    assert two == pytest.approx(2 * one, rel=0.1)


def test_more_machines_take_less_time(known: Path) -> None:
    two = Site.model_validate({"accelerator": "tcg", "machine": {"vms": 2}})
    shared = expected(("ext4", "fuse2fs"), ("fstests",), "generic/001 generic/002", (), two, known)
    alone = expected(("ext4", "fuse2fs"), ("fstests",), "generic/001 generic/002", (), SITE, known)
    assert shared.machines == 2 and shared.tests and alone.tests and shared.tests < alone.tests


def test_builds_are_what_they_took_and_what_was_never_built_is_named(known: Path) -> None:
    found = time_of(known)
    assert (found.builds, found.never_built) == (10.0 * len(BESIDE), ("kernel",))


def test_a_host_on_which_nothing_has_run_gives_an_answer_too(tmp_path: Path) -> None:
    found = time_of(tmp_path)
    assert found.tests and found.builds == 0 and found.never_built == (*BESIDE, "kernel")


def test_which_tests_a_group_has_is_not_known_yet_but_a_budget_is(known: Path) -> None:
    assert time_of(known, "-g quick").tests is None
    assert time_of(known, "-g quick", budget=60.0).tests == 60.0
    assert time_of(known, budget=60.0).tests == 60.0


def test_measurements_of_bench_take_the_time_that_they_took(known: Path) -> None:
    durations = Durations(known / "durations.json")
    durations.put_tests("ext4", "tcg", {"bench/mount": 30.0, "bench/readdir": 20.0})
    found = expected(("ext4",), ("bench",), "", (), SITE, known, rows="mount,readdir").tests
    assert found and 100 <= found < 150
    default = expected(("ext4",), ("bench",), "", (), SITE, known).tests
    assert default and default > found
