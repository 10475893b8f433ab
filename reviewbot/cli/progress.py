# SPDX-License-Identifier: GPL-2.0-or-later
"""Show what the steps tell: a live display at a terminal, plain lines elsewhere, few lines in a CI log."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from reviewbot.cli import terminal
from reviewbot.model.progress import Event, Progress
from reviewbot.model.words import flat

CI_INTERVAL = 60.0
"""Seconds between two lines of a CI log."""


def clock(seconds: float) -> str:
    """`7 s`, `1:05`, `1:02:03`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


@dataclass(slots=True)
class Line:
    """One thing that is being done."""

    event: Event
    since: float
    """time.monotonic() of its start."""
    text: str = ""
    done: int = 0
    total: int = 0

    def words(self, now: float) -> str:
        parts = [f"{self.event.step}: {self.event.what}"]
        if self.total:
            parts.append(f"{self.done}/{self.total}")
        if self.text:
            parts.append(self.text)
        return " · ".join((*parts, self.time(now)))

    def time(self, now: float) -> str:
        expected = f" of ~{clock(self.event.expected)}" if self.event.expected else ""
        return clock(now - self.since) + expected


@dataclass(slots=True)
class Board:
    """What is going on now. Thread-safe: several steps may tell at once."""

    started: float = field(default_factory=time.monotonic)
    running: dict[tuple[str, str], Line] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def hear(self, event: Event) -> Line:
        """Take in one event; returns its line, also when that has just ended."""
        key = (event.step, event.what)
        with self.lock:
            line = self.running.get(key) or Line(event, time.monotonic())
            if event.state == "start":
                line = Line(event, time.monotonic(), event.text, event.done, event.total)
            if event.state in ("done", "failed"):
                self.running.pop(key, None)
            else:
                self.running[key] = line
            line.text = event.text or line.text
            line.done, line.total = max(event.done, line.done), event.total or line.total
            return line

    def lines(self) -> list[Line]:
        with self.lock:
            return list(self.running.values())


_MARK = {"done": ("✓", "green"), "failed": ("✗", "red")}


class _LiveView:
    """A block of running lines at the bottom, finished ones scroll up above it."""

    def __init__(self, board: Board, console: Console) -> None:
        self.board = board
        self.console = console
        self.live = Live(get_renderable=self._block, console=console, refresh_per_second=4, transient=True)
        self.spinner = Spinner("dots")

    def _block(self) -> terminal.Harmless:
        now = time.monotonic()
        grid = Table.grid(padding=(0, 1))
        for line in self.board.lines():
            count = f"{line.done}/{line.total}" if line.total else ""
            grid.add_row(
                self.spinner, Text(line.event.step, style="dim"), Text(line.event.what), Text(count, style="cyan"),
                Text(line.time(now), style="yellow"), Text(line.text, style="dim", no_wrap=True, overflow="ellipsis"),
            )  # fmt: skip
        return terminal.Harmless(Group(grid))

    def show(self, event: Event, line: Line) -> None:
        if event.state in _MARK:
            mark, colour = _MARK[event.state]
            took = time.monotonic() - line.since
            self.console.print(
                Text.assemble(
                    (mark, colour),
                    " ",
                    (f"{event.step:<7}", "dim"),
                    f"{event.what}  ",
                    (clock(took) if took >= 1 else "", "yellow"),
                    "  " if took >= 1 else "",
                    (event.text, "dim"),
                )
            )
        elif event.state == "say":
            self.console.print(Text.assemble(("·", "cyan"), " ", (f"{event.step:<7}", "dim"), event.text))


class _PlainView:
    """Lines for a file or a CI log; `interval` is the least time between two of them (seconds)."""

    def __init__(self, board: Board, out: TextIO, interval: float) -> None:
        self.board, self.out, self.interval = board, out, interval
        self.last = -1e9
        self.pending: list[str] = []
        self.lock = threading.Lock()

    def show(self, event: Event, line: Line) -> None:
        if event.state in _MARK:
            took = clock(time.monotonic() - line.since)
            words = f"{event.step}: {event.what} {event.state} in {took}"
            self._put(f"{words}: {event.text}" if event.text else words)
        elif event.state == "say":
            self._put(f"{event.step}: {event.text}")

    def _put(self, words: str) -> None:
        with self.lock:
            self.pending.append(words)
            self._flush(force=not self.interval)

    def tick(self) -> None:
        """Called now and then: what waits is written when its time has come, silence is broken after a minute."""
        now = time.monotonic()
        with self.lock:
            if not self.pending and now - self.last >= max(self.interval, CI_INTERVAL):
                self.pending = [line.words(now) for line in self.board.lines()][:3]
            self._flush(force=False)

    def _flush(self, *, force: bool) -> None:
        now = time.monotonic()
        if self.pending and (force or now - self.last >= self.interval):
            self.out.write(f"[{clock(now - self.board.started)}] {'; '.join(self.pending)}\n")
            self.out.flush()
            self.pending, self.last = [], now

    def close(self) -> None:
        with self.lock:
            self._flush(force=True)


def _flat(event: Event) -> Event:
    """Each event stays on one line, whatever a mail or a build put into it."""
    return replace(event, what=flat(event.what), text=flat(event.text))


@contextmanager
def display(*, quiet: bool = False) -> Iterator[Progress]:
    """A Progress that shows itself on stderr for as long as the block lasts."""
    board = Board()
    if quiet:
        yield lambda event: None
        return
    console = terminal.console(stderr=True)
    in_ci = bool(os.environ.get("CI") or os.environ.get("GITHUB_ACTIONS"))
    if console.is_terminal and not in_ci:
        live = _LiveView(board, console)
        with live.live:
            yield lambda event: live.show(shown := _flat(event), board.hear(shown))
        return
    plain = _PlainView(board, sys.stderr, CI_INTERVAL if in_ci else 0.0)
    with _ticking(plain):
        yield lambda event: plain.show(shown := _flat(event), board.hear(shown))


@contextmanager
def _ticking(view: _PlainView) -> Iterator[None]:
    over = threading.Event()

    def tick() -> None:
        while not over.wait(1.0):
            view.tick()

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        view.close()
