# SPDX-License-Identifier: GPL-2.0-or-later
"""The bench suite in a real machine: fuse2fs beside the kernel's ext4, few rounds of each measurement."""

import json
from collections.abc import Mapping

import pytest

from reviewbot import suites
from reviewbot.config import load_stack
from reviewbot.lab import run_job
from reviewbot.model.lab import GuestStep
from reviewbot.model.results import Outcome, TestResult
from reviewbot.suites import bench
from tests.machines import TCG, Images

pytestmark = pytest.mark.vm
LEG = load_stack().leg("fuse2fs")
SHORT = {"rounds": 2, "files": 40, "window": 1.0, "before": 0.2, "mib": 2}
"""Enough to see that each measures what it says."""


def short(step: GuestStep) -> GuestStep:
    order = json.loads(step.argv[-1])
    return step.model_copy(
        update={"argv": (*step.argv[:-1], json.dumps({**order, **{k: v for k, v in SHORT.items() if k in order}}))}
    )


@pytest.fixture(scope="module")
def results(machine_images: Images, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, TestResult]:
    steps = [short(step) for step in bench.steps(LEG, bench.FULL)]
    job = machine_images.job(*suites.setup_steps(LEG), *steps, disks=suites.disks(1))
    replies = run_job(job, TCG, tmp_path_factory.mktemp("bench")).replies
    return {result.test: result for result in bench.results(LEG, replies)}


def test_every_measurement_ends_and_none_fails(results: Mapping[str, TestResult]) -> None:
    assert set(results) == {one.name for one in bench.load_bench().measurements}
    outcomes = {name: (one.outcome, one.reason) for name, one in results.items()}
    assert {outcome for outcome, _ in outcomes.values()} == {Outcome.PASS, Outcome.NOTRUN}, outcomes


def test_what_cannot_be_measured_says_why(results: Mapping[str, TestResult]) -> None:
    assert results["start-restored"].reason.startswith("a saved machine is shared")
    assert "guestmount is not installed" in results["start-libguestfs"].reason
    assert results["service"].reason == "this tree installs no systemd unit of fuse2fs"
    fork = results["start-fork"]
    assert "threads" in fork.reason or fork.bench["start-fork"].note


def test_each_row_is_measured_on_both_filesystems(results: Mapping[str, TestResult]) -> None:
    for one in bench.load_bench().measurements:
        for row in one.rows if results[one.name].outcome is Outcome.PASS else ():
            found = results[one.name].bench[row.name]
            assert all(value >= 0 for value in found.values)
            assert (found.ratio is not None) is bool(row.against)


def test_requests_are_those_of_the_server_for_one_operation(results: Mapping[str, TestResult]) -> None:
    create, unlink = (results["files-1"].bench[f"{name}-1"].upcalls or {} for name in ("create", "unlink"))
    assert create["CREATE"] == 1.0
    assert unlink["UNLINK"] == 1.0
    written = results["io"].bench["rand-write-direct"].upcalls or {}
    assert written["WRITE"] == pytest.approx(256, rel=0.1), "a MiB in writes of 4 KiB"


def test_a_server_that_stands_still_is_waited_for_until_its_connection_is_aborted(
    results: Mapping[str, TestResult],
) -> None:
    rows = results["stall"].bench
    assert rows["stall-fsync"].at_least or rows["stall-fsync"].values[0] > 0
    assert not rows["stall-abort"].at_least, rows["stall-abort"].note
    assert rows["stall-write"].values[0] < 1.0, "a writer stands still when its server does"


def test_memory_has_samples_over_time_and_a_file_is_cached_at_least_once(results: Mapping[str, TestResult]) -> None:
    rows = results["memory"].bench
    assert len(rows["memory"].series) > 5 and rows["memory"].values[0] > 1000
    assert min(rows["cached"].yardstick) == pytest.approx(1.0, abs=0.2)
    assert min(rows["cached"].values) > 0.5
