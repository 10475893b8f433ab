# SPDX-License-Identifier: GPL-2.0-or-later
"""GitHub on loopback: takes what its own description of its API takes, and runs the workflow that it is told to."""

import http.server
import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.github_runner import JobResult, RunnerHost
from tests.post.hub import TOKEN, wrong
from tests.test_workflows import DATA
from tests.web import serving


@dataclass
class Dispatched:
    """A run of the workflow."""

    number: int
    inputs: dict[str, str]
    host: RunnerHost
    found: dict[str, JobResult] = field(default_factory=dict)
    over: bool = False
    cancelled: bool = False


@dataclass
class Actions:
    """One repository. Jobs run in threads, as one after another of a matrix."""

    host: Callable[[int, dict[str, str]], RunnerHost]
    url: str = ""
    runs: list[Dispatched] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)
    """Tokens that came to where the results are kept."""
    threads: list[threading.Thread] = field(default_factory=list)

    def answer(self, method: str, address: str, token: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        path, query = urlsplit(address).path, parse_qs(urlsplit(address).query)
        if path.startswith("/blobs/"):
            self.leaked += [token] if token else []
            blob, _, name = path.removeprefix("/blobs/").partition("/")
            return 200, self._zip(self.runs[int(blob)], name), {}
        if token != f"Bearer {TOKEN}":
            return 401, b'{"message": "Bad credentials"}', {}
        if problem := wrong(method, address, body):
            self.refused.append(problem)
            return 422, json.dumps({"message": problem}).encode(), {}
        parts = path.split("/")
        if path.endswith("/dispatches"):
            self._dispatch(json.loads(body)["inputs"])
            return 204, b"", {}
        if path.endswith("/zip"):
            number, place = divmod(int(parts[-2]), 1000)
            return 302, b"", {"Location": f"{self.url}/blobs/{number}/{self._names(self.runs[number])[place]}"}
        if "/workflows/" in path:
            found = [{"id": one.number, "display_title": one.inputs["batch"]} for one in reversed(self.runs)]
            return 200, json.dumps({"workflow_runs": found}).encode(), {}
        return self._of_run(self.runs[int(parts[parts.index("runs") + 1])], path, query.get("name", [""])[0])

    def _of_run(self, run: Dispatched, path: str, name: str) -> tuple[int, bytes, dict[str, str]]:
        if path.endswith("/cancel"):
            run.cancelled = True
            return 202, b"{}", {}
        if path.endswith("/jobs"):
            return 200, json.dumps({"jobs": self._jobs(run)}).encode(), {}
        names = enumerate(self._names(run))
        kept = [{"id": 1000 * run.number + n, "name": one, "expired": False} for n, one in names if one == name]
        return 200, json.dumps({"artifacts": kept}).encode(), {}

    def _dispatch(self, inputs: dict[str, str]) -> None:
        run = Dispatched(len(self.runs), inputs, self.host(len(self.runs), inputs))
        self.runs.append(run)

        def work() -> None:
            run.found = run.host.run(DATA["run-shards"])
            run.over = True

        self.threads.append(threading.Thread(target=work))
        self.threads[-1].start()

    @staticmethod
    def _jobs(run: Dispatched) -> list[dict[str, Any]]:
        names = [f"shard ({value})" for value in json.loads(run.inputs["shards"])]
        if not run.over:
            return [{"name": name, "status": "in_progress", "runner_name": "GitHub Actions 7"} for name in names]
        return [{"name": name, "status": "completed", "conclusion": run.found[name].result} for name in names]

    @staticmethod
    def _names(run: Dispatched) -> list[str]:
        folder = run.host.root / "stored" / "artifacts"
        return sorted(path.name for path in folder.iterdir()) if run.over and folder.is_dir() else []

    @staticmethod
    def _zip(run: Dispatched, name: str) -> bytes:
        made, folder = io.BytesIO(), run.host.root / "stored" / "artifacts" / name
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.rglob("*")):
                archive.write(path, path.relative_to(folder))
        return made.getvalue()


@contextmanager
def github(host: Callable[[int, dict[str, str]], RunnerHost]) -> Iterator[Actions]:
    """host: number of a run and its inputs -> where its jobs run."""
    made = Actions(host)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, said, headers = made.answer(self.command, self.path, self.headers.get("Authorization", ""), body)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(said))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            return

    with serving(Handler) as url:
        made.url = url
        try:
            yield made
        finally:
            for thread in made.threads:
                thread.join()


def tools(folder: Path, program: str) -> Path:
    """Programs of a runner: what the job's first step installs is this `reviewbot`."""
    folder.mkdir()
    programs = {
        "apt-get": "exit 0",
        "git": 'case "$*" in init*) mkdir -p "${@: -1}";; version) echo git version 2.39.5;; esac',
        "python3": f'mkdir -p "$3/bin"; cp {folder}/pip {folder}/reviewbot "$3/bin/"',
        "pip": "exit 0",
        "reviewbot": program,
    }
    for name, text in programs.items():
        (folder / name).write_text(f"#!/bin/bash\n{text}\n")
        (folder / name).chmod(0o755)
    return folder
