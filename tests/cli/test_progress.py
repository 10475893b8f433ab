# SPDX-License-Identifier: GPL-2.0-or-later
"""What a reader of a terminal, a file or a CI log sees."""

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from reviewbot.cli import progress
from reviewbot.cli.progress import Board, clock, display
from reviewbot.model.progress import Event


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.9, "59 s"), (60, "1:00"), (3599, "59:59"), (3661, "1:01:01")]
)
def test_clock(seconds: float, words: str) -> None:
    assert clock(seconds) == words


def test_a_line_lives_from_start_to_done() -> None:
    board = Board()
    board.hear(Event("build", "kernel", "start", expected=376))
    board.hear(Event("build", "kernel", "note", "fs/fuse/dev.o", done=10, total=900))
    (line,) = board.lines()
    words = line.words(line.since + 61)
    assert words == "build: kernel · 10/900 · fs/fuse/dev.o · 1:01 of ~6:16"
    board.hear(Event("build", "kernel", "done"))
    assert board.lines() == []


def test_plain_lines_when_stderr_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CI", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    with display() as tell:
        tell(Event("intake", "thread", "start"))
        tell(Event("intake", "thread", "done", "3 parts, 4 patches"))
        tell(Event("lab", "ext4 smoke", "failed", "1 FAIL"))
    assert capsys.readouterr().err.splitlines() == [
        "[0 s] intake: thread done in 0 s: 3 parts, 4 patches",
        "[0 s] lab: ext4 smoke failed in 0 s: 1 FAIL",
    ]


def test_a_ci_log_gets_one_line_a_minute_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("reviewbot.cli.progress.time.monotonic", lambda: now)
    out = io.StringIO()
    board = Board()
    view = progress._PlainView(board, out, progress.CI_INTERVAL)
    for second in range(300):
        now = 1000.0 + second
        for state in ("start", "done"):
            event = Event("lab", f"test {second}", state)
            view.show(event, board.hear(event))
        view.tick()
    view.close()
    lines = out.getvalue().splitlines()
    assert len(lines) == 6  # at 0, 60, 120, 180, 240, and the rest at the end
    assert all(f"test {second} done" in out.getvalue() for second in range(300))


def test_silence_is_broken_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("reviewbot.cli.progress.time.monotonic", lambda: now)
    out = io.StringIO()
    board = Board()
    view = progress._PlainView(board, out, 0.0)
    event = Event("build", "kernel", "start", expected=376)
    view.show(event, board.hear(event))
    for second in range(1, 181):
        now = float(second)
        view.tick()
    assert [line.split("] ")[1] for line in out.getvalue().splitlines()] == [
        "build: kernel · 1 s of ~6:16",
        "build: kernel · 1:01 of ~6:16",
        "build: kernel · 2:01 of ~6:16",
    ]


def test_an_estimate_that_proved_wrong_is_no_longer_shown() -> None:
    board = Board()
    line = board.hear(Event("build", "libfuse", "start", expected=3))
    assert [line.time(line.since + seconds) for seconds in (0, 2, 3, 20)] == [
        "0 s of ~3 s",
        "2 s of ~3 s",
        "3 s",
        "20 s",
    ]


@pytest.mark.parametrize("state", ["say", "bad"])
def test_what_begins_nothing_leaves_no_line_that_runs_for_ever(state: str) -> None:
    board = Board()
    board.hear(Event("cleanup", "cache", state, "removed 3 MiB"))
    assert board.lines() == []
    board.hear(Event("build", "kernel", "start"))
    board.hear(Event("build", "kernel", state, "kernel waits for run x"))
    (line,) = board.lines()
    assert line.text == ""


FAILURE = Event("lab", "ext4 fstests/generic/013", "bad", "FAIL: e2fsck finds TEST_DEV inconsistent", log="/runs/1/x")


def test_a_failure_is_shown_when_it_happens_with_its_log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CI", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    with display() as tell:
        tell(FAILURE)
        assert capsys.readouterr().err == (
            "[0 s] lab: ext4 fstests/generic/013: FAIL: e2fsck finds TEST_DEV inconsistent (log: /runs/1/x)\n"
        )
        tell(Event("build", "kernel", "failed", "fs/fuse/dev.c:1: error: x", log="/runs/1/kernel.log"))
        assert capsys.readouterr().err.endswith("error: x (log: /runs/1/kernel.log)\n")


