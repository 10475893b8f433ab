# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot warm`: build the stack without patches, so that the first posting need not wait for it."""

import json
from pathlib import Path

import click

from reviewbot.cli.group import reviewbot
from reviewbot.cli.working import at_work
from reviewbot.config import load_site, load_stack
from reviewbot.host.paths import data_dir
from reviewbot.pipeline import warm


@reviewbot.command("warm")
@click.option("--guest/--no-guest", default=True, show_default=True, help="Also build what only the machines need.")
@click.option("--site", "site_path", type=click.Path(path_type=Path), help="Site file to use.")
@click.option("--stack", "stack_name", default="fuse", show_default=True, help="Stack to build.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output on stdout.")
def warm_command(guest: bool, site_path: Path | None, stack_name: str, as_json: bool) -> int:
    """Build the unpatched stack into the cache.

    No posting is read and none of its code runs, so the result may be shared by all later runs: CI jobs keep a cache
    that only this command wrote. What is already cached is not rebuilt.

    \b
    Example:
    reviewbot warm --no-guest
    """
    site = load_site(site_path)
    stack = load_stack(stack_name, site)
    with at_work() as progress:
        made = warm.warm(stack, site, progress, guest=guest)
    if as_json:
        click.echo(json.dumps({"built": sorted(made.artifacts), "unavailable": dict(made.unavailable)}, indent=1))
        return 0
    for name, why in sorted(made.unavailable.items()):
        click.echo(f"{name} is unavailable: {why}")
    click.echo(f"built: {', '.join(sorted(made.artifacts))} (logs: {data_dir() / warm.LOGS})")
    return 0
