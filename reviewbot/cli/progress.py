# SPDX-License-Identifier: GPL-2.0-or-later
"""Show what the steps tell: a live display at a terminal, plain lines elsewhere, few lines in a CI log."""

import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from reviewbot.cli import terminal
from reviewbot.model.progress import STORED, Event, Progress
from reviewbot.model.words import flat

CI_INTERVAL = 60.0
"""Seconds between two lines of a CI log."""
LOG_AFTER = 10.0
"""Seconds after which the display says where the log of something is; most things are over before."""


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
    log: str = ""

    def words(self, now: float) -> str:
        parts = [f"{self.event.step}: {self.event.what}"]
        if self.total:
            parts.append(f"{self.done}/{self.total}")
        if self.text:
            parts.append(self.text)
        return " · ".join((*parts, self.time(now)))

    def time(self, now: float) -> str:
        """`1:05 of ~6:16`; without the estimate once that has proved wrong."""
        took, expected = now - self.since, self.event.expected or 0.0
        return clock(took) + (f" of ~{clock(expected)}" if took < expected else "")


_ALONE = ("say", "bad")
"""States of events that begin and end nothing."""


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
            if event.state in _ALONE:
                return self.running.get(key) or Line(event, time.monotonic())
            line = self.running.get(key) or Line(event, time.monotonic())
            if event.state == "start":
                line = Line(event, time.monotonic(), event.text, event.done, event.total)
            if event.state in ("done", "failed"):
                self.running.pop(key, None)
            else:
                self.running[key] = line
            line.text = event.text or line.text
            line.done, line.total = max(event.done, line.done), event.total or line.total
            line.log = event.log or line.log
            return line

    def lines(self) -> list[Line]:
        with self.lock:
            return list(self.running.values())


_INDENT = 10
"""Columns of the mark and the step before the words of a line."""
_MARK = {"done": ("✓", "green"), "failed": ("✗", "red"), "bad": ("✗", "red"), "say": ("·", "cyan")}


class _LiveView:
    """A block of running lines at the bottom, finished ones scroll up above it."""

    def __init__(self, board: Board, console: Console, *, verbose: bool = False) -> None:
        self.board, self.console, self.verbose = board, console, verbose
        self.live = Live(get_renderable=self._block, console=console, refresh_per_second=4, transient=True)
        self.spinner = Spinner("dots")

    def _block(self) -> terminal.Harmless:
        now, lines = time.monotonic(), self.board.lines()
        grid = Table.grid(padding=(0, 1))
        for line in lines:
            count = f"{line.done}/{line.total}" if line.total else ""
            grid.add_row(
                self.spinner,
                Text(line.event.step, style="dim"),
                Text(line.event.what),
                Text(count, style="cyan"),
                Text(line.time(now), style="yellow"),
                Text(line.text, style="dim", no_wrap=True, overflow="ellipsis"),
            )
        slow = [line.log for line in lines if line.log and now - line.since >= LOG_AFTER]
        return terminal.Harmless(Group(grid, *_where(slow)))

    def show(self, event: Event, line: Line) -> None:
        if event.state in _MARK:
            self._print(event, line)
            if event.log and event.state in ("failed", "bad"):
                # Broken by the terminal if at all, so that it can be copied.
                self.console.print(Text(f"{'':{_INDENT}}log: {short(event.log)}", style="dim"), soft_wrap=True)
        elif self.verbose and event.state == "note" and event.text:
            self.console.print(Text(f"  {event.step:<8}{event.what}  {event.text}", style="dim"))

    def _print(self, event: Event, line: Line) -> None:
        """`✓ build   kernel  5:41  release 6.12`; what does not fit goes on below the words."""
        mark, colour = _MARK[event.state]
        took = time.monotonic() - line.since
        if event.state == "say":
            words = Text(event.text)
        elif event.state == "bad":
            words = Text.assemble(f"{event.what}  ", (event.text, "red"))
        else:
            time_taken = f"{clock(took)}  " if took >= 1 else ""
            words = Text.assemble(f"{event.what}  ", (time_taken, "yellow"), (event.text, "dim"))
        grid = Table.grid()
        grid.add_column(min_width=_INDENT, no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(Text.assemble((mark, colour), " ", (event.step, "dim")), words)
        self.console.print(grid)


def _where(logs: Sequence[str]) -> list[Text]:
    """The folder that logs have in common, and below it which ones they are."""
    if not logs:
        return []
    if len(logs) == 1:
        folder, names = str(Path(logs[0]).parent), [Path(logs[0]).name]
    else:
        folder = os.path.commonpath(logs)
        names = [os.path.relpath(log, folder) for log in logs]
    return [
        Text(f"  logs in {short(folder)}/", style="dim", overflow="fold"),
        Text(f"    {'  '.join(names)}", style="dim", no_wrap=True, overflow="ellipsis"),
    ]


class _PlainView:
    """Lines for a file or a CI log; `interval` is the least time between two of them (seconds)."""

    def __init__(self, board: Board, out: TextIO, interval: float, *, verbose: bool = False) -> None:
        self.board, self.out, self.interval, self.verbose = board, out, interval, verbose
        self.last = -1e9
        self.pending: list[str] = []
        self.lock = threading.Lock()

    def show(self, event: Event, line: Line) -> None:
        place = f" (log: {event.log})" if event.log and event.state in ("failed", "bad") else ""
        if self.interval and event.state == "done" and event.text == STORED:
            return
        if event.state in ("done", "failed"):
            took = clock(time.monotonic() - line.since)
            words = f"{event.step}: {event.what} {event.state} in {took}"
            self._put((f"{words}: {event.text}" if event.text else words) + place)
        elif event.state == "bad":
            self._put(f"{event.step}: {event.what}: {event.text}{place}")
        elif event.state == "say":
            self._put(f"{event.step}: {event.text}")
        elif self.verbose and event.state == "note" and event.text:
            self._put(f"{event.step}: {event.what}: {event.text}")

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
    return replace(event, what=flat(event.what), text=flat(event.text), log=flat(event.log))


def short(path: str) -> str:
    """A path below the user's home as a shell takes it: `~/.local/share/…`."""
    home = str(Path.home())
    return f"~{path[len(home) :]}" if path.startswith(f"{home}/") and home != "/" else path


@contextmanager
def display(*, quiet: bool = False, verbose: bool = False) -> Iterator[Progress]:
    """A Progress that shows itself on stderr for as long as the block lasts. verbose: each test and step, too."""
    board = Board()
    if quiet:
        yield lambda event: None
        return
    console = terminal.console(stderr=True)
    in_ci = bool(os.environ.get("CI") or os.environ.get("GITHUB_ACTIONS"))
    if console.is_terminal and not console.is_dumb_terminal and not in_ci:
        live = _LiveView(board, console, verbose=verbose)
        with live.live:
            yield lambda event: live.show(shown := _flat(event), board.hear(shown))
        return
    plain = _PlainView(board, sys.stderr, CI_INTERVAL if in_ci else 0.0, verbose=verbose)
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
