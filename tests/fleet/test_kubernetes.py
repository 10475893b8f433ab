# SPDX-License-Identifier: GPL-2.0-or-later
"""Indexed Jobs by the published schema, and the whole exchange with an API that enforces it."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.fleet.engine import Batch, Phase, Place
from reviewbot.fleet.kubernetes import Kubernetes, indexes
from reviewbot.fleet.manifests import job, network_policy
from reviewbot.model.fleet import KubernetesEngine
from reviewbot.model.results import Outcome
from tests.command import ROOT
from tests.fleet.kube import Kube, Run, action_of, kubernetes, process, wrong
from tests.fleet.test_coordinator import told
from tests.fleet.world import FleetWorld
from tests.played import TESTS, Lab, made_world
from tests.web import folder_served

SCRIPT = {TESTS[1]: ["fail"] * 9, TESTS[5]: ["notrun"] * 9}
SETTINGS = KubernetesEngine(engine="kubernetes", image="registry.example.org/reviewbot@sha256:00", kvm="x.org/kvm")
BATCH = Batch(name="reviewbot-0123456789ab-0", shards=("a", "b"), objects=("1" * 64, "2" * 64), seconds=900)
STORE = "http://10.0.0.5:8741"
JOBS, POLICIES = (f"/apis/x/v1/namespaces/reviewbot/{kind}" for kind in ("jobs", "networkpolicies"))


@dataclass
class Cluster:
    fleet: FleetWorld
    api: Kube
    engine: Kubernetes
    runs: list[Run]
    """What a pod does; the last one counts."""
    started: list[tuple[int, int]] = field(default_factory=list)


@pytest.fixture
def cluster(fleet: FleetWorld, tmp_path: Path) -> Iterator[Cluster]:
    (tmp_path / "played.json").write_text(json.dumps({"head": {"script": SCRIPT}}))
    program = tmp_path / "bin" / "reviewbot"
    program.parent.mkdir()
    program.write_text(
        f"#!/bin/sh\nexport PYTHONPATH={ROOT} PLAYED={tmp_path}/played.json\n"
        f'exec {sys.executable} -m tests.fleet.workers "$@"\n'
    )
    program.chmod(0o755)
    runs = [process(program, tmp_path / "pods")]
    started: list[tuple[int, int]] = []

    def run(index: int, attempt: int, container: dict[str, Any]) -> tuple[int, str]:
        started.append((index, attempt))
        return runs[-1](index, attempt, container)

    with ExitStack() as stack:
        url, api = stack.enter_context(kubernetes(run))
        store = stack.enter_context(folder_served(fleet.objects))
        settings = SETTINGS.model_copy(update={"server": url, "store": store})
        fleet.settings = fleet.settings.model_copy(update={"shards": 2, "poll": 0.1, "lease": 10.0})
        yield Cluster(fleet, api, Kubernetes(settings, store), runs, started)


def pods(cluster: Cluster, run: Callable[[int, int], int | None]) -> None:
    """run: index and attempt -> exit status (negative: the node is drained); None: as ever."""
    usual = cluster.runs[0]

    def instead(index: int, attempt: int, container: dict[str, Any]) -> tuple[int, str]:
        status = run(index, attempt)
        return usual(index, attempt, container) if status is None else (status, "it said nothing of use")

    cluster.runs.append(instead)


@pytest.mark.parametrize("avoid", [(), ("node1", "node2")])
def test_what_is_made_has_the_published_schema(avoid: tuple[str, ...]) -> None:
    batch = BATCH.model_copy(update={"avoid": avoid, "kind": "kvm@x"})
    settings = SETTINGS.model_copy(update={"kinds": {"kvm@x": {"cpu": "x"}}})
    made = job(batch, settings, STORE)
    assert wrong(made, f"{JOBS}/", "POST") == ""
    assert made["spec"]["template"]["spec"]["nodeSelector"] == {"cpu": "x"}
    assert wrong(network_policy(settings, STORE, ["10.0.0.5", "fd00::5"]), f"{POLICIES}/", "POST") == ""


def test_a_field_that_kubernetes_does_not_have_is_refused_by_the_test_itself() -> None:
    made = job(BATCH, SETTINGS, STORE)
    assert "backoffLimitPerIdx" in wrong(
        {**made, "spec": {**made["spec"], "backoffLimitPerIdx": 1}}, f"{JOBS}/", "POST"
    )
    made["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure"
    assert wrong(made, f"{JOBS}/", "POST") == "podFailurePolicy needs restartPolicy Never"


@pytest.mark.parametrize(
    ("status", "action"), [(1, "FailIndex"), (2, "FailIndex"), (3, "FailIndex"), (4, "Count"), (137, "Count")]
)
def test_exit_statuses_say_what_is_tried_again(status: int, action: str) -> None:
    made = job(BATCH, SETTINGS, STORE)
    assert action_of(made, status, drained=False) == action
    assert action_of(made, status, drained=True) == "Ignore"


def test_pods_have_no_rights_and_speak_to_the_store_alone() -> None:
    made = job(BATCH, SETTINGS, STORE)["spec"]["template"]["spec"]
    assert made["automountServiceAccountToken"] is False and made["hostUsers"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC", "serviceAccountName"} & made.keys()
    assert {tuple(volume.keys() - {"name"}) for volume in made["volumes"]} == {("emptyDir",)}
    assert made["containers"][0]["resources"]["limits"]["x.org/kvm"] == "1"
    policy = network_policy(SETTINGS, STORE, ["10.0.0.5"])["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"] and policy["ingress"] == []
    (store, names) = policy["egress"]
    assert store == {"to": [{"ipBlock": {"cidr": "10.0.0.5/32"}}], "ports": [{"protocol": "TCP", "port": 8741}]}
    assert {one["port"] for one in names["ports"]} == {53}


def test_a_job_finds_what_one_host_finds(cluster: Cluster) -> None:
    (result,) = cluster.fleet.run(context=cluster.fleet.context(cluster.engine, slow=1.0))
    with made_world() as world:
        assert told(result) == told(world.run(lab=Lab({test: list(said) for test, said in SCRIPT.items()})))
    assert cluster.api.refused == [] and cluster.api.unshut == [] and cluster.started == [(0, 0), (1, 0)]
    logs = cluster.fleet.world.folder / "runs" / "latest" / "logs" / "fuse2fs" / "fstests"
    assert all((logs / test / "output.txt").is_file() for test in TESTS)


def test_lost_machines_and_drained_nodes_are_tried_again_by_kubernetes(cluster: Cluster) -> None:
    pods(cluster, lambda index, attempt: {(0, 0): 4, (1, 0): -137, (1, 1): -137}.get((index, attempt)))
    (result,) = cluster.fleet.run(context=cluster.fleet.context(cluster.engine, slow=1.0))
    assert result.count(Outcome.INFRA) == 0 and cluster.started == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]
    assert len([path for path in cluster.api.objects if "/jobs/" in path]) == 1


def test_a_status_that_would_come_again_ends_a_shard_at_once(cluster: Cluster) -> None:
    pods(cluster, lambda index, attempt: 3 if index == 1 else None)
    (result,) = cluster.fleet.run(context=cluster.fleet.context(cluster.engine, slow=1.0))
    assert result.count(Outcome.INFRA) == len(TESTS) // 2 and cluster.started == [(0, 0), (1, 0)]
    assert result.reason.endswith("run-shard exited with status 3")


def test_a_job_goes_when_none_of_it_is_wanted_any_more(cluster: Cluster, tmp_path: Path) -> None:
    gone = Place(BATCH.model_copy(update={"shards": ("a",) * 3, "objects": ("1" * 64,) * 3}), tmp_path / "batch")
    stopped: list[int] = []

    def until_deleted(index: int, attempt: int) -> int:
        while any("/jobs/" in path for path in dict(cluster.api.objects)):
            continue
        stopped.append(index)
        return 4

    pods(cluster, until_deleted)
    cluster.engine.submit(gone)
    cluster.engine.cancel(gone, [0, 1])
    assert any("/jobs/" in path for path in cluster.api.objects), "the third is still wanted"
    cluster.engine.cancel(gone, [0, 1, 2])
    assert cluster.engine.poll(gone) == {} and cluster.api.refused == []


def test_a_pod_that_prints_rubbish_in_place_of_a_result_brought_none(cluster: Cluster, tmp_path: Path) -> None:
    pods(cluster, lambda index, attempt: 0)
    place = Place(BATCH, tmp_path / "batch")
    cluster.engine.submit(place)
    for thread in cluster.api.threads:
        thread.join()
    states = cluster.engine.poll(place)
    assert {(one.phase, one.status) for one in states.values()} == {(Phase.ENDED, 0)}
    assert cluster.engine.fetch(place, 0) is None


@given(st.frozensets(st.integers(0, 255)))
def test_lists_of_indexes_are_read_as_kubernetes_writes_them(wanted: frozenset[int]) -> None:
    parts: list[list[int]] = []
    for number in sorted(wanted):
        if parts and parts[-1][-1] == number - 1:
            parts[-1] = [parts[-1][0], number]
        else:
            parts.append([number])
    assert indexes(",".join("-".join(map(str, part)) for part in parts)) == wanted
