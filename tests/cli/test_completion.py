# SPDX-License-Identifier: GPL-2.0-or-later
"""What a shell offers when TAB is pressed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reviewbot.store import RunFolder, Runs
from tests.command import called


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def offered(data: Path, line: str, **env: str) -> list[str]:
    """The words that are offered for the last one of a command line, which may be empty."""
    asked = {"_REVIEWBOT_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    done = called(env={**os.environ, **asked, "REVIEWBOT_DATA": str(data), **env})
    assert "Traceback" not in done.stderr
    return [answer.partition(",")[2] for answer in done.stdout.splitlines() if answer]


def a_run(data: Path) -> RunFolder:
    run = Runs(data / "runs").create()
    plan = {"posting": {"subject": "[PATCH] fuse: do this"}, "legs": [{"leg": "ext4"}, {"leg": "fuse2fs"}]}
    tests = [
        {"suite": "smoke", "test": "rename", "outcome": "PASS"},
        {"suite": "fstests", "test": "generic/001", "outcome": "PASS"},
        {"suite": "fstests", "test": "generic/013", "outcome": "FAIL"},
    ]
    run.write("plan.json", json.dumps(plan))
    run.write("results.json", json.dumps({"legs": [{"leg": "ext4", "tests": tests}]}))
    return run


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("reviewbot pl", ["plan"]),
        ("reviewbot plan --leg", ["--legs"]),
        (
            "reviewbot plan --legs fuse4",
            [f"fuse4fs{more}" for more in ("", "-iomap", "-iomap-1k", "-iomap-2k", "-service")],
        ),
        ("reviewbot plan --legs ext4,l", ["ext4,lklfuse"]),
        ("reviewbot plan --legs ext4,e", []),
        ("reviewbot apply-and-test --suites ", ["smoke", "fstests", "bench"]),
        ("reviewbot apply-and-test --variant kas", ["kasan"]),
        ("reviewbot apply-and-test --base lib", ["libfuse="]),
        ("reviewbot apply-and-test --tests generic/78", [f"generic/{n}" for n in range(780, 788)]),
        ("reviewbot review --stack f", ["fuse"]),
        ("reviewbot schema verd", ["verdict"]),
        ("reviewbot report --format lc", ["lcov"]),
        ("reviewbot completion z", ["zsh"]),
    ],
)
def test_words_that_fit_are_offered(data: Path, line: str, words: list[str]) -> None:
    assert offered(data, line) == words


def test_runs_their_legs_and_their_tests_are_offered_failures_first(data: Path) -> None:
    run = a_run(data)
    assert offered(data, "reviewbot report ") == ["latest", run.id]
    assert offered(data, f"reviewbot shell {run.id} --leg f") == ["fuse2fs"]
    assert offered(data, f"reviewbot reproduce {run.id} ") == ["generic/013", "generic/001", "smoke/rename"]
    assert offered(data, "reviewbot reproduce latest generic/00") == ["generic/001"]
    assert offered(data, "reviewbot gc --run 2") == [run.id]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"legs": 3, "posting": []}', '{"legs": [{"tests": [{}]}]}'])
def test_a_damaged_run_offers_less_and_breaks_nothing(data: Path, text: str) -> None:
    run = Runs(data / "runs").create()
    for name in ("plan.json", "results.json"):
        (run.path / name).write_text(text)
    assert run.id in offered(data, "reviewbot report ")
    offered(data, f"reviewbot reproduce {run.id} ")
    offered(data, "reviewbot shell latest --leg ")


def test_without_runs_there_is_nothing_to_offer_and_no_complaint(data: Path) -> None:
    assert offered(data, "reviewbot shell latest --leg ") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_words_of_its_own_that_are_sound(shell: str, tmp_path: Path) -> None:
    done = called("completion", shell)
    assert done.returncode == 0 and f"_REVIEWBOT_COMPLETE={shell}_complete" in done.stdout
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed: whether it takes these words is not known")
    (tmp_path / "script").write_text(done.stdout)
    assert subprocess.run([shell, "-n", tmp_path / "script"], check=False, timeout=60).returncode == 0


def test_bash_itself_completes_with_these_words(data: Path, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "reviewbot"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m reviewbot "$@"\n')
    program.chmod(0o755)
    script = (
        "source <(reviewbot completion bash)\n"
        "COMP_WORDS=(reviewbot plan --legs ext4,fuse4); COMP_CWORD=3\n"
        '_reviewbot_completion reviewbot; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "REVIEWBOT_DATA": str(data)},
    )
    assert done.stdout.split() == [
        f"ext4,fuse4fs{more}" for more in ("", "-iomap", "-iomap-1k", "-iomap-2k", "-service")
    ], done.stderr
