# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from reviewbot import pipeline, report
from reviewbot.cli import doctor as machine
from reviewbot.cli import terminal, values
from reviewbot.cli.group import command_words, reviewbot
from reviewbot.cli.plan_json import plan_json
from reviewbot.cli.plan_table import print_plan
from reviewbot.cli.shard_list import print_shards
from reviewbot.cli.working import at_work
from reviewbot.config import Site, load_site, load_stack
from reviewbot.intake import Ask
from reviewbot.model.errors import ReviewbotError, UsageError
from reviewbot.model.plan import BLAME, Plan
from reviewbot.model.verdict import ExitStatus, SaidVerdict
from reviewbot.model.words import flat
from reviewbot.pipeline.request import HowToRun, Request, TestRequest
from reviewbot.store import RunFolder

verbose_option = click.option("-v", "--verbose", is_flag=True, help="Show each step and each test as it finishes.")


def series_options(command: Any) -> Any:
    """Options of every command that takes a posting."""
    for option in reversed(
        (
            click.argument("names", metavar="[MESSAGE-ID]...", nargs=-1),
            click.option(
                "--mbox",
                type=click.Path(path_type=Path),
                multiple=True,
                help="Read the mails from this file (`-`: standard input), or from a folder of *.patch; "
                "repeatable; all of them form one posting.",
            ),
            click.option(
                "--manifest",
                type=click.Path(path_type=Path),
                metavar="FILE",
                help="A YAML file that lists the parts, for a posting that is not a single thread.",
            ),
            click.option(
                "--part-only",
                is_flag=True,
                help="Only the part that contains the named mail; --base must have its prerequisites.",
            ),
            click.option(
                "--wait",
                type=values.Duration(),
                default=0.0,
                metavar="DURATION",
                help="Wait this long (90m, 2h) until every part of the posting has arrived.",
            ),
            click.option("--latest", is_flag=True, help="Use the newest version of the posting."),
            click.option(
                "--base", "bases", type=values.Base(), multiple=True, help="Base of one component; repeatable."
            ),
            click.option("--rfc/--no-rfc", default=False, show_default=True, help="Include parts marked RFC."),
            click.option("--site", "site_path", type=click.Path(path_type=Path), help="Site file to use."),
            click.option(
                "--stack",
                "stack_name",
                type=values.Word("STACK", values.stacks),
                default="fuse",
                show_default=True,
                help="Stack to test.",
            ),
            verbose_option,
            click.option("--json", "as_json", is_flag=True, help="Machine-readable output on stdout."),
        )
    ):
        command = option(command)
    return command


blame_option = click.option(
    "--blame",
    type=values.Duration(none=True),
    default=BLAME,
    metavar="DURATION",
    help="Search this long for the patch that caused a new finding; 0s: do not search [default: 10m].",
)
rows_option = click.option(
    "--rows",
    type=values.Word("rows", values.rows),
    metavar="NAME,…|full",
    default="",
    help="Rows of the bench suite; full: all of them [default: most].",
)


def _test_options(command: Any) -> Any:
    """What is tested: options of the commands that plan or run tests."""
    for option in reversed(
        (
            click.option(
                "--legs",
                type=values.Comma(values.legs),
                default=(),
                help="Only these legs [default: all of the stack].",
            ),
            click.option(
                "--suites",
                "--suite",
                type=values.Comma(values.suites),
                default="smoke,fstests",
                show_default=True,
                help="What runs in each leg; smoke always goes first.",
            ),
            click.option(
                "--bench", is_flag=True, help="Also run the bench suite: how fast the legs are relative to ext4."
            ),
            rows_option,
            click.option(
                "--tests",
                type=values.Selection(),
                default="",
                help="For fstests: names, or '-g auto -x dangerous' [default: the stack's short selection].",
            ),
            click.option(
                "--budget",
                type=values.Duration(),
                default=0.0,
                metavar="DURATION",
                help="Run only the most valuable of these fstests that fit into this time (30m), over all legs.",
            ),
            click.option(
                "--variant",
                "variants",
                type=values.Comma(values.variants),
                default=(),
                metavar="NAME,…",
                help="Build and run with debugging checks: kasan, lockdep, kmemleak, asan-server, …",
            ),
        )
    ):
        command = option(command)
    return command


