# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot history`: the last outcomes of a test, and how often it fails."""

import json
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from reviewbot.cli import terminal
from reviewbot.cli.group import reviewbot
from reviewbot.config import load_site
from reviewbot.host.paths import data_dir
from reviewbot.model.comparison import Counts
from reviewbot.model.errors import UsageError
from reviewbot.store.history import Entry, History

_FAILED, _RAN = ("FAIL", "CRASH", "HANG"), ("FAIL", "CRASH", "HANG", "PASS")


@reviewbot.command(short_help="Show the last outcomes of a test, and how often it fails.")
@click.argument("test")
@click.option("--leg", default="", help="In this leg only.")
@click.option(
    "--most", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Number of outcomes to show."
)
@click.option("--site", "site_path", type=click.Path(path_type=Path), help="Site file to use.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output on stdout.")
def history(test: str, leg: str, most: int, site_path: Path | None, as_json: bool) -> None:
    """Show the last outcomes of TEST (generic/013, smoke/rename) over all runs and reruns, newest first.

    The failure rate is given per leg and side with its 95 % interval. `base` means runs of the unpatched stack.
    """
    name = test.removeprefix("smoke/").removeprefix("fstests/").removeprefix("bench/")
    found = History.at(load_site(site_path).history, data_dir()).of_test(name, leg=leg, most=most)
    if as_json:
        rows = [{**_plain(entry), "when": entry.when.isoformat() if entry.when else ""} for entry in found]
        click.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    if not found:
        raise UsageError(f"no run has an outcome for {test}", hint="tests are named as in reports: generic/013, rename")
    terminal.console().print(_rates(found))
    terminal.console().print(_outcomes(found))


def _plain(entry: Entry) -> dict[str, object]:
    names = ("run", "host", "accelerator", "side", "number", "leg", "suite", "test", "inputs", "outcome", "reason",
             "fingerprint", "seconds", "stack")  # fmt: skip
    return {name: getattr(entry, name) for name in names}


def counts(entries: Sequence[Entry]) -> Counts:
    """Of those that are the tested code's doing."""
    ran = [entry for entry in entries if entry.outcome in _RAN]
    return Counts(failed=sum(entry.outcome in _FAILED for entry in ran), runs=len(ran))


def _rates(entries: Sequence[Entry]) -> Table:
    table = Table("leg", "side", "failed", "rate", "95 % interval", box=None, pad_edge=False)
    ordered = sorted(entries, key=lambda entry: (entry.leg, entry.side))
    for (leg, side), group in groupby(ordered, key=lambda entry: (entry.leg, entry.side)):
        found = counts(list(group))
        low, high = found.interval()
        rate = f"{found.failed / found.runs * 100:.0f} %" if found.runs else "–"
        row = (leg, side, f"{found.failed}/{found.runs}", rate, f"{low * 100:.0f} to {high * 100:.0f} %")
        table.add_row(*map(Text, row))
    return table


def _outcomes(entries: Sequence[Entry]) -> Table:
    table = Table("when (UTC)", "run", "leg", "side", "outcome", "reason", box=None, pad_edge=False)
    for entry in entries:
        when = entry.when.strftime("%Y-%m-%d %H:%M") if entry.when else ""
        number = f" {entry.number}" if entry.number else ""
        row = (when, entry.run, entry.leg, f"{entry.side}{number}", entry.outcome, entry.reason)
        table.add_row(*map(Text, row))
    return table
