# SPDX-License-Identifier: GPL-2.0-or-later
"""A Kubernetes API on loopback: takes what the published schemas and its own words allow, and runs pods."""

import http.server
import json
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema

from tests.web import serving

SCHEMA = json.loads((Path(__file__).parent / "kubernetes_schema.json").read_text())
KINDS = {
    "Job": "io.k8s.api.batch.v1.Job",
    "NetworkPolicy": "io.k8s.api.networking.v1.NetworkPolicy",
    "DeleteOptions": "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
}
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
Run = Callable[[int, int, dict[str, Any]], tuple[int, str]]
"""Index, attempt and container -> exit status and log."""


@dataclass
class Kube:
    """One namespace. A Job's pods run in a thread, one after another."""

    run: Run
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Path -> object."""
    pods: list[dict[str, Any]] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    unshut: list[str] = field(default_factory=list)
    """Jobs that were made before anything shut their pods in."""
    threads: list[threading.Thread] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def answer(self, method: str, address: str, body: bytes) -> tuple[int, bytes]:
        path, query = urlsplit(address).path, parse_qs(urlsplit(address).query)
        if method in ("POST", "PUT", "DELETE"):
            value = json.loads(body)
            if problem := wrong(value, path, method):
                self.refused.append(problem)
                return 422, problem.encode()
            return self._change(method, path, value)
        if path.endswith("/log"):
            log = self.logs.get(path.split("/")[-2])
            return (200, log[: int(query["limitBytes"][0])].encode()) if log is not None else (404, b"")
        with self.lock:
            if path.endswith("/pods"):
                wanted = dict(part.split("=", 1) for part in query["labelSelector"][0].split(","))
                found = [pod for pod in self.pods if wanted.items() <= pod["metadata"]["labels"].items()]
                return 200, json.dumps({"kind": "PodList", "items": found}).encode()
            return (200, json.dumps(self.objects[path]).encode()) if path in self.objects else (404, b"{}")

    def _change(self, method: str, path: str, value: dict[str, Any]) -> tuple[int, bytes]:
        with self.lock:
            if method == "DELETE":
                return (200, b"{}") if self.objects.pop(path, None) else (404, b"{}")
            place = path if method == "PUT" else f"{path}/{value['metadata']['name']}"
            if method == "POST" and place in self.objects:
                return 409, b'{"reason": "AlreadyExists"}'
            self.objects[place] = {**value, "status": {}}
        if value["kind"] == "Job":
            if not any("/networkpolicies/" in one for one in self.objects):
                self.unshut.append(place)
            self.threads.append(threading.Thread(target=self._work, args=(place, value)))
            self.threads[-1].start()
        return 201, json.dumps(value).encode()

    def _work(self, place: str, job: dict[str, Any]) -> None:
        done: list[int] = []
        failed: list[int] = []
        for index in range(job["spec"]["completions"]):
            (done if self._index(place, job, index) else failed).append(index)
            with self.lock:
                if place not in self.objects:
                    return
                self.objects[place]["status"] = {
                    "completedIndexes": ",".join(map(str, done)),
                    "failedIndexes": ",".join(map(str, failed)),
                }

    def _index(self, place: str, job: dict[str, Any], index: int) -> bool:
        """Whether one of its pods succeeded; the Job's own policy says how often it is tried."""
        counted, attempt = 0, 0
        while True:
            with self.lock:
                if place not in self.objects:
                    return False
            pod = self._pod(job, index, attempt)
            status, log = self.run(index, attempt, job["spec"]["template"]["spec"]["containers"][0])
            attempt += 1
            drained = status < 0
            with self.lock:
                self.logs[pod["metadata"]["name"]] = log
                pod["status"] = {
                    "phase": "Succeeded" if status == 0 else "Failed",
                    "containerStatuses": [{"name": "worker", "state": {"terminated": {"exitCode": abs(status)}}}],
                }
            action = "" if status == 0 else action_of(job, status, drained=drained)
            if action == "Ignore":
                continue
            if status == 0 or action == "FailIndex":
                return status == 0
            counted += 1
            if counted > job["spec"]["backoffLimitPerIndex"]:
                return False

    def _pod(self, job: dict[str, Any], index: int, attempt: int) -> dict[str, Any]:
        name = job["metadata"]["name"]
        made = {
            "metadata": {
                "name": f"{name}-{index}-{attempt}",
                "labels": {**job["spec"]["template"]["metadata"]["labels"], "batch.kubernetes.io/job-name": name},
                "annotations": {"batch.kubernetes.io/job-completion-index": str(index)},
                "creationTimestamp": f"2026-11-29T12:00:{attempt:02}Z",
            },
            "spec": {"nodeName": f"node{index % 3}"},
            "status": {"phase": "Running"},
        }
        with self.lock:
            self.pods.append(made)
        return made