def request_of(options: dict[str, Any]) -> tuple[Request, Site]:
    site = load_site(options["site_path"])
    names, mbox, manifest = options["names"], options["mbox"], options["manifest"]
    if not names and not mbox and manifest is None:
        raise UsageError(
            "which series? Give a Message-ID, --mbox FILE or --manifest FILE",
            hint=f"try `{click.get_current_context().command_path} --help`",
        )
    if options.get("bench") and pipeline.BENCH not in options["suites"]:
        options = {**options, "suites": (*options["suites"], pipeline.BENCH)}
    series = Ask(
        names=names,
        mbox=mbox,
        manifest=manifest,
        part_only=options["part_only"],
        bases=dict(options["bases"]),
        wait=options["wait"],
        latest=options["latest"],
        rfc=options["rfc"],
    )
    given = {name: value for name, value in options.items() if value not in (None, ())}  # others are as by default
    tests = TestRequest(**{name: given[name] for name in TestRequest.model_fields if name in given})
    how = {one.name: given[one.name] for one in fields(HowToRun) if one.name in given}
    return Request(series, tests, HowToRun(command=command_words(), **how)), site


@reviewbot.command(short_help="Show what would be tested and why; change nothing.")
@series_options
@_test_options
@click.option(
    "--try-bases",
    is_flag=True,
    help="Fetch the sources and try it: which base each component gets, and whether all patches apply.",
)
def plan(**options: Any) -> int:
    """Show what would be tested and why; change nothing.

    Fetches the thread (or reads --mbox), splits it into parts, routes each part to its component by the
    paths its patches touch, and shows how the base of each component would be chosen. Read this first if a
    verdict surprises you. With --try-bases it fetches the sources too (a kernel takes minutes the first
    time), chooses the bases and applies the patches, all in reviewbot's own cache.

    Exit status 3 when the posting is incomplete or depends on something unavailable; 1 when
    --try-bases finds a patch that does not apply.

    \b
    reviewbot plan 20260223224617.GA2390314@frogsfrogsfrogs
    reviewbot plan https://lore.kernel.org/r/20260223224617.GA2390314@frogs
    reviewbot plan https://patchwork.kernel.org/project/fuse/list/?series=98765
    reviewbot plan COVER-ID-1 COVER-ID-2        one posting in several threads
    reviewbot plan --part-only PATCH-ID         the sub-series with this patch
    reviewbot plan --try-bases --base kernel=v6.19 MESSAGE-ID
    reviewbot plan --latest --wait 90m MSG-ID   the newest version, once complete
    reviewbot plan --manifest posting.yaml      parts from mails, tags, pulls
    b4 mbox -o - MESSAGE-ID | reviewbot plan --mbox -
    """
    request, site = request_of(options)
    stack = load_stack(options["stack_name"], site)
    trying, error = options["try_bases"], None
    quiet = not (options["wait"] or trying or options["verbose"])
    with at_work(quiet=quiet, verbose=options["verbose"]) as progress:
        planned, found = pipeline.make_plan(request, stack, site, progress)
        try:
            planned = pipeline.try_bases(request, planned, found, stack, progress, site.network) if trying else planned
        except ReviewbotError as caught:
            error = caught
    _show_plan(planned, options)
    if error is not None:  # what is known is shown all the same
        raise error
    if any(problem.blocking for problem in planned.posting.problems):
        return ExitStatus.BLOCKED
    return ExitStatus.SERIES if planned.trees and any(t.stopped for t in planned.trees.trees) else ExitStatus.PASS


def _show_plan(planned: Plan, options: dict[str, Any]) -> None:
    if options["as_json"]:
        click.echo(json.dumps(plan_json(planned), indent=1, ensure_ascii=False))
    else:
        print_plan(planned, terminal.console(), tried=options["try_bases"])


