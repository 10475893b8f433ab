# SPDX-License-Identifier: GPL-2.0-or-later
"""What a fleet costs: cutting and merging, the coordinator's memory, a worker's start; what a second worker saves."""

import datetime
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from benchmarks.machines import newest
from benchmarks.measure import Figure, failed, measured_process
from benchmarks.shards import SIZE, TCG
from benchmarks.shards import TESTS as LIST
from reviewbot import suites
from reviewbot.config import load_stack
from reviewbot.fleet.coordinator import Coordinator, Rules
from reviewbot.fleet.engine import Phase, Place, State
from reviewbot.fleet.fleet import Fleet
from reviewbot.fleet.ledger import Course, Ledger
from reviewbot.fleet.local import Local
from reviewbot.host.paths import cache_dir
from reviewbot.model.artifacts import Artifact, Artifacts
from reviewbot.model.build import Build
from reviewbot.model.fleet import LocalEngine
from reviewbot.model.lab import GuestStep, JobReply, StepReply
from reviewbot.model.lock import Conditions
from reviewbot.model.progress import silent
from reviewbot.model.results import Outcome
from reviewbot.model.shard import IMAGES, Need, Shard, ShardResult
from reviewbot.model.trees import Trees
from reviewbot.model.worker import Worker
from reviewbot.runner import Context, SuiteJob, Tests, run_legs, suite_result
from reviewbot.runner.cut import cut
from reviewbot.runner.errand import Errand
from reviewbot.runner.parcel import RESULT
from reviewbot.runner.shard_files import read_shard
from reviewbot.store import Durations, Runs, Store
from reviewbot.store.objects import Objects

TESTS, SHARDS = 1500, 64
MERGE = f"cut {TESTS} tests into {SHARDS} shards, check and merge their results"
MEMORY = f"a coordinator of {SHARDS} shards of {TESTS} tests: memory"
FIRST = "a worker with a warm cache: from its start to its first test (tcg)"
PAIR = "40 fstests on two workers of one machine and one core each: share of the time of one worker (tcg)"
MOST_PAIR = round(100 / 1.7, 1)
OUTPUT = "Passed all 1 tests\n" + "x" * 2000
"""What a test says, as much as most of fstests do."""
LEG = load_stack().leg("ext4")


def fleet(store: Store) -> Iterator[Figure]:
    """The last two need machines, and some fifteen quiet minutes."""
    status, _, memory = measured_process([sys.executable, "-m", "benchmarks.fleet"])
    seconds = [merged() for _ in range(3)]
    yield Figure(MERGE, tuple(seconds), 5.0)
    yield Figure(MEMORY, () if status else (memory,), 200.0, failed([status]), "MB")
    built = newest(store, fstests=True)
    if "fstests" not in built:
        why = "no payload with fstests: run a leg with --suites fstests first"
        yield Figure(FIRST, (), 5.0, why)
        yield Figure(PAIR, (), MOST_PAIR, why, "%")
        return
    yield first_test(built)
    yield pair(built)


def work() -> SuiteJob:
    steps = tuple(GuestStep(name=f"fstests/generic/{n:04}", argv=("check",), timeout=60) for n in range(TESTS))
    needs = tuple(Need.model_validate({"kind": kind, "key": kind, "sha256": "0" * 64}) for kind in IMAGES)
    shard = Shard(
        run="20261129-120000-abcd",
        leg=LEG,
        suite="fstests",
        steps=(*suites.setup_steps(LEG), *steps),
        needs=needs,
        release="7.1",
        memory=2048,
        cpus=2,
    )
    return SuiteJob(shard, {}, {step.name: 1.0 + n % 40 for n, step in enumerate(steps)})


def answer(shard: Shard) -> str:
    """The file that a worker brings."""
    gates = [StepReply(name=one.name, status="done", exit_status=0, output='{"proof": {}}') for one in shard.setup]
    said = [
        StepReply(name=one.name, status="done", exit_status=0, output=OUTPUT, seconds=2.0, limit=60.0)
        for one in shard.tests
    ]
    machine = JobReply(name="m", complete=True, replies=(*gates, *said), accelerator="tcg")
    return ShardResult(
        shard=shard.key,
        run=shard.run,
        nonce=shard.nonce,
        machines=(machine,),
        worker=Worker(host="node", accelerator="tcg"),
        ran={need.kind: need.sha256 for need in shard.needs},
    ).model_dump_json()


class Prompt:
    """An engine whose workers have answered by the time they are asked."""

    most = 256

    def submit(self, place: Place) -> None:
        for index in range(len(place.batch.shards)):
            place.own(index).mkdir()
            (place.own(index) / RESULT).write_text(answer(read_shard(place.shard(index))))

    def poll(self, place: Place) -> Mapping[int, State]:
        return {index: State(Phase.ENDED, "node", 0) for index in range(len(place.batch.shards))}

    def fetch(self, place: Place, index: int) -> Path | None:
        return place.own(index) / RESULT

    def cancel(self, place: Place, indexes: Collection[int]) -> None:
        """Nothing is out."""


