# SPDX-License-Identifier: GPL-2.0-or-later
"""A plan for human eyes, and as JSON."""

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reviewbot.model.plan import Plan
from reviewbot.model.posting import Part


def plan_json(plan: Plan) -> dict[str, Any]:
    """The published shape: parts with their patches as Message-IDs in order, problems, and what would be done."""
    posting = plan.posting
    return {
        "top": posting.top,
        "subject": posting.subject,
        "author": posting.author,
        "parts": [_part_json(part) for part in posting.parts],
        "problems": [problem.model_dump(mode="json") for problem in posting.problems],
        "rfc": plan.rfc,
        "sources": [source.model_dump(mode="json") for source in plan.sources],
        "legs": [leg.leg for leg in plan.legs],
        "suites": list(plan.suites),
        "tests": plan.tests,
    }


def _part_json(part: Part) -> dict[str, Any]:
    return {
        "component": part.component,
        "counter": part.counter,
        "rfc": part.rfc,
        "subject": part.subject,
        "cover": part.cover,
        "patches": [patch.message_id for patch in part.patches],
    }


def print_plan(plan: Plan, console: Console) -> None:
    """Parts, sources, legs and problems as tables."""
    posting = plan.posting
    console.print(Text(posting.subject, style="bold"))
    console.print(Text(f"{posting.author} · {posting.top}", style="dim"))
    console.print(_parts(plan))
    console.print(_sources(plan))
    names = ", ".join(leg.leg for leg in plan.legs)
    tests = f" (fstests: {plan.tests})" if "fstests" in plan.suites else ""
    console.print(Text.assemble(("Legs    ", "dim"), names))
    console.print(Text.assemble(("Suites  ", "dim"), ", ".join(plan.suites) + tests))
    for problem in posting.problems:
        mark, colour = ("✗ blocked", "red") if problem.blocking else ("! note", "yellow")
        console.print(Text.assemble((mark, colour), f"  {problem.message}"))


def _parts(plan: Plan) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title, justify in (("component", "left"), ("part", "left"), ("patches", "right")):
        table.add_column(title, justify="right" if justify == "right" else "left", no_wrap=True)
    table.add_column("subject", ratio=1)
    table.add_column("routed by", style="dim", no_wrap=True, overflow="ellipsis", max_width=34)
    for part in plan.posting.parts:
        flag = ("RFC " if part.rfc else "") + ("(left out) " if part.rfc and not plan.rfc else "")
        subject = Text.assemble((flag, "magenta"), part.subject)
        table.add_row(
            part.component, part.counter, str(len(part.patches)), subject, part.routed_by.removeprefix("paths, e.g. ")
        )
    return table


def _sources(plan: Plan) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("component", "source", "base"):
        table.add_column(title, overflow="fold")
    table.add_column("why", style="dim")
    for source in plan.sources:
        table.add_row(source.component, source.source, source.base, source.why)
    return table
