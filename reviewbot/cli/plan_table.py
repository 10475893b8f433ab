# SPDX-License-Identifier: GPL-2.0-or-later
"""A plan for human eyes, and as JSON."""

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reviewbot.model.plan import Plan
from reviewbot.model.posting import Part, Posting, Pull
from reviewbot.model.words import counted


def plan_json(plan: Plan) -> dict[str, Any]:
    """The published shape: parts with their patches as Message-IDs in order, problems, and what would be done."""
    posting = plan.posting
    return {
        "top": posting.top,
        "subject": posting.subject,
        "author": posting.author,
        "asked": list(posting.asked),
        "manifest": posting.manifest,
        "parts": [_part_json(part) for part in posting.parts],
        "problems": [problem.model_dump(mode="json") for problem in posting.problems],
        "rfc": plan.rfc,
        "sources": [source.model_dump(mode="json") for source in plan.sources],
        "legs": [leg.leg for leg in plan.legs],
        "suites": list(plan.suites),
        "tests": plan.tests,
    }


def _part_json(part: Part) -> dict[str, Any]:
    found: dict[str, Any] = {
        "component": part.component,
        "counter": part.counter,
        "rfc": part.rfc,
        "subject": part.subject,
        "cover": part.cover,
        "patches": [patch.message_id for patch in part.patches],
    }
    if part.pull:
        found["pull"] = part.pull.model_dump(mode="json")
    return found


def print_plan(plan: Plan, console: Console) -> None:
    """Parts, sources, legs and problems as tables."""
    posting = plan.posting
    console.print(Text(posting.subject, style="bold"))
    console.print(Text(" · ".join(filter(None, (posting.author, posting.top))) or posting.source, style="dim"))
    for line in _asked(posting):
        console.print(Text.assemble(("named   ", "dim"), line))
    console.print(_parts(plan))
    if hint := _rfc_hint(plan):
        console.print(Text(hint, style="magenta"))
    console.print(_sources(plan))
    names = ", ".join(leg.leg for leg in plan.legs)
    tests = f" (fstests: {plan.tests})" if "fstests" in plan.suites else ""
    console.print(Text.assemble(("Legs    ", "dim"), names))
    console.print(Text.assemble(("Suites  ", "dim"), ", ".join(plan.suites) + tests))
    for problem in posting.problems:
        mark, colour = ("✗ blocked", "red") if problem.blocking else ("! note", "yellow")
        console.print(Text.assemble((mark, colour), f"  {problem.message}"))


def _asked(posting: Posting) -> list[str]:
    """Which mail was named, where it is, and how much is taken."""
    places: dict[str, str] = {}
    for part in posting.parts:
        where = f"{part.component} {part.counter}, “{part.subject}”"
        for patch in part.patches:
            places[patch.message_id] = f"patch {patch.number}/{len(part.patches)} of {where}"
        if part.cover:
            places[part.cover] = f"{'the request for' if part.pull else 'the cover of'} {where}"
    kinds = {problem.kind for problem in posting.problems}
    if "several-threads" in kinds:  # nobody named them; the note lists them
        return []
    hint = "; the whole posting is taken (--part-only takes only this part)"
    taken = hint if len(posting.asked) == 1 and len(posting.parts) > 1 and "part-only" not in kinds else ""
    return [f"{places.get(message_id, f'<{message_id}>')}{taken}" for message_id in posting.asked]


def _rfc_hint(plan: Plan) -> str:
    left = sum(part.rfc for part in plan.posting.parts)
    if plan.rfc or not left:
        return ""
    return f"{counted(left, 'RFC part')} left out: --rfc takes {'it' if left == 1 else 'them'} in"


def _parts(plan: Plan) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title, justify in (("component", "left"), ("part", "left"), ("patches", "right")):
        table.add_column(title, justify="right" if justify == "right" else "left", no_wrap=True)
    table.add_column("subject", ratio=1)
    table.add_column("routed by", style="dim", no_wrap=True, overflow="ellipsis", max_width=34)
    for part in plan.posting.parts:
        flag = ("RFC " if part.rfc else "") + ("(left out) " if part.rfc and not plan.rfc else "")
        subject = Text.assemble((flag, "magenta"), part.subject)
        patches = "pull" if part.pull else str(len(part.patches))
        table.add_row(
            part.component, part.counter, patches, subject, part.routed_by.removeprefix("paths, e.g. ")
        )  # fmt: skip
        if part.pull:
            table.add_row("", "", "", Text(_pulled(part.pull), style="dim"), "")
    return table


def _pulled(pull: Pull) -> str:
    """`https://… fuse-fixes_2026-02-23, after v7.0-rc1`."""
    after = f", after {pull.base[:12] if len(pull.base) == 40 else pull.base}" if pull.base else ""
    return f"{pull.url} {pull.ref}{after}"


def _sources(plan: Plan) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("component", "source", "base"):
        table.add_column(title, overflow="fold")
    table.add_column("why", style="dim")
    for source in plan.sources:
        table.add_row(source.component, source.source, source.base, source.why)
    return table
