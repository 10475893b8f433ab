# SPDX-License-Identifier: GPL-2.0-or-later
"""A plan for human eyes, on a terminal of 80 columns too."""

from collections import Counter
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reviewbot.cli.plan_json import all_patches
from reviewbot.model.plan import Expected, Plan
from reviewbot.model.posting import Part, Posting, Prerequisite, Pull, Version
from reviewbot.model.trees import Tree
from reviewbot.model.words import about, counted, patch_name

_WIDE = 110
"""Columns from which on there is room to say why a part is for its component."""
_SHOWN = 4
"""Names of a list that are shown."""


def print_plan(plan: Plan, console: Console, *, tried: bool = False) -> None:
    """Parts, sources, legs and problems. tried: the user wished that bases be tried."""
    posting = plan.posting
    console.print(Text(posting.subject, style="bold"))
    console.print(Text(" · ".join(filter(None, (posting.author, posting.top))) or posting.source, style="dim"))
    console.print(_facts(posting))
    console.print(_parts(plan, wide=console.width >= _WIDE))
    console.print(Text.assemble(_sum(plan), (_rfc_hint(plan), "magenta")))
    console.print()
    console.print(_sources(plan))
    console.print()
    console.print(_tests(plan))
    if tried and plan.trees is None:
        console.print(Text("No base was tried, see below.", style="yellow"))
    for problem in posting.problems:
        mark, colour = ("✗ blocked", "red") if problem.blocking else ("! note", "yellow")
        console.print(_line(Text(mark, style=colour), Text(problem.message), width=9))


def _line(name: Text, words: Text, *, width: int = 8) -> Table:
    """A name, and words that stay beside it when they need several lines."""
    grid = _grid(width)
    grid.add_row(name, words)
    return grid


