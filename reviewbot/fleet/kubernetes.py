# SPDX-License-Identifier: GPL-2.0-or-later
"""An Indexed Job of Kubernetes for each batch; a pod brings its result in its log, since it may speak to nobody else.

The Job is named as the batch is, so that it can be made once only and is found again.
"""

import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from reviewbot.fleet.engine import EngineBusy, Phase, Place, State
from reviewbot.fleet.manifests import CONTAINER, LABELS, job, network_policy
from reviewbot.fleet.rest import NotThere, Rest
from reviewbot.host.files import remove_tree
from reviewbot.model.fleet import KubernetesEngine
from reviewbot.runner.parcel import BEGIN, unpack

_INDEX = "batch.kubernetes.io/job-completion-index"
_JOB = "batch.kubernetes.io/job-name"
_MOST = 256
_LOG = 16 << 20
"""Bytes of a pod's log that are read."""


@dataclass(slots=True)
class Kubernetes:
    """See `Engine`."""

    settings: KubernetesEngine
    store: str
    most: int = _MOST
    rest: Rest = field(init=False)

    def __post_init__(self) -> None:
        chosen = self.settings
        self.rest = Rest(chosen.server, verify=chosen.ca_file, token_file=chosen.token_file)

    @property
    def _jobs(self) -> str:
        return f"/apis/batch/v1/namespaces/{self.settings.namespace}/jobs"

    @property
    def _pods(self) -> str:
        return f"/api/v1/namespaces/{self.settings.namespace}/pods"

    def submit(self, place: Place) -> None:
        """No pod is started before the policy is there that shuts it in."""
        self._shut_in()
        self.rest.post(f"{self._jobs}?fieldValidation=Strict", job(place.batch, self.settings, self.store))

    def _shut_in(self) -> None:
        policies = f"/apis/networking.k8s.io/v1/namespaces/{self.settings.namespace}/networkpolicies"
        wanted = network_policy(self.settings, self.store, self._addresses())
        try:
            there = self.rest.get(f"{policies}/{wanted['metadata']['name']}")
        except NotThere:
            self.rest.post(f"{policies}?fieldValidation=Strict", wanted)
            return
        if there.get("spec", {}).get("egress") != wanted["spec"]["egress"]:
            self.rest.put(f"{policies}/{wanted['metadata']['name']}?fieldValidation=Strict", wanted)

    def _addresses(self) -> list[str]:
        """Of the store's host. Raises EngineBusy."""
        if self.settings.egress:
            return []
        place = urlsplit(self.store)
        try:
            found = socket.getaddrinfo(place.hostname, place.port or 80, type=socket.SOCK_STREAM)
        except OSError as error:
            raise EngineBusy(f"{place.hostname}: {error.strerror or error}") from error
        return sorted({str(entry[4][0]) for entry in found})

    def poll(self, place: Place) -> Mapping[int, State]:
        try:
            made = self.rest.get(f"{self._jobs}/{place.batch.name}")
        except NotThere:
            return {}
        status = made.get("status") or {}
        failed, done = (indexes(str(status.get(name) or "")) for name in ("failedIndexes", "completedIndexes"))
        ended = [one.get("reason", "") for one in status.get("conditions") or () if one.get("type") == "Failed"]
        pods = self._newest(place)
        states = {}
        for index in range(len(place.batch.shards)):
            pod = pods.get(index)
            if index in done or index in failed or ended:
                states[index] = _ended(pod, succeeded=index in done)
            else:
                running = pod is not None and (pod.get("status") or {}).get("phase") == "Running"
                states[index] = State(Phase.RUNNING if running else Phase.WAITING, _node(pod))
        return states

    def fetch(self, place: Place, index: int) -> Path | None:
        if (pod := self._newest(place).get(index)) is None:
            return None
        path = f"{self._pods}/{pod['metadata']['name']}/log"
        try:
            text = self.rest.text(path, container=CONTAINER, limitBytes=_LOG)
        except NotThere:
            return None
        if BEGIN not in text:
            return None
        remove_tree(place.own(index))
        return unpack(text, place.own(index))

    def cancel(self, place: Place, indexes: Collection[int]) -> None:
        """The Job goes when none of its indexes is wanted any more: it would start one of them again."""
        out = {i for i, one in self.poll(place).items() if one.phase in (Phase.WAITING, Phase.RUNNING)}
        if out and out <= set(indexes):
            options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
            self.rest.delete(f"{self._jobs}/{place.batch.name}", options)

    def _newest(self, place: Place) -> dict[int, Mapping[str, Any]]:
        """Index -> its last pod."""
        chosen = ",".join(f"{name}={value}" for name, value in {_JOB: place.batch.name, **LABELS}.items())
        found: dict[int, Mapping[str, Any]] = {}
        listed = self.rest.get(self._pods, labelSelector=chosen).get("items") or ()
        for pod in sorted(listed, key=lambda one: str(one["metadata"].get("creationTimestamp", ""))):
            index = str((pod["metadata"].get("annotations") or {}).get(_INDEX, ""))
            if index.isdigit():
                found[int(index)] = pod
        return found


def indexes(text: str) -> frozenset[int]:
    """`0,2-4`."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        if first.isdigit() and (last or first).isdigit():
            found.update(range(int(first), min(int(last or first), _MOST) + 1))
    return frozenset(found)


def _ended(pod: Mapping[str, Any] | None, *, succeeded: bool) -> State:
    if pod is None:
        return State(Phase.LOST, why="its pod disappeared")
    status = pod.get("status") or {}
    exits = [
        (one.get("state") or {}).get("terminated") or {}
        for one in status.get("containerStatuses") or ()
        if one.get("name") == CONTAINER
    ]
    code = exits[0].get("exitCode") if exits else None
    if succeeded or isinstance(code, int):
        return State(Phase.ENDED, _node(pod), 0 if succeeded else code)
    return State(Phase.LOST, _node(pod), why=f"Kubernetes ended its pod: {str(status.get('reason') or '?')[:60]}")


def _node(pod: Mapping[str, Any] | None) -> str:
    return str((pod.get("spec") or {}).get("nodeName") or "")[:100] if pod else ""
