# SPDX-License-Identifier: GPL-2.0-or-later
"""A workflow of GitHub Actions that is started for each batch, with a job per shard (REST, version 2022-11-28).

A run of it is known by its name, which is the batch's; results are artifacts.
"""

import re
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reviewbot.fleet.engine import EngineBusy, Phase, Place, State
from reviewbot.fleet.rest import NotThere, Rest
from reviewbot.host.files import remove_tree
from reviewbot.model.fleet import GithubEngine
from reviewbot.runner.parcel import RESULT, unzip

MOST_JOBS = 256
"""Of a matrix."""
_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
_PAGES = 10
_MOST_ZIP = 256 << 20
_APPEARS = 600.0
"""Seconds within which a run that was asked for is in the list."""
_SHARD = re.compile(r"\((\d{1,3})-[0-9a-f]{64}\)$")


@dataclass(slots=True)
class Github:
    """See `Engine`."""

    settings: GithubEngine
    store: str
    token: str = field(repr=False)
    most: int = MOST_JOBS
    rest: Rest = field(init=False)
    runs: dict[str, int] = field(default_factory=dict)
    """Batch -> id of the run."""

    def __post_init__(self) -> None:
        self.rest = Rest(self.settings.api, self.token, headers=_HEADERS)

    @property
    def _repository(self) -> str:
        return f"/repos/{self.settings.repository}/actions"

    @property
    def _workflow(self) -> str:
        return f"{self._repository}/workflows/{self.settings.workflow}"

    def submit(self, place: Place) -> None:
        shards = [f'"{matrix_value(place, index)}"' for index in range(len(place.batch.shards))]
        inputs = {"batch": place.batch.name, "store": self.store, "shards": f"[{', '.join(shards)}]"}
        self.rest.post(f"{self._workflow}/dispatches", {"ref": self.settings.ref, "inputs": inputs})

    def poll(self, place: Place) -> Mapping[int, State]:
        """A run that is not in the list yet is waited for, for a while."""
        if (run := self._run(place)) is None:
            began = (place.folder / "batch.json").stat().st_mtime
            why = "the workflow did not start: check that it is in the repository and has the input `batch`"
            state = State(Phase.WAITING) if time.time() - began < _APPEARS else State(Phase.LOST, why=why)
            return dict.fromkeys(range(len(place.batch.shards)), state)
        states = {}
        for job in self._all(f"{self._repository}/runs/{run}/jobs", "jobs"):
            if found := _SHARD.search(str(job.get("name", ""))):
                states[int(found[1])] = _state(job)
        if not states:
            return dict.fromkeys(range(len(place.batch.shards)), State(Phase.WAITING))
        return states

    def fetch(self, place: Place, index: int) -> Path | None:
        if (run := self._run(place)) is None:
            return None
        name = f"result-{matrix_value(place, index)}"
        found = [
            one
            for one in self._all(f"{self._repository}/runs/{run}/artifacts", "artifacts", name=name)
            if one.get("name") == name and not one.get("expired")
        ]
        if not found:
            return None
        folder, archive = place.own(index), place.folder / f"{index}.zip"
        remove_tree(folder)
        newest = max(int(one["id"]) for one in found)
        try:
            self.rest.file(f"{self._repository}/artifacts/{newest}/zip", archive, _MOST_ZIP)
            unzip(archive, folder)
        except NotThere:
            return None
        finally:
            archive.unlink(missing_ok=True)
        return folder / RESULT if (folder / RESULT).exists() else None

    def cancel(self, place: Place, indexes: Collection[int]) -> None:
        """A run is cancelled when none of its jobs is wanted any more: GitHub ends all of them, or none."""
        if (run := self._run(place)) is None:
            return
        states = self.poll(place)
        wanted = [i for i, one in states.items() if one.phase in (Phase.WAITING, Phase.RUNNING) and i not in indexes]
        if not wanted and any(one.phase in (Phase.WAITING, Phase.RUNNING) for one in states.values()):
            self.rest.post(f"{self._repository}/runs/{run}/cancel", {})

    def _run(self, place: Place) -> int | None:
        """Id of the batch's run; None: it is not in the list."""
        name = place.batch.name
        if name not in self.runs:
            for one in self._all(f"{self._workflow}/runs", "workflow_runs", event="workflow_dispatch"):
                if one.get("display_title") == name:
                    self.runs[name] = int(one["id"])
                    break
        return self.runs.get(name)

    def _all(self, path: str, key: str, **query: str) -> Iterator[dict[str, Any]]:
        """Entries of a list, page after page."""
        for page in range(1, _PAGES + 1):
            found = self.rest.get(path, per_page=100, page=page, **query)
            entries = found.get(key) if isinstance(found, dict) else None
            if not isinstance(entries, list):
                raise EngineBusy("GitHub did not return a list")
            yield from (one for one in entries if isinstance(one, dict))
            if len(entries) < 100:
                return


def matrix_value(place: Place, index: int) -> str:
    """What a job of the matrix is given: place in the batch, and hash of the shard."""
    return f"{index}-{place.batch.objects[index]}"


def _state(job: Mapping[str, Any]) -> State:
    where = str(job.get("runner_name") or "")[:100]
    if job.get("status") != "completed":
        return State(Phase.RUNNING if job.get("status") == "in_progress" else Phase.WAITING, where)
    conclusion = str(job.get("conclusion"))
    if conclusion == "success":
        return State(Phase.ENDED, where, 0)
    if conclusion == "failure":
        return State(Phase.ENDED, where)
    return State(Phase.LOST, where, why=f"GitHub ended its job: {conclusion[:40]}")
