# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot runs`: what was run, when, for how long, and what came of it."""

import datetime
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import click
from rich.text import Text

from reviewbot.cli import terminal, values
from reviewbot.cli.group import reviewbot
from reviewbot.cli.hosts import age, hosts_of, show_hosts
from reviewbot.cli.progress import clock
from reviewbot.host.paths import data_dir
from reviewbot.model.lock import Lock
from reviewbot.model.trees import Tree
from reviewbot.model.verdict import ExitStatus, SaidVerdict, VerdictKind
from reviewbot.model.words import counted, flat
from reviewbot.store import RunFolder, Runs, read_if_whole

_WIDE = 110
"""Columns from which on a run needs one line only."""
_FINDINGS = 50
"""That are listed of one run."""
_NAMED = re.compile(r"\d{8}-\d{6}")
_COLOURS = {
    ExitStatus.PASS: "green",
    ExitStatus.SERIES: "red",
    ExitStatus.BLOCKED: "yellow",
    ExitStatus.INFRA: "yellow",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One run, as far as its folder tells. Facts that a run did not record are empty or None."""

    run: str
    state: str
    """`running`, `interrupted`, `in shards`, or its verdict."""
    started: datetime.datetime | None
    seconds: float | None
    """How long it took, or has been running."""
    command: str
    """`apply-and-test`, `review`, `reproduce`."""
    line: tuple[str, ...]
    """The whole command line."""
    legs: tuple[str, ...]
    suites: tuple[str, ...]
    subject: str
    path: str

    def plain(self) -> dict[str, Any]:
        """As `--json` gives it."""
        return {
            "run": self.run,
            "verdict": self.state,
            "subject": self.subject,
            "path": self.path,
            "started": self.started.isoformat() if self.started else None,
            "seconds": self.seconds,
            "command": self.command,
            "line": list(self.line),
            "legs": list(self.legs),
            "suites": list(self.suites),
        }

    def what(self) -> str:
        """`apply-and-test ext4,fuse4fs`: what was asked for, short."""
        return flat(" ".join(filter(None, (self.command, ",".join(self.legs)))))


@reviewbot.command(short_help="List past and current runs with their verdicts.")
@click.argument("run", type=values.Run(), required=False)
@click.option("--all", "everything", is_flag=True, help="One line per run, even for repetitions of one command.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output on stdout.")
def runs(run: str | None, everything: bool, as_json: bool) -> None:
    """List the runs of this user, oldest first: age, duration, verdict, command, legs and subject.

    With RUN (an id, a unique prefix, or `latest`), only that run: its findings, the commits it tested, and which host
    runs or ran each of its shards.

    A run in progress is `running`; one whose process ended before the verdict is `interrupted`: run the same command
    again to resume. Consecutive runs of one command on one posting with the same verdict are shown as one line, with
    the newest id. `reviewbot gc --run RUN` removes a run.
    """
    now = datetime.datetime.now(datetime.UTC)
    if run:
        folder = Runs(data_dir() / "runs").find(run)
        _show_one(folder, now, as_json=as_json)
        return
    rows = [row_of(folder, now) for folder in Runs(data_dir() / "runs").list()]
    if as_json:
        click.echo(json.dumps([row.plain() for row in rows], indent=1, ensure_ascii=False))
        return
    if not rows:
        click.echo("no runs yet: `reviewbot apply-and-test MESSAGE-ID` starts one")
        return
    _show([(row, 1) for row in rows] if everything else _repetitions(rows), now)


def row_of(folder: RunFolder, now: datetime.datetime) -> Row:
    """What a run's folder tells. now: for runs that are not over."""
    planned, record = _load(folder, "plan.json"), folder.record()
    running = folder.running()
    started = record.started if record else _from_name(folder.id)
    end = record.ended if record and record.ended else now if running else None
    line = record.command if record else ()
    legs = tuple(str(leg["leg"]) for leg in _list(planned, "legs") if isinstance(leg, dict) and "leg" in leg)
    posting = planned.get("posting")
    command = line[0] if line else ("apply-and-test" if legs else "review" if planned else "")
    return Row(
        run=folder.id,
        state=_state(folder, running, bool(record and record.ended and record.shards)),
        started=started,
        seconds=(end - started).total_seconds() if started and end else None,
        command=command,
        line=line,
        legs=legs,
        suites=tuple(map(str, _list(planned, "suites"))),
        path=str(folder.path),
        subject=str(posting.get("subject", "")) if isinstance(posting, dict) else "",
    )


def _state(folder: RunFolder, running: bool, in_shards: bool) -> str:
    kind = str(_load(folder, "verdict.json").get("kind", ""))
    return kind or ("running" if running else "in shards" if in_shards else "interrupted")


def _load(folder: RunFolder, name: str) -> Mapping[str, Any]:
    try:
        data = json.loads((folder.path / name).read_bytes())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _list(data: Mapping[str, Any], name: str) -> Sequence[Any]:
    found = data.get(name)
    return found if isinstance(found, list) else ()


def _from_name(run: str) -> datetime.datetime | None:
    found = _NAMED.match(run)
    try:
        return datetime.datetime.strptime(found[0] + " +0000", "%Y%m%d-%H%M%S %z") if found else None
    except ValueError:
        return None


def _show_one(folder: RunFolder, now: datetime.datetime, *, as_json: bool) -> None:
    row, fleet = row_of(folder, now), hosts_of(folder)
    verdict = read_if_whole(folder.path / "verdict.json", SaidVerdict)
    lock = read_if_whole(folder.path / "lock.json", Lock)
    findings = [finding.what for finding in verdict.findings] if verdict else []
    trees = lock.trees.trees if lock else ()
    if as_json:
        commits = {tree.component: {"base": tree.base_commit, "head": tree.head_commit} for tree in trees}
        hosts = fleet.model_dump(mode="json") if fleet else None
        whole = {**row.plain(), "findings": findings, "commits": commits, "fleet": hosts}
        click.echo(json.dumps(whole, indent=1, ensure_ascii=False))
        return
    console = terminal.console()
    terminal.say(console, f"{row.run}  {row.state}  {flat(row.subject)}")
    if verdict:
        terminal.say(console, flat(verdict.summary))
    for line in findings[:_FINDINGS]:
        terminal.say(console, flat(line), indent=2)
    if len(findings) > _FINDINGS:
        terminal.say(console, f"… and {len(findings) - _FINDINGS} more: `reviewbot report {row.run}`", indent=2)
    for tree in trees:
        terminal.say(console, f"{tree.component}: {_commits(tree)}")
    show_hosts(fleet, now)


def _commits(tree: Tree) -> str:
    """`head 669947ac55ec, 2 patches on d4c578e9db24 (Debian package …)`; `d4c578e9db24 (…), unpatched`."""
    base = f"{tree.base_commit[:12]} ({flat(tree.source)})"
    if not tree.patches:
        return f"{base}, unpatched"
    return f"head {tree.head_commit[:12]}, {counted(len(tree.patches), 'patch')} on {base}"


def _repetitions(rows: Sequence[Row]) -> list[tuple[Row, int]]:
    """The newest of runs that follow each other and say the same, and how many they are."""
    found = []
    for _, some in groupby(rows, key=lambda row: (row.state, row.command, row.line, row.legs, row.subject)):
        same = list(some)
        found.append((same[-1], len(same)))
    return found


def _show(rows: Sequence[tuple[Row, int]], now: datetime.datetime) -> None:
    console = terminal.console()
    lines = [
        (row, _cells(row, now), flat(row.subject) + (f"  ({times} times)" if times > 1 else "")) for row, times in rows
    ]
    if not console.is_terminal:  # for grep and cut: nothing is left out, nothing is padded
        for row, cells, subject in lines:
            click.echo("  ".join((*cells, row.what(), subject)))
        return
    widths = [max(len(cells[place]) for _, cells, _ in lines) for place in range(4)]
    for row, (run, old, took, state), subject in lines:
        first = Text.assemble(
            f"{run:<{widths[0]}}  ",
            (f"{old:>{widths[1]}}", "dim"),
            f"  {took:>{widths[2]}}  ",
            (f"{state:<{widths[3]}}", _colour(state)),
        )
        rest = Text.assemble((row.what(), "dim"), "  ", subject)
        if console.width >= _WIDE:
            console.print(Text.assemble(first, "  ", rest), no_wrap=True, overflow="ellipsis")
        else:
            console.print(first, no_wrap=True, overflow="ellipsis")
            console.print(Text.assemble("    ", rest), no_wrap=True, overflow="ellipsis")


def _cells(row: Row, now: datetime.datetime) -> tuple[str, str, str, str]:
    return row.run, age(row.started, now), clock(row.seconds) if row.seconds is not None else "–", row.state


def _colour(state: str) -> str:
    if state == "running":
        return "cyan"
    kind = next((kind for kind in VerdictKind if kind == state), None)
    return _COLOURS.get(kind.exit_status, "yellow") if kind else "dim"