def action_of(job: dict[str, Any], status: int, *, drained: bool) -> str:
    """What the first rule of the policy that fits says; without one a failure counts."""
    for rule in job["spec"]["podFailurePolicy"]["rules"]:
        if drained and any(one["type"] == "DisruptionTarget" for one in rule.get("onPodConditions", ())):
            return str(rule["action"])
        if not drained and status in rule.get("onExitCodes", {}).get("values", ()):
            return str(rule["action"])
    return "Count"


def wrong(value: dict[str, Any], path: str, method: str) -> str:
    """Why Kubernetes refuses an object; empty: it does not."""
    kind = value.get("kind", "")
    if kind not in KINDS:
        return f"no kind {kind}"
    try:
        jsonschema.validate(value, {"$ref": f"#/definitions/{KINDS[kind]}", **SCHEMA})
    except jsonschema.ValidationError as error:
        return f"{'.'.join(map(str, error.path))}: {error.message[:200]}"
    if kind == "DeleteOptions":
        return "" if method == "DELETE" else "no object"
    metadata = value["metadata"]
    if not NAME.fullmatch(metadata["name"]) or f"/namespaces/{metadata['namespace']}/" not in path:
        return "no such name or namespace"
    return _wrong_job(value["spec"]) if kind == "Job" else ""


def _wrong_job(spec: dict[str, Any]) -> str:
    """What the API's own validation says beyond the schema."""
    pod = spec["template"]["spec"]
    if spec.get("completionMode") != "Indexed" or not 1 <= spec["completions"] <= 100_000:
        return "backoffLimitPerIndex needs indexed completions"
    if pod.get("restartPolicy") != "Never":
        return "podFailurePolicy needs restartPolicy Never"
    names = {container["name"] for container in pod["containers"]}
    for rule in spec["podFailurePolicy"]["rules"]:
        if rule["action"] not in ("FailJob", "FailIndex", "Ignore", "Count"):
            return f"action {rule['action']}"
        if ("onExitCodes" in rule) == ("onPodConditions" in rule):
            return "a rule has either exit codes or conditions"
        codes = rule.get("onExitCodes")
        if codes and (codes["values"] != sorted(set(codes["values"])) or 0 in codes["values"]):
            return "exit codes are in order, once each, and not 0"
        if codes and codes["containerName"] not in names:
            return f"no container {codes['containerName']}"
    mounts = {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]}
    if mounts != {volume["name"] for volume in pod["volumes"]}:
        return "mounts without volumes"
    unmasked = any(container["securityContext"].get("procMount") == "Unmasked" for container in pod["containers"])
    return "procMount Unmasked needs hostUsers: false" if unmasked and pod.get("hostUsers") is not False else ""


def process(program: Path, folder: Path) -> Run:
    """Runs the container's command as a process of this host, with `reviewbot` first in its path."""

    def run(index: int, attempt: int, container: dict[str, Any]) -> tuple[int, str]:
        home = folder / f"pod-{index}-{attempt}"
        home.mkdir(parents=True)
        environment = {one["name"]: one["value"].replace("/pod", str(home)) for one in container["env"]}
        environment |= {"PATH": f"{program.parent}:{os.environ['PATH']}", "JOB_COMPLETION_INDEX": str(index)}
        command = [word.replace("/pod", str(home)) for word in container["command"]]
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        return done.returncode, done.stdout

    return run


@contextmanager
def kubernetes(run: Run) -> Iterator[tuple[str, Kube]]:
    """URL of an API, and what it knows."""
    made = Kube(run)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, said = made.answer(self.command, self.path, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_POST = do_PUT = do_DELETE = do_GET

        def log_message(self, *_: object) -> None:
            return

    with serving(Handler) as url:
        try:
            yield url, made
        finally:
            for thread in made.threads:
                thread.join()
