# SPDX-License-Identifier: GPL-2.0-or-later
"""The GitHub workflows: what they may do, and what their scripts do with what strangers give it."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from reviewbot.host.data import data_path

NAMES = ("apply-and-test", "review")
SHARDS = "apply-and-test-shards"
ALL = (*NAMES, SHARDS)
TEXTS = {name: data_path(f"workflows/{name}.yml").read_text() for name in ALL}
DATA: dict[str, dict[Any, Any]] = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
STEPS: dict[str, list[dict[str, Any]]] = {
    name: [step for job in DATA[name]["jobs"].values() for step in job["steps"]] for name in ALL
}
every_workflow = pytest.mark.parametrize("workflow", ALL)
of_one_job = pytest.mark.parametrize("workflow", NAMES)


def step(workflow: str, name: str) -> dict[str, Any]:
    return next(s for s in STEPS[workflow] if s.get("name") == name)


def test_every_workflow_is_tested() -> None:
    assert {path.stem for path in data_path("workflows").glob("*.yml")} == set(ALL)


@every_workflow
def test_it_has_the_published_schema(workflow: str) -> None:
    path = data_path(f"workflows/{workflow}.yml")
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@every_workflow
def test_it_has_no_rights_and_no_secrets(workflow: str) -> None:
    assert DATA[workflow]["permissions"] == {}
    assert all(job["permissions"] == {"contents": "read"} for job in DATA[workflow]["jobs"].values())
    text = TEXTS[workflow]
    assert "secrets." not in text and "GITHUB_TOKEN" not in text and "pull_request_target" not in text
    (checkout,) = (s for s in STEPS[workflow] if s.get("uses", "").startswith("actions/checkout@"))
    assert checkout["with"]["persist-credentials"] is False


@every_workflow
def test_every_action_is_pinned_by_commit(workflow: str) -> None:
    uses = [s["uses"] for s in STEPS[workflow] if "uses" in s]
    assert len(uses) >= 3
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", use) for use in uses), uses


@every_workflow
def test_no_expression_reaches_a_script(workflow: str) -> None:
    assert [s["run"] for s in STEPS[workflow] if "${{" in s.get("run", "")] == []


@pytest.mark.parametrize("script", [s["run"] for name in ALL for s in STEPS[name] if "run" in s])
def test_scripts_are_bash(script: str) -> None:
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


def play(workflow: str, name: str, folder: Path, status: int, **env: str) -> subprocess.CompletedProcess[str]:
    """Run one step's script as GitHub does, with a `reviewbot` that only tells how it was called."""
    (folder / "bin").mkdir()
    tool = folder / "bin" / "reviewbot"
    tool.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > called\necho "::error::from the guest"\nexit {status}\n')
    tool.chmod(0o755)
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step(workflow, name)["run"]], cwd=folder, text=True,
        capture_output=True, check=False, env={"PATH": f"{folder}/bin:{os.environ['PATH']}", **env},
    )  # fmt: skip


EVIL = 'x@y"; touch pwned; $(touch pwned) `touch pwned` #'


CALLS = {
    "apply-and-test": ("Apply and test", ["apply-and-test", "--legs=", "--suites=smoke", "--tests=-g quick"]),
    "review": ("Review", ["review"]),
}


@of_one_job
@pytest.mark.parametrize("status", [0, 1, 3, 4])
def test_the_jobs_status_is_the_tools_and_guests_cannot_command_the_runner(
    tmp_path: Path, workflow: str, status: int
) -> None:
    name, words = CALLS[workflow]
    done = play(workflow, name, tmp_path, status, MESSAGE_ID=EVIL, LEGS="", SUITES="smoke", TESTS="-g quick")
    assert done.returncode == status
    assert not (tmp_path / "pwned").exists()
    called = (tmp_path / "called").read_text().splitlines()
    assert called == [*words, "--", EVIL]
    first, said, last = done.stdout.splitlines()
    token = re.fullmatch(r"::stop-commands::([0-9a-f]{32})", first)
    assert token and said == "::error::from the guest" and last == f"::{token[1]}::"


