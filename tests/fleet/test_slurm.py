# SPDX-License-Identifier: GPL-2.0-or-later
"""A real Slurm of three nodes: one is killed in the middle, one lies, one is slow, and nothing else comes of it."""

import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reviewbot.fleet.engine import Batch, EngineBusy, Phase, Place
from reviewbot.fleet.slurm import Slurm
from reviewbot.model.comparison import Class, Comparison
from reviewbot.model.errors import InfraError
from reviewbot.model.fleet import SlurmEngine
from reviewbot.model.results import LegResult, Outcome, Results
from reviewbot.model.verdict import VerdictKind
from reviewbot.pipeline.reruns import compare
from reviewbot.store.history import History
from reviewbot.verdict import judge
from tests.command import ROOT
from tests.fleet.slurm_cluster import NODES, Cluster, cluster, until
from tests.fleet.test_coordinator import rows, told
from tests.fleet.world import FleetWorld
from tests.played import LEG, TESTS, Lab, made_world, other, with_build

HEAD = {TESTS[1]: ["fail"] * 9, TESTS[3]: ["fail"] * 9, TESTS[5]: ["notrun"] * 9}
BASE = {TESTS[3]: ["fail"] * 9}
LIE = """
import json, sys
path = sys.argv[1]
result = json.load(open(path))
for machine in result["machines"]:
    for reply in machine["replies"]:
        reply |= {"status": "done", "exit_status": 0, "output": "Passed all 1 tests"}
    machine["replies"].append({"name": "fstests/generic/999", "status": "done"})
json.dump(result, open(path, "w"))
"""


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """In a folder with a short name: Slurm's sockets are in it."""
    with tempfile.TemporaryDirectory(prefix="slurm-") as name, cluster(Path(name) / "x") as made:
        monkeypatch.setenv("SLURM_CONF", str(made.conf))
        yield made


def worker(folder: Path, made: Cluster) -> Path:
    """What a node calls: reviewbot, on a host whose lab plays its part."""
    said: dict[str, Any] = {"head": {"script": HEAD}, "base": {"script": BASE}}
    dying: dict[str, Any] = {"dies": 1, "kills": str(made.folder / "node1.pid")}
    for node, more in {"node1": dying, "node2": {}, "node3": {"pause": 0.5}}.items():
        (folder / f"{node}.json").write_text(json.dumps({**said, **more}))
    (folder / "lie.py").write_text(LIE)
    program = folder / "reviewbot-on-node"
    program.write_text(
        f"""#!/bin/sh
cd {ROOT}
export PLAYED={folder}/$SLURMD_NODENAME.json HOME={folder} REVIEWBOT_CACHE={folder}/cache-$SLURMD_NODENAME
export REVIEWBOT_DATA={folder}/data-$SLURMD_NODENAME
{sys.executable} -m tests.fleet.workers "$@" || exit
if [ "$SLURMD_NODENAME" = node2 ]; then
	for word; do case $word in */result.json) {sys.executable} {folder}/lie.py "$word";; esac; done
fi
"""
    )
    program.chmod(0o755)
    return program


def on_slurm(fleet: FleetWorld, program: Path) -> Slurm:
    fleet.settings = fleet.settings.model_copy(update={"poll": 0.2, "lease": 10.0})
    return Slurm(SlurmEngine(engine="slurm", command=(str(program),)), str(fleet.objects), 100)


def verdict(world_folder: Path, result: LegResult, found: Comparison) -> VerdictKind:
    return judge("run", Results(run="run", tool="", legs=(result,)), found).kind


@pytest.mark.vm  # minutes, as with those: Slurm takes its time with each job
def test_a_node_that_dies_one_that_lies_and_a_slow_one_change_nothing(
    fleet: FleetWorld, slurm: Cluster, tmp_path: Path
) -> None:
    context = with_build(fleet.context(on_slurm(fleet, worker(tmp_path, slurm)), slow=1.0), patched=("kernel",))
    base = with_build(context, artifacts=other(fleet.world.artifacts), patched=())
    for kind, artifact in base.build.artifacts.artifacts.items():
        assert (Path(artifact.path), artifact.key) == (Path(artifact.path), f"base-key-{kind}")
    (result,) = fleet.run(context=context)
    history = History(fleet.world.folder / "history.sqlite")
    found = compare([LEG], [result], context, lambda: base, history=history)

    with made_world() as world:
        here = with_build(world.context(), patched=("kernel",))
        alone = world.run(lab=Lab({test: list(said) for test, said in HEAD.items()}), context=here)
        there = with_build(here, artifacts=other(world.artifacts), patched=())
        script = {TESTS[1]: ["done", "fail"] * 9, TESTS[3]: ["fail"] * 9, TESTS[5]: ["done"] * 9}
        with world.playing(Lab(script)):
            known = compare([LEG], [alone], here, lambda: there, history=History(world.folder / "history.sqlite"))

    assert told(result) == told(alone)
    assert {one.test: (one.kind, one.head, one.base) for one in found.tests} == {
        one.test: (one.kind, one.head, one.base) for one in known.tests
    }
    assert {one.test: one.kind for one in found.tests}[TESTS[1]] is Class.NEW
    assert verdict(tmp_path, result, found) is verdict(tmp_path, alone, known) is VerdictKind.REGRESSION
    said = "\n".join(fleet.said)
    assert "returned results that were not requested (fstests/generic/999)" in said
    assert slurm.daemons["node1"].poll() is not None, "it died"
    assert {row.where for row in rows(fleet).shards} != set(NODES) and result.count(Outcome.INFRA) == 0
    assert slurm.ask("squeue", "--noheader") == ""


