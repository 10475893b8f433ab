# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine brings its counters back in the end, and that is no test."""

from pathlib import Path

import pytest

from reviewbot.config import choose_variant
from reviewbot.coverage.counters import sets_of_counters
from reviewbot.model.shard import ShardPlan, ShardResult
from reviewbot.model.variants import PLAIN, Variant
from reviewbot.runner import shard_files
from reviewbot.runner.plan_suites import suite_job_of
from tests.played import LEG, TESTS, Lab, World, with_build

GCOV = choose_variant(["gcov"])


@pytest.mark.parametrize(("variant", "names"), [(GCOV, ["fuse2fs-fstests/coverage"]), (PLAIN, [])])
def test_only_a_variant_with_counters_asks_for_them(world: World, variant: Variant, names: list[str]) -> None:
    result = world.run("fstests", context=with_build(world.context(), variant=variant))
    (job,) = world.lab.jobs
    assert [job.last.name for _ in range(1) if job.last] == names
    assert result.planned == len(TESTS) and {test.test for test in result.tests} == set(TESTS)


def test_they_come_back_from_where_programs_write_them_into_the_machines_own_folder(world: World) -> None:
    world.run("fstests", context=with_build(world.context(), variant=GCOV))
    job = world.lab.jobs[0]
    assert job.last is not None
    (folder,) = job.last.collect
    assert all(f"-fprofile-dir={folder}" in flags["CFLAGS"] for flags in GCOV.recipes.values())
    assert job.last.name.startswith(f"{job.name}/")
    assert job.last.env["GCOV_ERROR_FILE"] == "/dev/null" and job.last.env["LEG_SERVER"] == "fuse2fs"


def test_lost_counters_are_told_apart_from_what_else_was_odd_in_a_machine(world: World) -> None:
    lost = "fuse2fs-fstests/coverage was lost with the machine"
    lab = Lab(notes=("the guest sent files that were refused", lost), last_failed=lost)
    result = world.run("fstests", lab=lab, context=with_build(world.context(), variant=GCOV))
    assert result.uncounted == (lost,) and set(result.notes) == {*lab.notes}
    assert world.run("fstests", context=with_build(world.context(), variant=GCOV)).uncounted == (lost,), "reused"


def test_counters_of_a_shard_that_ran_elsewhere_come_along_with_its_logs(world: World, tmp_path: Path) -> None:
    context = with_build(world.context(), variant=GCOV)
    shard = suite_job_of(LEG, "fstests", context).shard
    result = tmp_path / "result.json"
    for name in ("coverage/gcov/notes", "other/gcov/notes"):
        (shard_files.logs_of(result) / "fuse2fs-fstests.2" / name).parent.mkdir(parents=True)
        (shard_files.logs_of(result) / "fuse2fs-fstests.2" / name).write_text("")
    plan = ShardPlan(run=shard.run, nonce="", works=(), shards=(shard,))
    shard_files.take_logs(plan, {result: ShardResult(shard=shard.key, run=shard.run)}, context.run)
    logs = context.run.logs(LEG.name)
    assert sets_of_counters(logs) == (logs / "fuse2fs-fstests.2.shard1" / "coverage" / "gcov",)
    assert [path.name for path in logs.rglob("other")] == []
