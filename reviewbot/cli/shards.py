# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands for a run on several hosts: run one of its shards, put the results together."""

from pathlib import Path

import click

from reviewbot import pipeline, report
from reviewbot.cli.commands import print_verdict
from reviewbot.cli.group import reviewbot
from reviewbot.cli.working import at_work
from reviewbot.config import load_site
from reviewbot.host.files import write_atomic
from reviewbot.host.paths import cache_dir
from reviewbot.model.verdict import ExitStatus
from reviewbot.model.words import counted
from reviewbot.runner import shard_files, worker
from reviewbot.runner.parcel import pack
from reviewbot.runner.worker import Beats
from reviewbot.store import Store
from reviewbot.store.objects import Objects


@reviewbot.command("run-shard", short_help="Run one shard of a run that was split into shards.")
@click.argument("shard")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="RESULT.json",
    help="File for the result; logs go next to it [default: SHARD.result.json].",
)
@click.option(
    "--store",
    "stores",
    multiple=True,
    metavar="URL",
    help="Where to fetch kernel and disks by hash: a URL or a folder; repeatable.",
)
@click.option("--beat", type=click.Path(path_type=Path), metavar="FILE", help="Keep the progress so far in this file.")
@click.option(
    "--pack", "packed", is_flag=True, help="Print the result and its logs to stdout, as text that `--on` reads."
)
@click.option("--site", "site_path", type=click.Path(path_type=Path), help="Site file to use.")
@click.option("--json", "as_json", is_flag=True, help="Also print the result to stdout.")
def run_shard(
    shard: str,
    output: Path | None,
    stores: tuple[str, ...],
    beat: Path | None,
    packed: bool,
    site_path: Path | None,
    as_json: bool,
) -> int:
    """Run one shard of a run that `apply-and-test --shards` or `--on` split.

    SHARD is a file, or sha256:HEX of one in the --store. The kernel and disks that its machines boot from must be in
    this machine's cache, in artifacts/ next to the shard, or in the store. If it is interrupted, run the same command
    again to resume. `reviewbot merge-shards` combines the results into a verdict.

    Exit status 0 if every test has an outcome, whatever it is; 4 if the machines were lost before that, or did not
    start; the shard may then be run again.
    """
    target = output or Path(shard.removeprefix("sha256:")).with_suffix(".result.json")
    site = load_site(site_path)
    objects = Objects(cache_dir() / "objects", int(site.fetched_gib * (1 << 30)))
    with at_work() as progress:
        asked, sources = worker.find_shard(shard, objects, stores)
        logs = shard_files.logs_of(target)
        heard = Beats(beat) if beat else lambda result, total: None
        result = worker.run_shard(asked, sources, logs, Store(cache_dir()), site, progress, heard)
    text = result.model_dump_json(indent=1) + "\n"
    write_atomic(target, text)
    if packed:
        click.echo(pack(result, logs), nl=False)
    elif as_json:
        click.echo(text, nl=False)
    else:
        click.echo(f"{counted(len(result.tests), 'test')} answered{': ' + result.problem if result.problem else ''}")
        click.echo(f"result  {target}")
    return ExitStatus.INFRA if result.problem else ExitStatus.PASS


@reviewbot.command("merge-shards", short_help="Combine the results of shards into a verdict.")
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("results", type=click.Path(path_type=Path), nargs=-1)
@click.option("--site", "site_path", type=click.Path(path_type=Path), help="Site file to use.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output on stdout.")
def merge_shards(folder: Path, results: tuple[Path, ...], site_path: Path | None, as_json: bool) -> int:
    """Combine the results of shards into a verdict.

    FOLDER is what `apply-and-test --shards` wrote, RESULTS are files of `run-shard`, or folders with them. Their order
    does not matter. Tests of a shard without a result are INFRA. Tests that did not pass are compared with base in
    machines of this host; if that is not possible, the verdict says so. The exit status is that of the verdict.
    """
    with at_work() as progress:
        outcome = pipeline.merge_shards(folder, results, load_site(site_path), progress)
    judged = report.said(outcome.record)
    if as_json:
        click.echo(judged.model_dump_json(indent=1))
    else:
        print_verdict(judged, outcome.folder)
    return judged.kind.exit_status