@reviewbot.command("apply-and-test")
@series_options
@_test_options
@click.option("--review/--no-review", default=True, show_default=True, help="Also build and review each patch.")
@click.option("--fresh", is_flag=True, help="Rerun every test, even those whose inputs did not change.")
@click.option(
    "--compare/--no-compare",
    default=True,
    show_default=True,
    help="Rerun tests that did not pass, on head and on base, to tell new failures from old and flaky ones.",
)
@blame_option
@click.option("--compat", is_flag=True, help="Run smoke on every mix of old and new kernel, library and server.")
@click.option(
    "--deep", is_flag=True, help="-g quick, --compat, and all of that again with KASAN and lockdep (takes hours)."
)
@click.option("--prefixes", is_flag=True, help="Run smoke with the first part only, the first two, and so on.")
@click.option(
    "--shards", type=click.IntRange(1, 999), metavar="N", help="Split fstests into N shards for other machines."
)
@click.option("--shard-dir", type=click.Path(path_type=Path), metavar="DIR", help="Folder for the shards; must be new.")
@click.option(
    "--on",
    type=values.Word("FLEET", values.fleets),
    default="",
    help="Hosts that run the machines: an entry of `fleet:` in the site file [default: this host].",
)
def apply_and_test(**options: Any) -> int:
    """Apply, build, review, boot, test, and report.

    Results are cached by their inputs: what was built or tested before with the same inputs is not done
    again. To resume an interrupted run, run the same command again.

    \b
    reviewbot apply-and-test 20260223224617.GA2390314@frogsfrogsfrogs
    reviewbot apply-and-test --mbox series.mbox --legs ext4,fuse4fs --suites smoke
    reviewbot apply-and-test MESSAGE-ID --base kernel=v6.19 --tests "-g quick"
    reviewbot apply-and-test MESSAGE-ID --shards 8 --shard-dir DIR
    reviewbot apply-and-test MESSAGE-ID --on slurm

    run-shard runs a shard, merge-shards combines the results; with --on, other hosts run the machines.
    """
    request, site = request_of(options)
    tests, how = request.tests, request.how
    if not tests.compare and (tests.compat or tests.prefixes or tests.deep):
        raise UsageError("--compat, --prefixes and --deep compare with base", hint="drop --no-compare")
    if bool(how.shards) != bool(how.shard_dir):
        raise UsageError("--shards and --shard-dir go together", hint="give the number of shards and a folder")
    stack = load_stack(options["stack_name"], site)
    with at_work(verbose=options["verbose"]) as progress:
        outcome = pipeline.apply_and_test(request, stack, site, progress)
    if outcome.record.verdict is None:
        return print_shards(options["shard_dir"], outcome.folder.id, options["as_json"])
    judged = report.said(outcome.record)
    if options["as_json"]:
        click.echo(judged.model_dump_json(indent=1))
    else:
        print_verdict(judged, outcome.folder)
    return judged.kind.exit_status


_LONG = 160
"""Characters of a line of evidence that are shown: a compiler's command has a thousand."""


def print_verdict(judged: SaidVerdict, folder: RunFolder) -> None:
    console = terminal.console()
    colour = "green" if judged.kind.exit_status == ExitStatus.PASS else "red"
    console.print()
    console.print(Text.assemble((judged.kind, f"bold {colour}"), f"  {flat(judged.summary)}"))
    for finding in judged.findings[:20]:
        if not finding.in_summary:
            terminal.say(console, finding.what, indent=2)
        for line in finding.detail.splitlines()[:12]:
            shown = line if len(line) <= _LONG else line[: _LONG - 1] + "…"
            console.print(Text(f"    {shown}", style="dim"), soft_wrap=True)
        if finding.log:
            console.print(Text(f"    log: {folder.path / finding.log}", style="dim"), soft_wrap=True)
    if len(judged.findings) > 20:
        console.print(f"  … and {len(judged.findings) - 20} more")
    for note in judged.notes:
        terminal.say(console, f"note: {note}", indent=2, style="yellow")
    console.print(Text.assemble(("report  ", "dim"), str(folder.path / "summary.md")), soft_wrap=True)
    if judged.kind.exit_status == ExitStatus.INFRA:
        console.print(Text("This says nothing about the series.", style="yellow"))


@reviewbot.command(short_help="Check this machine and the site file.")
@click.option("--site", "site_path", type=click.Path(path_type=Path), help="Check this site file.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output on stdout.")
def doctor(site_path: Path | None, as_json: bool) -> int:
    """Check this machine and the site file, and say what to install."""
    found = machine.checks(site_path)
    line = machine.install_line(found)
    if as_json:
        rows = [
            {"name": c.name, "ok": c.ok, "says": c.says, "package": c.package, "required": c.required} for c in found
        ]
        click.echo(json.dumps({"checks": rows, "install": line}, indent=1))
    else:
        console = terminal.console()
        for check in found:
            mark, colour = ("✓", "green") if check.ok else (("✗", "red") if check.required else ("!", "yellow"))
            terminal.beside(console, Text.assemble((mark, colour), f" {check.name:<21}"), check.says, width=23)
        if line:
            console.print(Text.assemble("\nInstall with:  ", (line, "bold")))
    return ExitStatus.PASS if all(c.ok or not c.required for c in found) else ExitStatus.INFRA


@reviewbot.command(short_help="Print the JSON schema of a file of a run.")
@click.argument("name", type=values.Word("NAME", lambda _: report.schemas()), required=False)
@click.option("--json", "as_json", is_flag=True, help="The output is JSON in any case.")
def schema(name: str | None, as_json: bool) -> None:
    """Print the JSON schema of one of a run's files; without NAME, list them."""
    known = report.schemas()
    if name is None:
        click.echo("\n".join(sorted(known)))
        return
    if name not in known:
        raise UsageError(f"no schema {name}", hint=f"there are: {', '.join(sorted(known))}")
    click.echo(json.dumps(known[name], indent=1))