def test_a_coordinator_that_was_killed_waits_for_the_array_that_it_left(
    fleet: FleetWorld, slurm: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = worker(tmp_path, slurm)
    waits = tmp_path / "waits"  # no node dies or lies, and none ends before the first coordinator is dead
    waits.write_text(
        f'#!/bin/sh\nwhile [ ! -e {tmp_path}/go ]; do sleep 0.1; done\nSLURMD_NODENAME=node3 exec {program} "$@"\n'
    )
    waits.chmod(0o755)
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):
            fleet.run(context=fleet.context(on_slurm(fleet, waits), slow=1.0))
        os._exit(1)
    until(lambda: "RUNNING" in slurm.ask("squeue", "--noheader", "--format=%T"), slurm)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    out = slurm.ask("squeue", "--noheader", "--array", "--format=%i")
    submitted: list[Place] = []
    monkeypatch.setattr(Slurm, "submit", lambda self, place: submitted.append(place))
    (tmp_path / "go").touch()
    (result,) = fleet.run(context=fleet.context(on_slurm(fleet, waits), slow=1.0))
    assert submitted == [] and len(out.split()) == 4, "all of it was out, and nothing was handed out again"
    with made_world() as world:
        assert told(result) == told(world.run(lab=Lab({test: list(said) for test, said in HEAD.items()})))


def test_what_is_called_off_leaves_the_queue_and_the_rest_stays(slurm: Cluster, tmp_path: Path) -> None:
    program = tmp_path / "sleeper"
    program.write_text("#!/bin/sh\nexec sleep 1000\n")
    program.chmod(0o755)
    engine = Slurm(SlurmEngine(engine="slurm", command=(str(program),)), str(tmp_path), 100)
    place = Place(Batch(name="reviewbot-a-0", shards=("a",) * 5, objects=("0",) * 5, seconds=600), tmp_path / "batch")
    engine.submit(place)

    def fills_the_nodes() -> bool:
        """The first three run, one on each node; a busy one may give its job back and get another."""
        states = engine.poll(place)
        where = {states[index].where for index in range(3) if states[index].phase is Phase.RUNNING}
        return where == set(NODES) and {states[3].phase, states[4].phase} == {Phase.WAITING}

    until(fills_the_nodes, slurm)
    engine.cancel(place, [0, 4])
    until(lambda: [i for i, one in engine.poll(place).items() if one.phase is Phase.LOST] == [0, 4], slurm)
    engine.cancel(place, range(5))
    until(lambda: all(one.phase is Phase.LOST for one in engine.poll(place).values()), slurm)
    assert engine.fetch(place, 0) is None


def test_a_task_that_slurm_holds_for_ever_is_lost_and_leaves_the_queue(slurm: Cluster, tmp_path: Path) -> None:
    program = tmp_path / "sleeper"
    program.write_text("#!/bin/sh\nexec sleep 1000\n")
    program.chmod(0o755)
    engine = Slurm(SlurmEngine(engine="slurm", command=(str(program),)), str(tmp_path), 100)
    place = Place(Batch(name="reviewbot-b-0", shards=("a",), objects=("0",), seconds=600), tmp_path / "batch")
    engine.submit(place)
    until(lambda: engine.poll(place)[0].phase is Phase.RUNNING, slurm)
    slurm.ask("scontrol", "requeuehold", slurm.ask("squeue", "--noheader", "--array", "--format=%i").strip())
    said: list[str] = []

    def lost() -> bool:
        state = engine.poll(place)[0]
        said.append(state.why)
        return state.phase is Phase.LOST

    until(lost, slurm)
    assert said[-1].startswith("Slurm holds it: "), said
    until(lambda: slurm.ask("squeue", "--noheader") == "", slurm)


def test_a_cluster_that_does_not_answer_is_busy_and_words_that_it_does_not_take_are_an_error(
    slurm: Cluster, tmp_path: Path
) -> None:
    engine = Slurm(SlurmEngine(engine="slurm", options=("--partition=nowhere",)), str(tmp_path), 100)
    place = Place(Batch(name="reviewbot-b-0", shards=("a",), objects=("0",), seconds=600), tmp_path / "batch")
    with pytest.raises(InfraError, match=r"sbatch: .*invalid partition"):
        engine.submit(place)
    slurm.daemons["slurmctld"].kill()
    slurm.daemons["slurmctld"].wait()
    with pytest.raises(EngineBusy):
        replace(engine, settings=SlurmEngine(engine="slurm")).submit(place)
    with pytest.raises(EngineBusy):
        engine.poll(place)
