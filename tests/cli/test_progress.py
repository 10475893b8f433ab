# SPDX-License-Identifier: GPL-2.0-or-later
"""What a reader of a terminal, a file or a CI log sees."""

import io

import pytest

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
