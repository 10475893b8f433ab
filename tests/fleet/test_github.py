# SPDX-License-Identifier: GPL-2.0-or-later
"""Shards in the matrix of a workflow: its jobs' steps run in order, and what they leave becomes a leg's results."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from reviewbot.fleet.github import Github
from reviewbot.model.fleet import GithubEngine
from reviewbot.model.results import Outcome
from tests.command import ROOT
from tests.fleet.actions import Actions, github, tools
from tests.fleet.test_coordinator import told
from tests.fleet.world import FleetWorld
from tests.github_runner import RunnerHost
from tests.played import TESTS, Lab, made_world
from tests.post.hub import TOKEN
from tests.web import folder_served

SCRIPT = {TESTS[1]: ["fail"] * 9, TESTS[5]: ["notrun"] * 9}
PACKAGE = f"git+https://example.org/reviewbot@{'c' * 40}"


@dataclass
class Hosted:
    fleet: FleetWorld
    hub: Actions
    engine: Github


@pytest.fixture
def hosted(fleet: FleetWorld, tmp_path: Path) -> Iterator[Hosted]:
    (tmp_path / "played.json").write_text(json.dumps({"head": {"script": SCRIPT}}))
    reviewbot = f"""
export PYTHONPATH={ROOT} PLAYED={tmp_path}/played.json
[ -z "$DIES" ] || exit "$DIES"
exec {sys.executable} -m tests.fleet.workers "$@"
"""
    programs = tools(tmp_path / "tools", reviewbot)

    def host(number: int, inputs: dict[str, str]) -> RunnerHost:
        root = tmp_path / f"run{number}"
        root.mkdir()
        return RunnerHost(root, programs, dict(inputs), {"REVIEWBOT_PACKAGE": PACKAGE})

    with ExitStack() as stack:
        hub = stack.enter_context(github(host))
        store = stack.enter_context(folder_served(fleet.objects))
        settings = GithubEngine(engine="github", repository="owner/name", api=hub.url, store=store)
        fleet.settings = fleet.settings.model_copy(update={"shards": 2, "poll": 0.1, "lease": 10.0})
        yield Hosted(fleet, hub, Github(settings, store, TOKEN))


def test_the_matrix_finds_what_one_host_finds(hosted: Hosted) -> None:
    (result,) = hosted.fleet.run(context=hosted.fleet.context(hosted.engine, slow=1.0))
    with made_world() as world:
        assert told(result) == told(world.run(lab=Lab({test: list(said) for test, said in SCRIPT.items()})))
    (run,) = hosted.hub.runs
    assert len(json.loads(run.inputs["shards"])) == 2 and hosted.hub.refused == [] and hosted.hub.leaked == []
    jobs = [job for name, job in run.found.items() if "(" in name]
    assert [job.done[-2:] for job in jobs] == [["Run the shard", "Keep the result"]] * 2
    logs = hosted.fleet.world.folder / "runs" / "latest" / "logs" / "fuse2fs" / "fstests"
    assert all((logs / test / "output.txt").is_file() for test in TESTS)


def test_a_job_that_ends_with_a_status_that_would_come_again_is_not_started_again(
    hosted: Hosted, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "tools" / "reviewbot"
    program.write_text(program.read_text().replace('[ -z "$DIES" ] || exit "$DIES"', "exit 3"))
    (result,) = hosted.fleet.run(context=hosted.fleet.context(hosted.engine, slow=1.0))
    assert result.count(Outcome.INFRA) == len(TESTS) and len(hosted.hub.runs) == 1
    assert result.reason.endswith("run-shard exited with status 3")


def test_a_coordinator_that_comes_back_finds_its_run_by_name(hosted: Hosted) -> None:
    context = hosted.fleet.context(hosted.engine, slow=1.0)
    hosted.fleet.run(context=context)
    again = Github(hosted.engine.settings, hosted.engine.store, TOKEN)
    (run,) = hosted.hub.runs
    found = again.rest.get("/repos/owner/name/actions/workflows/run-shards.yml/runs", event="workflow_dispatch")
    assert [one["display_title"] for one in found["workflow_runs"]] == [run.inputs["batch"]]
