# SPDX-License-Identifier: GPL-2.0-or-later
"""Which hosts do which shards of a run."""

import datetime

import click

from reviewbot.model.fleet import ROWS, FleetRows, ShardRow
from reviewbot.model.words import counted, flat
from reviewbot.store import RunFolder, read_if_whole


def hosts_of(folder: RunFolder) -> FleetRows | None:
    """None: the run has no shards on other hosts, or what it said of them is damaged."""
    return read_if_whole(folder.path / ROWS, FleetRows)


def show_hosts(found: FleetRows | None, now: datetime.datetime) -> None:
    """found: None when no other host had a shard."""
    if found is None:
        click.echo("no shards on other hosts")
        return
    click.echo(f"{found.fleet} ({found.engine}): {counted(len(found.shards), 'shard')}")
    for row in found.shards:
        click.echo(f"  {_line(row, now)}")


def _line(row: ShardRow, now: datetime.datetime) -> str:
    """`ext4 fstests 3/8  runs  node7 (kvm@…)  12/40  4 min ago  attempt 2: its worker is gone`."""
    where = f"{row.where}{f' ({row.kind})' if row.kind else ''}"
    again = f"attempt {row.attempt}{f': {row.why}' if row.why else ''}" if row.attempt > 1 or row.why else ""
    words = (row.shard, str(row.state), where, f"{row.done}/{row.total}", age(row.since, now), again)
    return "  ".join(flat(word) for word in words if word)


def age(then: datetime.datetime | None, now: datetime.datetime) -> str:
    """`5 min ago`, `3 h ago`, `12 d ago`; the day, when a clock was wrong then or is now."""
    if then is None:
        return "–"
    seconds = (now - then).total_seconds()
    if seconds < -60:
        return f"{then:%Y-%m-%d}"
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length or (unit == "min" and seconds >= length):
            return f"{seconds // length:.0f} {unit} ago"
    return f"{max(seconds, 0):.0f} s ago"
