# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot reproduce`: one test of a recorded run again, and whether it still says the same."""

import json
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from reviewbot import pipeline, report
from reviewbot.cli import terminal, values
from reviewbot.cli.commands import print_verdict
from reviewbot.cli.group import command_words, reviewbot
from reviewbot.cli.working import at_work
from reviewbot.config import Site, load_site, load_stack
from reviewbot.host.paths import cache_dir, data_dir
from reviewbot.intake import Ask
from reviewbot.model.errors import UsageError
from reviewbot.model.lock import Lock
from reviewbot.model.plan import Extent, Plan
from reviewbot.model.results import Outcome
from reviewbot.model.trees import Trees
from reviewbot.model.verdict import ExitStatus
from reviewbot.pipeline import reproduce
from reviewbot.pipeline.reproduce import Recorded, Repeated
from reviewbot.pipeline.request import HowToRun, Request, TestRequest
from reviewbot.store import RunFolder, Runs, Store


@reviewbot.command("reproduce", short_help="Rerun one test, or a whole run.")
@click.argument("run", type=values.Run())
@click.argument("test", type=values.Word("TEST", values.run_tests), required=False)
@click.option(
    "--leg",
    "legs",
    multiple=True,
    type=values.Word("LEG", values.run_legs),
    help="In this leg; repeatable [default: where it did not pass, else all legs where it ran].",
)
@click.option(
    "--times",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Repeat it this often, each time in a fresh machine.",
)
@click.option(
    "--print-command", is_flag=True, help="Run nothing; print a QEMU command that boots to a shell on the console."
)
@click.option("--site", "site_path", type=click.Path(path_type=Path), help="Site file to use.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output on stdout.")
def reproduce_command(
    run: str,
    test: str | None,
    legs: tuple[str, ...],
    times: int,
    print_command: bool,
    site_path: Path | None,
    as_json: bool,
) -> int:
    """Rerun one TEST of RUN, with the same artifacts, in a fresh machine; without TEST, repeat all of RUN.

    RUN is an id, a unique prefix, or `latest`; TEST is `generic/013`, `smoke/rename` or `bench/create-1`. A smoke
    check runs with all checks before it, because they build on each other. The recorded outcome is shown next to the
    new ones; logs go to `reruns/` in the run's folder.

    Without TEST the stored mails are applied to the same base commits, and the same legs and suites run, as a new
    run; artifacts whose inputs differ from those of RUN are listed.

    Exit status of a test: 0 it passed every time; 1 it did not; 4 the lab failed. Of a run: as apply-and-test.

    \b
    reviewbot reproduce latest generic/013
    reviewbot reproduce 20261125 generic/013 --leg fuse4fs --times 5
    reviewbot reproduce latest generic/013 --leg fuse4fs --print-command
    reviewbot reproduce 20261125
    """
    site, store = load_site(site_path), Store(cache_dir())
    if test is None:
        if legs or times != 1 or print_command:
            raise UsageError("--leg, --times and --print-command are for one test", hint="name it: reproduce RUN TEST")
        return _all_of(Runs(data_dir() / "runs").find(run), site, as_json)
    recorded = reproduce.read_run(Runs(data_dir() / "runs").find(run), site)
    cases = reproduce.cases(recorded, test, legs)
    accelerator = reproduce.accelerator_of(recorded, site, cache_dir(), store)
    context = reproduce.context_of(recorded, accelerator, store, cache_dir(), cases[0].test)
    if print_command:
        click.echo("\n".join(reproduce.bare_command(case, context) for case in cases))
        return ExitStatus.PASS
    with at_work() as progress, recorded.folder.kept():
        found = [reproduce.repeat(case, times, context, progress) for case in cases]
    if as_json:
        click.echo(json.dumps([_row(recorded, one) for one in found], indent=1, ensure_ascii=False))
    else:
        _show(recorded, found)
    outcomes = {result.outcome for one in found for result in one.results}
    if outcomes & set(reproduce.LOST):
        return ExitStatus.INFRA
    return ExitStatus.PASS if outcomes == {Outcome.PASS} else ExitStatus.SERIES