@pytest.mark.parametrize("rfc", ["", "yes"])
@of_one_job
def test_rfc_parts_are_asked_for_by_an_input(tmp_path: Path, workflow: str, rfc: str) -> None:
    play(workflow, CALLS[workflow][0], tmp_path, 0, MESSAGE_ID="x@y", LEGS="", SUITES="smoke", TESTS="", RFC=rfc)
    assert ("--rfc" in (tmp_path / "called").read_text().splitlines()) is bool(rfc)


@pytest.mark.parametrize("words", [["plan", "--legs=", "--suites=smoke", "--tests="], ["review"]])
def test_the_call_is_one_that_the_command_line_takes(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "reviewbot", *words, "--rfc", "--mbox=/nowhere", "--", "-odd@example.org"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and "/nowhere" in done.stderr, done.stderr


@of_one_job
def test_the_summary_is_shown_and_bounded(tmp_path: Path, workflow: str) -> None:
    run = tmp_path / "data" / "runs" / "latest"
    run.mkdir(parents=True)
    (run / "summary.md").write_text("# PASS\n" + "x" * 2_000_000)
    shown = tmp_path / "shown"
    done = play(workflow, "Summary", tmp_path, 0, REVIEWBOT_DATA=str(tmp_path / "data"), GITHUB_STEP_SUMMARY=str(shown))
    assert done.returncode == 0
    assert shown.read_text().startswith("# PASS") and shown.stat().st_size <= 1 << 20


@of_one_job
def test_a_job_without_a_run_says_so(tmp_path: Path, workflow: str) -> None:
    shown = tmp_path / "shown"
    done = play(workflow, "Summary", tmp_path, 0, REVIEWBOT_DATA=str(tmp_path / "data"), GITHUB_STEP_SUMMARY=str(shown))
    assert done.returncode == 0 and "No run was made" in shown.read_text()


CUT = "Apply, build, and cut"


@pytest.mark.parametrize("status", [0, 1, 4])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        (CUT, ["apply-and-test", "--legs=ext4", "--tests=", f"--shards={EVIL}", "--shard-dir=cut", "--json", "--",
               EVIL]),
        ("Run the shard", ["run-shard", f"--output=results/{EVIL}", "--", f"cut/{EVIL}"]),
        ("Merge", ["merge-shards", "--", "cut", "results"]),
    ],
)  # fmt: skip
def test_each_job_of_a_matrix_ends_with_the_tools_status(
    tmp_path: Path, name: str, words: list[str], status: int
) -> None:
    given = {"MESSAGE_ID": EVIL, "LEGS": "ext4", "TESTS": "", "SHARDS": EVIL, "SHARD": EVIL}
    (tmp_path / "output").touch()
    done = play(SHARDS, name, tmp_path, status, **given, GITHUB_OUTPUT=str(tmp_path / "output"))
    assert (tmp_path / "called").read_text().splitlines() == words
    assert not (tmp_path / "pwned").exists()
    assert done.stdout.startswith("::stop-commands::")
    if name != CUT or status:  # the fake tool prints no JSON
        assert done.returncode == status and (tmp_path / "output").read_text() == ""


def test_the_calls_for_shards_are_ones_that_the_command_line_takes(tmp_path: Path) -> None:
    calls = [
        ["apply-and-test", "--legs=", "--tests=", "--shards=8", "--shard-dir=cut", "--json", "--mbox=/nowhere"],
        ["run-shard", "--output=/nowhere/r.json", "--", "/nowhere"], ["merge-shards", "--", "/nowhere", "/nowhere"],
    ]  # fmt: skip
    for words in calls:
        done = subprocess.run(
            [sys.executable, "-m", "reviewbot", *words], capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert done.returncode == 2 and "/nowhere" in done.stderr, done.stderr
