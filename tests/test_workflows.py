# SPDX-License-Identifier: GPL-2.0-or-later
"""The GitHub workflow: what it may do, and what its scripts do with what strangers give it."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from reviewbot.host.data import data_path

WORKFLOW = data_path("workflows/apply-and-test.yml")
TEXT = WORKFLOW.read_text()
DATA: dict[Any, Any] = yaml.safe_load(TEXT)
STEPS: list[dict[str, Any]] = DATA["jobs"]["apply-and-test"]["steps"]


def step(name: str) -> dict[str, Any]:
    return next(s for s in STEPS if s.get("name") == name)


def test_it_has_the_published_schema() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(WORKFLOW)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_has_no_rights_and_no_secrets() -> None:
    assert DATA["permissions"] == {}
    assert [job["permissions"] for job in DATA["jobs"].values()] == [{"contents": "read"}]
    assert "secrets." not in TEXT and "GITHUB_TOKEN" not in TEXT and "pull_request_target" not in TEXT
    (checkout,) = (s for s in STEPS if s.get("uses", "").startswith("actions/checkout@"))
    assert checkout["with"]["persist-credentials"] is False


def test_every_action_is_pinned_by_commit() -> None:
    uses = [s["uses"] for s in STEPS if "uses" in s]
    assert len(uses) >= 3
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", use) for use in uses), uses


def test_no_expression_reaches_a_script() -> None:
    assert [s["run"] for s in STEPS if "${{" in s.get("run", "")] == []


@pytest.mark.parametrize("script", [s["run"] for s in STEPS if "run" in s])
def test_scripts_are_bash(script: str) -> None:
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


def play(name: str, folder: Path, status: int, **env: str) -> subprocess.CompletedProcess[str]:
    """Run one step's script as GitHub does, with a `reviewbot` that only tells how it was called."""
    (folder / "bin").mkdir()
    tool = folder / "bin" / "reviewbot"
    tool.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > called\necho "::error::from the guest"\nexit {status}\n')
    tool.chmod(0o755)
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step(name)["run"]], cwd=folder, text=True,
        capture_output=True, check=False, env={"PATH": f"{folder}/bin:{os.environ['PATH']}", **env},
    )  # fmt: skip


EVIL = 'x@y"; touch pwned; $(touch pwned) `touch pwned` #'


@pytest.mark.parametrize("status", [0, 1, 3, 4])
def test_the_jobs_status_is_the_tools_and_guests_cannot_command_the_runner(tmp_path: Path, status: int) -> None:
    done = play("Apply and test", tmp_path, status, MESSAGE_ID=EVIL, LEGS="", SUITES="smoke", TESTS="-g quick")
    assert done.returncode == status
    assert not (tmp_path / "pwned").exists()
    called = (tmp_path / "called").read_text().splitlines()
    assert called == ["apply-and-test", "--legs=", "--suites=smoke", "--tests=-g quick", "--", EVIL]
    first, said, last = done.stdout.splitlines()
    token = re.fullmatch(r"::stop-commands::([0-9a-f]{32})", first)
    assert token and said == "::error::from the guest" and last == f"::{token[1]}::"


def test_rfc_parts_are_asked_for_by_an_input(tmp_path: Path) -> None:
    play("Apply and test", tmp_path, 0, MESSAGE_ID="x@y", LEGS="", SUITES="smoke", TESTS="", RFC="yes")
    assert "--rfc" in (tmp_path / "called").read_text().splitlines()


def test_the_call_is_one_that_the_command_line_takes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "reviewbot", "plan", "--legs=", "--suites=smoke", "--tests=", "--rfc", "--mbox=/nowhere",
         "--", "-odd@example.org"], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and "/nowhere" in done.stderr, done.stderr


def test_the_summary_is_shown_and_bounded(tmp_path: Path) -> None:
    run = tmp_path / "data" / "runs" / "latest"
    run.mkdir(parents=True)
    (run / "summary.md").write_text("# PASS\n" + "x" * 2_000_000)
    shown = tmp_path / "shown"
    done = play("Summary", tmp_path, 0, REVIEWBOT_DATA=str(tmp_path / "data"), GITHUB_STEP_SUMMARY=str(shown))
    assert done.returncode == 0
    assert shown.read_text().startswith("# PASS") and shown.stat().st_size <= 1 << 20


def test_a_job_without_a_run_says_so(tmp_path: Path) -> None:
    shown = tmp_path / "shown"
    done = play("Summary", tmp_path, 0, REVIEWBOT_DATA=str(tmp_path / "data"), GITHUB_STEP_SUMMARY=str(shown))
    assert done.returncode == 0 and "No run was made" in shown.read_text()
