# SPDX-License-Identifier: GPL-2.0-or-later
"""One test of a recorded run again, in a lab that plays its part: which legs, which steps, what is said of it."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from reviewbot.config import Site, choose_variant, load_stack
from reviewbot.lab import Ends
from reviewbot.model.errors import UsageError
from reviewbot.model.lock import Conditions, Lock
from reviewbot.model.progress import silent
from reviewbot.model.results import LegResult, Outcome, Results, TestResult
from reviewbot.model.shard import IMAGES
from reviewbot.model.trees import Trees
from reviewbot.pipeline import reproduce
from reviewbot.pipeline.reproduce import Recorded, Repeated
from reviewbot.store import RunFolder, Store
from reviewbot.store.artifacts import write_record
from reviewbot.suites import disks, smoke
from reviewbot.suites.setup import SETUP
from tests.played import LEG, TESTS, Lab, World, made_world

LEGS = tuple(load_stack().leg(name) for name in ("ext4", "fuse2fs", "fuse4fs"))
CONDITIONS = Conditions(legs=LEGS, disks=disks(3), memory=777, cpus=1, soak=7)


@pytest.fixture
def world() -> Iterator[World]:
    with made_world() as made:
        for artifact in made.artifacts.artifacts.values():
            Path(artifact.path).mkdir(exist_ok=True)
            if artifact.kind in IMAGES:
                (Path(artifact.path) / IMAGES[artifact.kind]).write_bytes(b"an image")
            write_record(Path(artifact.path), artifact)
        yield made


def record(
    world: World, tests: Mapping[str, Outcome] | None = None, conditions: Conditions | None = CONDITIONS
) -> RunFolder:
    """A run. tests: leg -> outcome of generic/001."""
    folder = world.context().run
    lock = Lock(
        run=folder.id,
        tool="",
        stack="fuse",
        top="a@b",
        mails_sha256="",
        trees=Trees(trees=()),
        artifacts=world.artifacts,
        accelerator="tcg",
        conditions=conditions,
    )
    folder.write("lock.json", lock)
    legs = tuple(
        LegResult(leg=leg, available=True, tests=(TestResult(suite="fstests", test=TESTS[0], outcome=outcome),))
        for leg, outcome in (tests or {}).items()
    )
    unavailable = LegResult(leg="fuse4fs", available=False, reason="no libfuse: it does not build")
    folder.write("results.json", Results(run=folder.id, tool="", legs=(*legs, unavailable)))
    return folder


def recorded(world: World, **tests: Outcome) -> Recorded:
    return reproduce.read_run(record(world, tests), Site())


def repeat(world: World, name: str, lab: Lab, times: int = 1, **tests: Outcome) -> Repeated:
    run = recorded(world, **tests)
    (case,) = reproduce.cases(run, name, ["fuse2fs"])
    accelerator = reproduce.accelerator_of(run, Site(), world.folder, Store(world.folder))
    context = reproduce.context_of(run, accelerator, Store(world.folder), world.folder, case.test)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reviewbot.lab.run_job", lab.run_job)
        return reproduce.repeat(case, times, context, silent)


@pytest.mark.parametrize(
    ("outcomes", "legs"),
    [
        ({"ext4": Outcome.PASS, "fuse2fs": Outcome.FAIL}, ["fuse2fs"]),
        ({"ext4": Outcome.CRASH, "fuse2fs": Outcome.MISS}, ["ext4", "fuse2fs"]),
        ({"ext4": Outcome.PASS, "fuse2fs": Outcome.PASS}, ["ext4", "fuse2fs"]),
        ({"ext4": Outcome.NOTRUN, "fuse2fs": Outcome.PASS}, ["fuse2fs"]),
        ({"ext4": Outcome.PASS, "fuse2fs": Outcome.KNOWN}, ["fuse2fs"]),
        ({"ext4": Outcome.NOTRUN}, ["ext4"]),
    ],
)
def test_it_is_repeated_where_it_did_not_pass_or_else_where_it_ran(
    world: World, outcomes: dict[str, Outcome], legs: list[str]
) -> None:
    run = recorded(world, **outcomes)
    found = reproduce.cases(run, TESTS[0], ())
    assert [(case.leg.name, case.was and case.was.outcome) for case in found] == [(n, outcomes[n]) for n in legs]
    (named,) = reproduce.cases(run, "smoke/rename", ["fuse2fs"])
    assert (named.suite, named.test, named.was) == ("smoke", "rename", None)


def test_a_row_of_bench_is_measured_again_by_its_measurement_alone(world: World) -> None:
    lab = Lab()
    found = repeat(world, "bench/create-1", lab, fuse2fs=Outcome.PASS)
    assert (found.case.name, lab.asked) == ("bench/files-1", [["files-1"]])


@pytest.mark.parametrize(
    ("name", "legs", "words"),
    [
        ("smoke/renam", ["ext4"], "smoke has no check renam"),
        ("bench/creat", ["ext4"], "bench has no row creat"),
        ("generic/002", [], "ran generic/002"),
        (TESTS[0], ["lklfuse"], "has no leg lklfuse"),
        (TESTS[0], ["fuse4fs"], "unavailable in run .*: no libfuse: it does not build"),
    ],
)
def test_what_cannot_be_repeated_is_said_in_one_line(world: World, name: str, legs: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        reproduce.cases(recorded(world, ext4=Outcome.PASS), name, legs)
    assert "\n" not in str(caught.value)


def test_each_time_is_a_machine_of_its_own_with_that_test_only(world: World) -> None:
    lab = Lab({TESTS[0]: ["done", "fail", "panic"]})
    found = repeat(world, TESTS[0], lab, 3, fuse2fs=Outcome.FAIL)
    assert [result.outcome for result in found.results] == [Outcome.PASS, Outcome.FAIL, Outcome.CRASH]
    assert lab.asked == [[TESTS[0]]] * 3
    assert {(job.memory, job.cpus, job.disks) for job in lab.jobs} == {(777, 1, disks(3))}
    assert all(job.steps[1].env["SOAK_DURATION"] == "7" for job in lab.jobs), "not what is usual today"
    assert all(job.steps[0].name == SETUP and job.kernel.endswith("/kernel/bzImage") for job in lab.jobs)
    assert found.case.was and found.case.was.outcome is Outcome.FAIL
    folder = world.folder / "runs" / "latest"
    assert [(folder / r.log / "output.txt").read_text() for r in found.results] == [
        f"{TESTS[0]} in machine {number}\n" for number in (1, 2, 3)
    ]


def test_a_check_of_smoke_comes_with_those_before_it(world: World) -> None:
    lab = Lab()
    (result,) = repeat(world, "smoke/files", lab).results
    assert lab.asked == [list(smoke.CHECKS[: 1 + smoke.CHECKS.index("files")])]
    assert (result.test, result.outcome) == ("files", Outcome.PASS)


@pytest.mark.parametrize(
    ("script", "outcome", "reason"),
    [
        ({SETUP: ["fail"]}, Outcome.INFRA, "no such disk"),
        ({SETUP: ["panic"]}, Outcome.CRASH, "during setup/leg: kernel BUG at fs/x.c:1!"),
        ({SETUP: ["silence"]}, Outcome.INFRA, "no message from the agent within 90 s"),
        ({TESTS[0]: ["timeout"]}, Outcome.HANG, ""),
    ],
)
def test_a_machine_that_does_not_get_there_says_why(
    world: World, script: dict[str, list[str]], outcome: Outcome, reason: str
) -> None:
    (result,) = repeat(world, TESTS[0], Lab(script)).results
    assert result.outcome is outcome
    assert reason in result.reason


def test_another_program_than_was_built_is_not_believed(world: World) -> None:
    (result,) = repeat(world, TESTS[0], Lab(proofs={"sha256:/stack/bin/fuse2fs": "bad"})).results
    assert result.outcome is Outcome.INFRA and "ran a different" in result.reason


def test_an_image_that_is_gone_is_named_and_where_it_moved_it_is_found(world: World) -> None:
    run = recorded(world)
    store = Store(world.folder / "cache")
    kernel = world.artifacts.artifacts["kernel"]
    assert reproduce.artifact_of(run, "kernel", store).path == kernel.path
    moved = store.path("kernel", kernel.key)
    moved.parent.mkdir(parents=True)
    Path(kernel.path).rename(moved)
    assert reproduce.artifact_of(run, "kernel", store).path == str(moved)
    (moved / IMAGES["kernel"]).write_bytes(b"an im")
    with pytest.raises(UsageError, match=r"the kernel in the cache is damaged: bzImage was modified") as caught:
        reproduce.artifact_of(run, "kernel", store)
    shutil.rmtree(moved)
    store = Store(store.root)
    with pytest.raises(
        UsageError, match=f"the kernel of run .* no longer in the store .kernel-{kernel.key}."
    ) as caught:
        reproduce.artifact_of(run, "kernel", store)
    assert caught.value.hint == f"`reviewbot reproduce {run.folder.id}` builds it again from the stored mails"


def test_a_run_that_recorded_no_machines_gets_those_of_today_and_says_so(world: World) -> None:
    run = reproduce.read_run(record(world, {"ext4": Outcome.PASS}, None), Site())
    assert [leg.name for leg in run.conditions.legs] == ["ext4", "fuse4fs"]
    assert run.conditions.disks == disks(4) and "did not record its machines" in run.notes[0]
    with pytest.raises(UsageError, match="nothing that boots"):
        reproduce.read_run(world.context().run, Site())


def test_a_file_that_another_version_wrote_is_named(world: World) -> None:
    folder = record(world)
    lock = json.loads((folder.path / "lock.json").read_bytes())
    folder.write("lock.json", json.dumps(lock | {"colour": "blue"}))
    with pytest.raises(UsageError, match=r"lock.json: cannot be read as .*: colour: Extra inputs") as caught:
        reproduce.read_run(folder, Site())
    assert "another version" in caught.value.hint


def test_a_shell_has_the_legs_setup_and_no_gate_before_it(world: World) -> None:
    run = recorded(world)
    context = reproduce.context_of(
        run, reproduce.accelerator_of(run, Site(), world.folder, Store(world.folder)), Store(world.folder), world.folder
    )
    job = reproduce.shell_job(LEG, "fstests", Ends(), context)
    assert [step.name for step in job.steps] == [SETUP, "setup/fstests", "shell"]
    assert not any(step.gate for step in job.steps)
    assert job.steps[1].env["SOAK_DURATION"] == "7"
    assert job.steps[-1].env["LEG_SERVER"] == "fuse2fs" and "check" not in job.steps[-1].argv
    with pytest.raises(UsageError, match="older reviewbot"):
        reproduce.bare_command(reproduce.cases(run, "smoke/mkfs", ["fuse2fs"])[0], context)


def test_a_variant_is_run_as_the_variant_it_was(world: World) -> None:
    folder = record(world)
    lock = Lock.model_validate_json((folder.path / "lock.json").read_bytes())
    folder.write("lock.json", lock.model_copy(update={"variant": "kmemleak,lockdep"}))
    run = reproduce.read_run(folder, Site())
    context = reproduce.context_of(
        run, reproduce.accelerator_of(run, Site(), world.folder, Store(world.folder)), Store(world.folder), world.folder
    )
    job = reproduce.shell_job(LEG, "smoke", Ends(), context)
    assert job.kernel_line == choose_variant(("kmemleak", "lockdep")).kernel_line != ()
    assert job.slow == choose_variant(("kmemleak", "lockdep")).slow > 1


def test_what_was_built_of_other_inputs_is_named(world: World) -> None:
    old, new = record(world), record(world)
    assert reproduce.differences(old, new) == ()
    lock = json.loads((new.path / "lock.json").read_bytes())
    lock["artifacts"]["artifacts"]["payload"] |= {"key": "other", "inputs": {"qemu/suites": "changed"}}
    new.write("lock.json", json.dumps(lock))
    assert reproduce.differences(old, new) == (f"payload differs from that of run {old.id}: other qemu/suites",)
