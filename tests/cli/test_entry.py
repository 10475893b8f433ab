# SPDX-License-Identifier: GPL-2.0-or-later
"""One line, one hint, one status for everything that goes wrong."""

import errno
import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from reviewbot.cli import entry, group
from reviewbot.model.errors import Blocked, InfraError, ReviewbotError, UsageError
from reviewbot.model.verdict import ExitStatus
from tests.command import called
from tests.mails import mbox, posting


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (UsageError("no such run: x", hint="list them"), 2, "reviewbot: no such run: x — list them"),
        (Blocked("part 2/6 lacks patch 3"), 3, "reviewbot: part 2/6 lacks patch 3"),
        (InfraError("line one\nline two"), 4, "reviewbot: line one line two"),
        (OSError(errno.ENOSPC, "No space left on device", "/cache/x"), 4, "reviewbot: the disk is full (/cache/x)"),
        (KeyboardInterrupt(), 130, "reviewbot: interrupted; run the same command again to resume"),
    ],
)
def test_an_error_is_one_line_and_a_status(
    error: BaseException, status: int, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(group.reviewbot, "main", fail)
    monkeypatch.setattr(entry, "stop_all", lambda: None)
    assert entry.run(["plan"]) == status
    said = capsys.readouterr().err
    assert said.startswith(line)
    assert said.count("\n") == 1


def test_an_interrupted_completion_leaves_the_command_line_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(group.reviewbot, "main", interrupted)
    monkeypatch.setattr(entry, "stop_all", lambda: None)
    monkeypatch.setenv("_REVIEWBOT_COMPLETE", "bash_complete")
    assert entry.run([]) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "odd"), RecursionError("too deep"), KeyError("path"), BrokenPipeError(), MemoryError()]
)
def test_what_nobody_expected_is_infrastructure_with_its_trace_in_a_file(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(group.reviewbot, "main", fail)
    monkeypatch.setattr(entry, "stop_all", lambda: None)
    monkeypatch.setenv("REVIEWBOT_DATA", str(tmp_path))
    assert entry.run(["plan"]) == ExitStatus.INFRA
    said = capsys.readouterr().err
    assert said.startswith("reviewbot: internal error at reviewbot/cli/entry.py:") and said.count("\n") == 1
    assert type(error).__name__ in said
    (trace,) = (tmp_path / "errors").iterdir()
    assert str(trace) in said
    assert "Traceback" in trace.read_text() and type(error).__name__ in trace.read_text()


@pytest.mark.parametrize("command", [["runs"], ["report", "latest"], ["plan", "--mbox", "thread.mbox"],
                                     ["review", "--no-build", "--mbox", "thread.mbox"]])  # fmt: skip
@pytest.mark.parametrize("variable", ["REVIEWBOT_DATA", "REVIEWBOT_CACHE"])
def test_a_folder_of_ours_that_is_a_file_accuses_no_series(command: list[str], variable: str, tmp_path: Path) -> None:
    (tmp_path / "thread.mbox").write_bytes(mbox(posting()))
    (tmp_path / "site.yaml").write_text("archive: http://127.0.0.1:9/all\n")
    folders = {"REVIEWBOT_DATA": str(tmp_path / "data"), "REVIEWBOT_CACHE": str(tmp_path / "cache")}
    Path(folders[variable]).write_text("")
    done = called(*command, cwd=tmp_path, env={**os.environ, **folders, "REVIEWBOT_SITE": str(tmp_path / "site.yaml")})
    assert done.returncode != ExitStatus.SERIES, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    if done.returncode == ExitStatus.INFRA and not done.stdout:
        last = done.stderr.splitlines()[-1]
        assert folders[variable] in last and variable in last


def test_every_error_type_has_a_status() -> None:
    seen = [ReviewbotError]
    while seen:
        kind = seen.pop()
        assert isinstance(kind.exit_status, ExitStatus)
        seen.extend(kind.__subclasses__())


def reviewbot(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return called(*arguments, env={**os.environ, **env})


@pytest.mark.parametrize(
    "command",
    ["", "plan", "review", "b4-check", "apply-and-test", "report", "post", "runs", "doctor", "schema", "reproduce",
     "shell"],
)  # fmt: skip
def test_help_says_what_a_command_is_for(command: str) -> None:
    done = reviewbot(*filter(None, [command]), "--help")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) > 6
    assert done.stderr == ""


def test_without_a_command_the_help_is_shown_as_it_is_laid_out() -> None:
    """And the status says that nothing was done: a script whose variable is empty must not go on."""
    bare, asked = reviewbot(), reviewbot("--help")
    assert bare.stdout == asked.stdout
    assert len(bare.stdout.splitlines()) > 30
    assert (bare.stderr, bare.returncode) == ("", ExitStatus.USAGE)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["plan"], "which series?"),
        (["plan", "x@y", "--nope"], "--nope"),
        (["nonsense"], "nonsense"),
        (["apply-and-test", "a@b", "--base", "kernel"], "COMPONENT=REF"),
        (["report", "no-such-run"], "no such run"),
        (["schema", "nope"], "no schema nope"),
    ],
)
def test_a_wrong_command_line_is_status_2_and_one_line(arguments: list[str], words: str, tmp_path: Path) -> None:
    done = reviewbot(*arguments, REVIEWBOT_DATA=str(tmp_path))
    assert done.returncode == ExitStatus.USAGE
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_runs_of_a_new_user(tmp_path: Path) -> None:
    done = reviewbot("runs", REVIEWBOT_DATA=str(tmp_path))
    assert "no runs yet" in done.stdout


def test_a_reader_that_goes_away_causes_no_traceback(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "reviewbot", "runs"], stdout=write, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "REVIEWBOT_DATA": str(tmp_path)}, timeout=600, check=False,
    )  # fmt: skip
    os.close(write)
    assert "Traceback" not in done.stderr


def test_sigterm_ends_like_ctrl_c(tmp_path: Path) -> None:
    """A process of ours that runs a long command ends it, and says how to go on."""
    script = (
        "import sys; from reviewbot.cli import entry, group; from reviewbot.host.process import run\n"
        "def slow(*a, **k): print('started', flush=True); run(['sleep', '1000'], timeout=2000)\n"
        "group.reviewbot.main = slow\n"
        "sys.exit(entry.run([]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.startswith("reviewbot: interrupted")


def test_each_command_is_loaded_by_itself_and_none_is_left_out() -> None:
    context = click.Context(group.reviewbot)
    listed = group.reviewbot.list_commands(context)
    assert all(group.reviewbot.get_command(context, name) for name in listed)
    for module in Path(group.__file__).parent.glob("*.py"):
        importlib.import_module(f"reviewbot.cli.{module.stem}")
    assert sorted(group.reviewbot.commands) == sorted(listed)
