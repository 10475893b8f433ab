# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot review`, and how its findings look at a terminal."""

from typing import Any

import click
from rich.console import Console
from rich.text import Text

from reviewbot import pipeline, report
from reviewbot.cli import terminal
from reviewbot.cli.commands import print_verdict, request_of, series_options
from reviewbot.cli.group import reviewbot
from reviewbot.cli.progress import clock
from reviewbot.cli.working import at_work
from reviewbot.config import load_stack
from reviewbot.model.review import PatchReview, Review, Severity
from reviewbot.model.verdict import FindingKind, SaidVerdict
from reviewbot.report.remarks import build_words, counts, grouped

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}
_TITLE = 60
"""Columns of a patch's title."""
_PER_PATCH = 20
"""Remarks on one patch that are shown."""
_EVIDENCE = 8
"""Lines of evidence of an error."""
_LONG = 200
"""Characters of a line that nobody reads."""


@reviewbot.command("review", short_help="Build and review each patch; boot nothing.")
@series_options
@click.option("--build/--no-build", default=True, show_default=True, help="Build each patch on top of those before it.")
@click.option("--fresh", is_flag=True, help="Review again, even if nothing changed.")
def review_command(**options: Any) -> int:
    """Build each patch on top of those before it and review it; boot nothing.

    Runs checkpatch of the tree under test, checks commit messages and whitespace, whether every patch builds and
    with which new warnings, and whether copied headers agree across the repositories, and runs the site's own
    reviewers. Like builds and tests, a review is cached by its inputs.

    \b
    reviewbot review 20260223224617.GA2390314@frogsfrogsfrogs
    reviewbot review --mbox series.mbox --no-build

    Exit status 1 when a patch does not apply or build, or a finding is an error; warnings do not change it.
    """
    request, site = request_of(options)
    stack = load_stack(options["stack_name"], site)
    with at_work(verbose=options["verbose"]) as progress:
        outcome = pipeline.review_series(request, stack, site, progress)
    said, made = report.said(outcome.record), outcome.record.review
    if options["as_json"]:
        click.echo(said.model_dump_json(indent=1) if made is None else made.model_dump_json(indent=1))
    else:
        if made is not None:
            print_review(made, terminal.console())
            said = _untold(said, made)
        print_verdict(said, outcome.folder)
    return said.kind.exit_status


def _untold(said: SaidVerdict, made: Review) -> SaidVerdict:
    """Without the findings that are on the screen already, and without evidence that is."""
    seen = {patch.build.error for patch in made.broken if patch.build}
    left = (found for found in said.findings if found.kind not in (FindingKind.PATCH, FindingKind.REMARK))
    findings = tuple(found.model_copy(update={"detail": ""}) if found.said in seen else found for found in left)
    return said.model_copy(update={"findings": findings})


def print_review(review: Review, console: Console) -> None:
    """One line per patch, then what there is to say, by patch; the series last."""
    console.print()
    names = max((len(patch.name) for patch in review.patches), default=0)
    titles = max((len(_short(patch.title)) for patch in review.patches), default=0)
    for patch in review.patches:
        console.print(_line(patch, names, titles))
    for name, remarks in grouped(review):
        console.print()
        console.print(Text(name, style="bold"))
        for remark in remarks[:_PER_PATCH]:
            console.print(Text.assemble("  ", (f"{remark.severity}", _COLOURS[remark.severity]), f": {remark.words}"))
            short = [line for line in remark.detail.splitlines() if len(line) <= _LONG]  # not a compiler's command
            for line in short[:_EVIDENCE]:
                console.print(Text(f"      {line}", style="dim"))
        if len(remarks) > _PER_PATCH:
            console.print(Text(f"  … and {len(remarks) - _PER_PATCH} more", style="dim"))


def _line(patch: PatchReview, names: int, titles: int) -> Text:
    """`✓ kernel patch 2/3  fuse: do this  built, 3 objects, 12 s  1 warning`."""
    if patch.broken or any(finding.severity is Severity.ERROR for finding in patch.remarks):
        mark, colour = "✗", "red"
    elif patch.build and patch.build.state == "built":
        mark, colour = "✓", "green"
    else:
        mark, colour = "–", "dim"
    state = patch.build.state if patch.build else ""
    built = "does not build" if state == "failed" else build_words(patch.build)
    if patch.build and patch.build.seconds >= 1:
        built += f", {clock(patch.build.seconds)}"
    said = counts(patch)
    return Text.assemble(
        (mark, colour),
        f" {patch.name:<{names}}  {_short(patch.title):<{titles}}  ",
        (built, "dim"),
        (f"  {said}" if said else "", "yellow"),
    )


def _short(subject: str) -> str:
    return subject if len(subject) <= _TITLE else subject[: _TITLE - 1] + "…"
