# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot bench`: how fast each leg is beside the kernel's ext4, and whether a series changes that."""

import json
from typing import Any

import click
from click.core import ParameterSource
from rich.table import Table
from rich.text import Text

from reviewbot import pipeline, report
from reviewbot.cli import terminal, values
from reviewbot.cli.commands import blame_option, print_verdict, request_of, rows_option, series_options
from reviewbot.cli.group import reviewbot
from reviewbot.cli.working import at_work
from reviewbot.config import load_stack
from reviewbot.host.paths import data_dir
from reviewbot.model.errors import UsageError
from reviewbot.model.verdict import ExitStatus
from reviewbot.store import Runs


@reviewbot.command(
    "bench", short_help="Measure how fast each leg is relative to the kernel's ext4, and whether that changed."
)
@series_options
@click.option(
    "--compare",
    "both",
    type=values.Run(),
    nargs=2,
    metavar="RUN RUN",
    help="Compare two runs without measuring anything.",
)
@click.option("--legs", type=values.Comma(values.legs), default=(), help="Only these legs [default: all of the stack].")
@rows_option
@click.option("--fresh", is_flag=True, help="Measure again, even if nothing has changed.")
@click.option("--head-only", is_flag=True, help="Do not measure base.")
@blame_option
def bench(**options: Any) -> int:
    """Measure how fast each leg is relative to the kernel's ext4, and whether the series changes that.

    Runs the bench suite of `apply-and-test --bench`, without other tests and without a review. Every row is measured
    alternately with the kernel's ext4 on an identical image in the same machine, and given as a ratio to it. Base is
    measured, too: a row that is slower on head in three pairs of machines is a finding, and the search for the patch
    that caused it starts.

    \b
    reviewbot bench MESSAGE-ID
    reviewbot bench MESSAGE-ID --legs fuse4fs,lklfuse --rows mount,create-1
    reviewbot bench MESSAGE-ID --rows full --head-only
    reviewbot bench --compare 20261103-101502-7a3f latest
    """
    if options["both"]:
        return _compare(options["both"], options["as_json"])
    head_only = options.pop("head_only")
    request, site = request_of(
        {**options, "suites": (pipeline.BENCH,), "review": False, "compare": not head_only},
    )
    stack = load_stack(options["stack_name"], site)
    with at_work(verbose=options["verbose"]) as progress:
        outcome = pipeline.apply_and_test(request, stack, site, progress)
    judged = report.said(outcome.record)
    if options["as_json"]:
        click.echo(judged.model_dump_json(indent=1))
        return judged.kind.exit_status
    if table := report.ratio_table(outcome.record):
        _print(table.header, table.rows)
    for line in report.bench_lines(outcome.record):
        terminal.say(terminal.console(), line, indent=2)
    print_verdict(judged, outcome.folder)
    return judged.kind.exit_status


def _compare(both: tuple[str, str], as_json: bool) -> int:
    """Two runs that measured the same rows: the second against the first."""
    context = click.get_current_context()
    given = {name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    if given - {"both", "as_json"}:
        raise UsageError(
            "--compare takes two runs, no series, and no other option than --json",
            hint="reviewbot bench --compare RUN RUN",
        )
    runs = Runs(data_dir() / "runs")
    folders = [runs.find(name) for name in both]
    one, other = (report.load(folder.path) for folder in folders)
    for record, folder in zip((one, other), folders, strict=True):
        if not report.rows_of(record):
            raise UsageError(
                f"run {folder.id} has no figures of the bench suite", hint="`reviewbot bench` measures them"
            )
    changes = pipeline.compare_runs(one, other)
    if not changes:
        raise UsageError(
            "the two runs have no row in common that was measured on the same kind of machine",
            hint="`reviewbot runs` lists their legs",
        )
    if as_json:
        click.echo(json.dumps([change.model_dump(mode="json") for change in changes], indent=1))
        return ExitStatus.PASS
    _print(
        ("leg", "row", f"{folders[1].id} as a multiple of {folders[0].id}", "chance", "effect"),
        [(one.leg, one.row, report.interval(one.change), f"{one.chance:.3g}", f"{one.effect:.1f}") for one in changes],
    )
    return ExitStatus.PASS


def _print(header: tuple[str, ...], rows: Any) -> None:
    table = Table(*header, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    terminal.console().print(table)