def _grid(width: int = 8) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(min_width=width, no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def _facts(posting: Posting) -> Table:
    grid = _grid()
    for name, words in _known(posting):
        grid.add_row(Text(name, style="dim"), Text(words))
    return grid


def _known(posting: Posting) -> Iterator[tuple[str, str]]:
    if posting.manifest:
        yield "manifest", posting.manifest
    for line in _asked(posting):
        yield "named", line
    if posting.versions:
        yield "versions", _versions(posting.versions)
    if signed := _signed(posting):
        yield "signed", signed


def _versions(versions: Sequence[Version]) -> str:
    """`older: v7 <id>, v8 <id>; newer: v4 <id>`; the newest of them."""
    said = []
    for name, some in (("older", [v for v in versions if not v.newer]), ("newer", [v for v in versions if v.newer])):
        shown = ", ".join(f"v{version.version} <{version.message_id}>" for version in some[-_SHOWN:])
        more = f"{len(some) - _SHOWN} more, " if len(some) > _SHOWN else ""
        said += [f"{name}: {more}{shown}"] if some else []
    return "; ".join(said)


def _signed(posting: Posting) -> str:
    """`DKIM: 20 pass, 1 unchecked (no name server responded)`, of all patches."""
    found = [patch.attestation for patch in all_patches(posting) if patch.attestation]
    said: list[tuple[str, Counter[str]]] = [("DKIM", Counter(attestation.dkim for attestation in found))]
    patatt: Counter[str] = Counter(attestation.patatt for attestation in found)
    if set(patatt) - {"none"}:
        said.append(("patatt", patatt))
    words = "; ".join(
        f"{name}: {', '.join(f'{counts[answer]} {word}' for answer, word in _ANSWERS.items() if counts[answer])}"
        for name, counts in said
        if counts
    )
    reasons = dict.fromkeys(a.why for a in found if a.why and {a.dkim, a.patatt} & {"fail", "unchecked"})
    more = f" and {counted(len(reasons) - 1, 'other reason')}" if len(reasons) > 1 else ""
    return words + (f" ({next(iter(reasons))}{more})" if reasons else "")


_ANSWERS = {"pass": "pass", "fail": "fail", "none": "unsigned", "unchecked": "unchecked"}
"""What a check of signatures answers -> how that is said."""


def _asked(posting: Posting) -> list[str]:
    """Which mail was named, where it is, and how much is taken."""
    places: dict[str, str] = {}
    for part in posting.parts:
        where = f"{part.component} {part.counter}, “{part.subject}”"
        for patch in part.patches:
            name = patch_name(part.component, part.counter, patch.number, len(part.patches))
            places[patch.message_id] = f"{name}, “{part.subject}”"
        if part.cover:
            places[part.cover] = f"{'the request for' if part.pull else 'the cover of'} {where}"
    kinds = {problem.kind for problem in posting.problems}
    unnamed = "several-threads" in kinds or len(posting.files) > 1  # a note or the user lists the threads
    if unnamed or not posting.sent:
        return []
    hint = "; the whole posting is taken (--part-only takes only this part)"
    taken = hint if len(posting.asked) == 1 and len(posting.parts) > 1 and "part-only" not in kinds else ""
    return [f"{places.get(message_id, f'<{message_id}>')}{taken}" for message_id in posting.asked]


def _sum(plan: Plan) -> str:
    """`168 patches in 23 parts`, of all that was posted."""
    parts = plan.posting.parts
    pulls = sum(part.pull is not None for part in parts)
    found = [counted(sum(len(part.patches) for part in parts), "patch"), *([counted(pulls, "pull")] if pulls else [])]
    return f"{' and '.join(found)} in {counted(len(parts), 'part')}"


def _rfc_hint(plan: Plan) -> str:
    left = [part for part in plan.posting.parts if part.rfc]
    if plan.rfc or not left:
        return ""
    count = counted(sum(len(part.patches) for part in left), "patch")
    return f"; {counted(len(left), 'RFC part')} ({count}) left out: --rfc includes {'it' if len(left) == 1 else 'them'}"


def _parts(plan: Plan, *, wide: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title, justify in (("component", "left"), ("part", "left"), ("patches", "right")):
        table.add_column(title, justify="right" if justify == "right" else "left", no_wrap=True)
    table.add_column("subject", ratio=1, overflow="fold")
    if wide:
        table.add_column("routed by", style="dim", no_wrap=True, overflow="ellipsis", max_width=34)
    for part in plan.posting.parts:
        flag = ("RFC " if part.rfc else "") + ("(left out) " if part.rfc and not plan.rfc else "")
        subject = Text.assemble((flag, "magenta"), part.subject)
        patches = "pull" if part.pull else str(len(part.patches))
        routed = (part.routed_by.removeprefix("paths, e.g. "),) if wide else ()
        table.add_row(part.component, part.counter, patches, subject, *routed)
        for words in _below(part):
            table.add_row("", "", "", words, *([""] if wide else []))
    return table


def _below(part: Part) -> Iterator[Text]:
    """What else there is to know of a part."""
    if part.pull:
        yield Text(_pulled(part.pull), style="dim")
    for entry in part.prerequisites:
        yield _prerequisite(entry)


def _pulled(pull: Pull) -> str:
    """`https://… fuse-fixes_2026-02-23, after v7.0-rc1`."""
    after = f", after {pull.base[:12] if len(pull.base) == 40 else pull.base}" if pull.base else ""
    return f"{pull.url} {pull.ref}{after}"


def _prerequisite(entry: Prerequisite) -> Text:
    value = entry.declared.value
    named = value[:12] if entry.declared.kind == "patch-id" else value
    if entry.status == "found":
        return Text.assemble("below it: ", (f"{entry.why} ({entry.declared.trailer} {named})", "dim"))
    return Text.assemble((f"{entry.status}: ", "red"), (f"{entry.declared.trailer} {named}: {entry.why}", "dim"))


def _sources(plan: Plan) -> Table:
    """One block per component: where it comes from, its base, and why that one."""
    grid = _grid(10)
    trees = {tree.component: tree for tree in plan.trees.trees} if plan.trees else {}
    for source in plan.sources:
        tree = trees.get(source.component)
        where = (tree or source).source.removeprefix("git ")
        if not tree and not plan.posting.component_parts(source.component, rfc=plan.rfc):
            ref = source.base if source.source.startswith("git ") else ""
            grid.add_row(Text(source.component), Text.assemble(where, (f" {ref}", "dim")))
            continue
        grid.add_row(Text(source.component, style="bold"), Text(where))
        for line in _tree(tree) if tree else (Text.assemble("base ", source.base, (f"  {source.why}", "dim")),):
            grid.add_row("", line)
    return grid


def _tree(tree: Tree) -> Iterator[Text | Padding]:
    unsure = "" if tree.justified or tree.stopped else "  ! no evidence for this base: it is only the default"
    yield Text.assemble("base ", tree.base_commit[:12], (f"  {tree.base_why}", "dim"), (unsure, "yellow"))
    if tree.stopped:
        yield Text.assemble(("✗ ", "red"), tree.stopped.what)
        for line in tree.stopped.detail:
            yield Padding(Text(line, style="dim"), (0, 0, 0, 2))
    else:
        yield Text.assemble("head ", tree.head_commit[:12], (f"  {_applied(tree)}", "dim"))
    if tree.attempts:
        yield Text("tried", style="dim")
    for attempt in tree.attempts:
        if tree.stopped is None or attempt.result != tree.stopped.what:
            yield Padding(Text(f"{attempt.what} -> {attempt.result}", style="dim"), (0, 0, 0, 2))


def _applied(tree: Tree) -> str:
    """`5 patches; 1 prerequisite below them; 2 already in base, left out`."""
    own = [patch for patch in tree.patches if not patch.merged]
    below = sum(patch.prerequisite for patch in own)
    merged = len(tree.patches) - len(own)
    words = [counted(len(own) - below, "patch")]
    words += [f"{counted(below, 'patch')} of prerequisites"] if below else []
    words += [f"{counted(merged, 'patch')} already in base, left out"] if merged else []
    return "; ".join(words)


def _tests(plan: Plan) -> Table:
    grid = _grid()
    grid.add_row(Text("legs", style="dim"), Text(", ".join(leg.leg for leg in plan.legs)))
    for leg in (leg for leg in plan.legs if leg.doubt):
        grid.add_row("", Text(f"{leg.leg}: {leg.doubt}", style="yellow"))
    tests = f" ({_selection(plan.tests)})" if "fstests" in plan.suites else ""
    grid.add_row(Text("suites", style="dim"), Text(", ".join(plan.suites) + tests))
    if plan.budget:
        what = f"the most valuable of these tests that run in {about(plan.budget)}, chosen once fstests are built"
        grid.add_row(Text("budget", style="dim"), Text(what))
    if plan.expected:
        grid.add_row(Text("time", style="dim"), Text(_time(plan.expected)))
    if plan.variant.name:
        grid.add_row(Text("variant", style="dim"), Text(f"{plan.variant.name}: {plan.variant.why}"))
    return grid


def _time(expected: Expected) -> str:
    """`about 12 min of tests on 2 machines; builds took 5 min last time; …`."""
    tests, builds, new = expected.tests, expected.builds, expected.never_built
    on = counted(expected.machines, "machine")
    said = [f"about {about(tests)} of tests on {on}" if tests else "unknown for these tests until fstests are built"]
    said += [f"builds took {about(builds)} last time; artifacts in the store are not rebuilt"] if builds else []
    said += [f"never built here: {', '.join(new)}"] if new else []
    return "; ".join(said)


def _selection(tests: str) -> str:
    """`23 tests: generic/001 generic/002 … generic/401`; options as they are."""
    names = tests.split()
    if any(name.startswith("-") for name in names) or len(names) <= _SHOWN:
        return tests
    return f"{counted(len(names), 'test')}: {' '.join(names[: _SHOWN - 1])} … {names[-1]}"