def merged() -> float:
    """Seconds from the cut to one result per test."""
    whole, results = work(), list[ShardResult]()
    with tempfile.TemporaryDirectory(prefix="reviewbot-bench-") as name:
        errand = Errand(
            work=whole,
            kind="",
            images=dict,
            cut=lambda *_: (),
            logs=Path(name) / "logs",
            fresh=False,
            stop=threading.Event(),
            until=float("inf"),
            got=lambda shard, result: results.append(result),
            again=lambda shard, result: None,
        )
        started = time.monotonic()
        Coordinator(
            errand=errand,
            engine=Prompt(),
            ledger=Ledger(Path(name) / "ledger"),
            rules=Rules(attempts=3, lease=60.0, slow=1.0, poll=0.0),
            publish=lambda shard: "0" * 64,
            progress=silent,
            on_rows=lambda rows, changed: None,
        ).run(lambda nonce: Course(nonce=nonce, shards=cut([whole], SHARDS, nonce)))
        found = suite_result(whole, results, Artifacts())
        seconds = time.monotonic() - started
    if found.count(Outcome.PASS) != TESTS:
        raise SystemExit(f"only {found.count(Outcome.PASS)} tests passed: {found.reason}")
    return seconds


def on_workers(built: dict[str, Artifact], tests: tuple[str, ...], workers: int, folder: Path) -> tuple[float, str]:
    """Seconds of the list with so many workers, and why that is no figure; empty: it is.

    Each has one emulated machine, and a core that no other worker uses: what else runs on a host is never shared out.
    """
    site = folder / "site.yaml"
    site.write_text("accelerator: tcg\nmachine: {vms: 1}\n")
    known = cache_dir() / "durations.json"
    durations = Durations(known, suites.load_typical())
    environment = {name: os.environ[name] for name in os.environ if name.startswith(("REVIEWBOT_", "XDG_"))}
    settings = LocalEngine(
        engine="local",
        workers=workers,
        poll=0.2,
        command=(sys.executable, "-m", "benchmarks.pinned", str(folder), sys.executable, "-m", "reviewbot"),
    )
    context = Context(
        build=Build(trees=Trees(trees=()), artifacts=Artifacts(artifacts=built)),
        conditions=Conditions(legs=(), disks=suites.disks(SIZE.scratch_gib), memory=SIZE.memory, cpus=SIZE.cpus),
        tests=Tests(" ".join(tests)),
        accelerator=TCG,
        store=Store(folder / f"store{workers}"),
        run=Runs(folder / "runs").create(),
        durations=durations,
        progress=silent,
    )
    lent = Fleet(
        name="bench",
        settings=settings,
        engine=Local(settings, str(folder / "objects"), {**environment, "REVIEWBOT_SITE": str(site)}),
        folder=folder / "fleet",
        objects=Objects(folder / "objects"),
        run=context.run,
        progress=silent,
        slow=8.0,
    )
    started = time.monotonic()
    (result,) = run_legs([LEG], ["fstests"], replace(context, elsewhere=lent))
    seconds = time.monotonic() - started
    (folder / f"result{workers}.json").write_text(result.model_dump_json())
    bad = [test for test in result.tests if test.outcome in (Outcome.INFRA, Outcome.MISS)]
    return seconds, result.reason or (f"{bad[0].test}: {bad[0].reason}" if bad else "")


def first_test(built: dict[str, Artifact]) -> Figure:
    """Of a list of one test, the second time."""
    values, why = [], ""
    with tempfile.TemporaryDirectory(prefix="reviewbot-bench-", dir=cache_dir().parent) as name:
        for number in range(3):
            began = datetime.datetime.now(datetime.UTC)
            folder = Path(name) / str(number)
            folder.mkdir()
            _, why = on_workers(built, LIST[:1], 1, folder)
            result = json.loads((folder / "result1.json").read_text())
            if why or not result["machines"]:
                break
            started = datetime.datetime.fromisoformat(result["machines"][0]["started"])
            test = sum(one["seconds"] for one in result["tests"])
            values.append((started - began).total_seconds() + result["machines"][0]["seconds"] - test)
    return Figure(FIRST, () if why else tuple(values[1:]), 5.0, why)


def pair(built: dict[str, Artifact]) -> Figure:
    """Two workers against one, each with one machine."""
    with tempfile.TemporaryDirectory(prefix="reviewbot-bench-", dir=cache_dir().parent) as name:
        two, why = on_workers(built, LIST, 2, Path(name))
        one, why_not = on_workers(built, LIST, 1, Path(name)) if not why else (0.0, "")
    why = why or why_not
    return Figure(PAIR, () if why else (100 * two / one,), MOST_PAIR, why, "%")


if __name__ == "__main__":
    merged()
