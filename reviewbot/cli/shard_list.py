# SPDX-License-Identifier: GPL-2.0-or-later
"""What `apply-and-test --shards` says in place of a verdict."""

import json
from pathlib import Path

import click

from reviewbot.model.verdict import ExitStatus
from reviewbot.model.words import counted
from reviewbot.runner import shard_files


def print_shards(folder: Path, run: str, as_json: bool) -> int:
    """What `apply-and-test --shards` wrote."""
    names = sorted(path.name for path in folder.glob("shard-*.json"))
    if as_json:
        click.echo(json.dumps({"run": run, "folder": str(folder), "shards": names}, indent=1))
        return ExitStatus.PASS
    for name in names:
        shard = shard_files.read_shard(folder / name)
        click.echo(f"{folder / name}  {shard.name}, {counted(len(shard.tests), 'test')}")
    click.echo(f"then: reviewbot merge-shards {folder} RESULT.json…" if names else "no tests are left for shards")
    return ExitStatus.PASS