def _all_of(folder: RunFolder, site: Site, as_json: bool) -> int:
    request, stack_name = _request(folder)
    with at_work() as progress:
        outcome = pipeline.apply_and_test(request, load_stack(stack_name, site), site, progress)
    judged = report.said(outcome.record)
    differs = reproduce.differences(folder, outcome.folder)
    if as_json:
        whole = {"of": folder.id, "differs": list(differs), "verdict": judged.model_dump(mode="json")}
        click.echo(json.dumps(whole, indent=1, ensure_ascii=False))
        return judged.kind.exit_status
    print_verdict(judged, outcome.folder)
    for line in differs or (f"built from the same inputs as run {folder.id}",):
        click.echo(line)
    return judged.kind.exit_status


def _request(folder: RunFolder) -> tuple[Request, str]:
    """What was asked for then, on the bases that were found then; and the stack. Raises UsageError."""
    planned = reproduce.read_file(folder, "plan.json", Plan)
    if planned is None:
        raise UsageError(f"run {folder.id} has no plan", hint="it ended before anything was planned")
    trees, lock = reproduce.read_file(folder, "trees.json", Trees), reproduce.read_file(folder, "lock.json", Lock)
    bases = {tree.component: tree.base_commit for tree in trees.trees} if trees else {}
    stack_name = lock.stack if lock else "fuse"
    posting = planned.posting
    part_only = any(problem.kind == "part-only" for problem in posting.problems)
    names = posting.asked or (posting.top,) if part_only else (posting.top, *posting.asked)
    mbox = (folder.path / "mails.mbox",)
    tests = TestRequest(
        **planned.model_dump(include=set(Extent.model_fields)),
        legs=tuple(leg.leg for leg in planned.legs),
        variants=tuple(planned.variant.name.split(",")) if planned.variant.name else (),
    )
    series = Ask(names=names, mbox=mbox, part_only=part_only, rfc=planned.rfc, bases=bases)
    return Request(series, tests, HowToRun(fresh=True, command=command_words())), stack_name


def _row(recorded: Recorded, one: Repeated) -> dict[str, Any]:
    was = one.case.was
    return {
        "run": recorded.folder.id,
        "leg": one.case.leg.name,
        "suite": one.case.suite,
        "test": one.case.test,
        "recorded": was.model_dump(mode="json") if was else None,
        "results": [result.model_dump(mode="json") for result in one.results],
        "notes": list(recorded.notes),
    }


def _show(recorded: Recorded, found: list[Repeated]) -> None:
    console = terminal.console()
    for note in recorded.notes:
        console.print(Text(f"note: {note}", style="yellow"))
    for one in found:
        was = one.case.was
        console.print(Text(f"{one.case.name} in {one.case.leg.name}", style="bold"))
        told = _line(was.outcome, was.seconds, was.reason) if was else Text("it did not run there")
        console.print(Text.assemble((f"  in run {recorded.folder.id}  ", "dim"), told))
        for number, result in enumerate(one.results, 1):
            line = _line(result.outcome, result.seconds, result.reason)
            console.print(Text.assemble((f"  {'now' if len(one.results) == 1 else number}  ", "dim"), line))
        if len(one.results) > 1:
            passed = sum(result.outcome is Outcome.PASS for result in one.results)
            console.print(f"  passed {passed} of {len(one.results)} times")
        for result in one.results:
            console.print(Text(f"  log: {recorded.folder.path / result.log}", style="dim"))


def _line(outcome: Outcome, seconds: float, reason: str) -> Text:
    colour = "green" if outcome is Outcome.PASS else "yellow" if outcome in (Outcome.NOTRUN, Outcome.KNOWN) else "red"
    return Text.assemble((outcome.value, colour), f"  {seconds:.1f} s", f"  {reason}" if reason else "")