def test_each_test_is_told_to_who_asks_for_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CI", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    for verbose in (False, True):
        with display(verbose=verbose) as tell:
            tell(Event("lab", "ext4 fstests", "start", total=2))
            tell(Event("lab", "ext4 fstests", "note", "generic/001 done 5.0 s", done=1, total=2))
        assert ("generic/001 done 5.0 s" in capsys.readouterr().err) is verbose


TELLS = """
from reviewbot.cli.progress import display
from reviewbot.model.progress import Event
with display() as tell:
    tell(Event("build", "kernel", "start", log="/runs/1/kernel.log"))
    tell(Event("lab", "ext4 fstests/generic/013", "bad", "FAIL: x", log="/runs/1/generic/013"))
    print("ready", flush=True)
    input()
"""


def at_a_terminal(term: str, *, needed: str) -> str:
    """What is written to a terminal of this kind by the time that `needed` appears there; ANSI sequences left in."""
    ours, theirs = pty.openpty()
    env = {name: value for name, value in os.environ.items() if name not in ("CI", "GITHUB_ACTIONS", "NO_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-c", TELLS],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**env, "TERM": term, "COLUMNS": "80"},
    )
    os.close(theirs)
    said = b""
    try:
        while needed.encode() not in said:
            said += os.read(ours, 4096)
        process.communicate(b"\n")
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return said.decode()


@pytest.mark.timeout(120)
def test_a_dumb_terminal_gets_lines_as_a_file_does() -> None:
    """emacs shells and serial consoles: the live display draws nothing there."""
    said = at_a_terminal("dumb", needed="generic/013")
    assert "[0 s] lab: ext4 fstests/generic/013: FAIL: x (log: /runs/1/generic/013)" in said
    assert "\x1b" not in said


@pytest.mark.timeout(120)
def test_a_terminal_gets_a_block_of_what_is_going_on_and_failures_above_it() -> None:
    said = at_a_terminal("xterm", needed="kernel")
    assert "\x1b[" in said
    said = at_a_terminal("xterm", needed="log: /runs/1/generic/013")
    assert "FAIL: x" in said


def test_logs_of_what_takes_long_are_named_in_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("reviewbot.cli.progress.time.monotonic", lambda: now)
    board, console = Board(), Console(width=80, file=io.StringIO(), color_system=None)
    view, logs = progress._LiveView(board, console), Path.home() / "runs" / "1" / "logs"

    def shown() -> list[str]:
        console.file = io.StringIO()
        console.print(view._block())
        return [line.strip() for line in console.file.getvalue().splitlines()]

    board.hear(Event("build", "kernel", "start", log=str(logs / "build" / "kernel.log")))
    assert len(shown()) == 1
    now = progress.LOG_AFTER
    assert shown()[1:] == ["logs in ~/runs/1/logs/build/", "kernel.log"]
    board.hear(Event("lab", "ext4 fstests", "start", log=str(logs / "ext4")))
    now += progress.LOG_AFTER
    assert shown()[2:] == ["logs in ~/runs/1/logs/", "build/kernel.log  ext4"]


def test_long_words_go_on_below_themselves_and_the_log_is_in_one_piece() -> None:
    console = Console(width=60, file=io.StringIO(), color_system=None)
    board = Board()
    view = progress._LiveView(board, console)
    failure = Event("lab", "ext4 fstests/generic/013", "bad", "FAIL: " + "word " * 12, log="/runs/" + "x" * 100)
    view.show(failure, board.hear(failure))
    assert isinstance(console.file, io.StringIO)
    first, *more, log = console.file.getvalue().splitlines()
    assert first.startswith("✗ lab     ext4 fstests/generic/013  FAIL: word")
    assert more and all(line.startswith(" " * 10 + "word") for line in more)
    assert log == " " * 10 + "log: /runs/" + "x" * 100
