# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows that more than one report shows."""

import itertools
import re
import textwrap
from collections.abc import Sequence

from reviewbot.model.results import LeftOut, LegResult, Outcome, TestResult
from reviewbot.model.trees import Tree
from reviewbot.model.words import counted
from reviewbot.report.record import Record

OUTCOMES = (
    Outcome.PASS, Outcome.FAIL, Outcome.CRASH, Outcome.HANG, Outcome.KNOWN, Outcome.NOTRUN, Outcome.MISS, Outcome.INFRA,
)  # fmt: skip

_FEW = 40
"""Names of tests that a mail lists."""


def leg_rows(record: Record) -> list[tuple[str, ...]]:
    """Per leg and suite: leg, suite, planned, one count per outcome (empty for 0), seconds inside the guest."""
    rows: list[tuple[str, ...]] = []
    for leg in record.results.legs if record.results else ():
        if not leg.available:
            rows.append((leg.leg, "unavailable", *[""] * (len(OUTCOMES) + 2)))
            continue
        for suite in dict.fromkeys(test.suite for test in leg.tests):
            rows.append(_row(leg, suite))
    for deep in record.deep:
        for leg in deep.results.legs if deep.results else ():
            named = leg.model_copy(update={"leg": in_variant(leg.leg, deep.variant)})
            rows += [_row(named, suite) for suite in dict.fromkeys(test.suite for test in leg.tests)]
    return rows


def in_variant(leg: str, variant: str) -> str:
    """`fuse2fs (kasan,lockdep)`, a leg in a variant of a deep run; without one `fuse2fs`."""
    return f"{leg} ({variant})" if variant else leg


def _row(leg: LegResult, suite: str) -> tuple[str, ...]:
    tests = [test for test in leg.tests if test.suite == suite]
    counts = [sum(test.outcome is outcome for test in tests) for outcome in OUTCOMES]
    seconds = sum(test.seconds for test in tests)
    return (leg.leg, suite, str(len(tests)), *(str(n) if n else "" for n in counts), f"{seconds:.0f}")


def not_run(record: Record) -> list[tuple[LegResult, TestResult]]:
    """Tests that said why they cannot run."""
    legs = record.results.legs if record.results else ()
    return [(leg, test) for leg in legs for test in leg.tests if test.outcome is Outcome.NOTRUN]


def known_failures(record: Record) -> list[tuple[LegResult, TestResult]]:
    """Tests that failed as the unpatched stack is known to."""
    legs = record.results.legs if record.results else ()
    return [(leg, test) for leg in legs for test in leg.tests if test.outcome is Outcome.KNOWN]


def known_in_question(record: Record) -> list[tuple[LegResult, TestResult]]:
    """Those at whose fault is a component that the series itself changes: it may be about them."""
    trees = record.trees.trees if record.trees else ()
    changed = {
        tree.component for tree in trees if any(not (patch.merged or patch.prerequisite) for patch in tree.patches)
    }
    return [one for one in known_failures(record) if one[1].known and changed & set(one[1].known.components)]


def over_budget(record: Record) -> list[tuple[LegResult, LeftOut]]:
    """Tests that were selected and did not fit."""
    return [(leg, test) for leg in (record.results.legs if record.results else ()) for test in leg.left_out]


def leg_header() -> tuple[str, ...]:
    return ("leg", "suite", "planned", *(str(o) for o in OUTCOMES), "seconds")


def public_words(text: str) -> str:
    """Where something came from, without folders of this machine: `git …/linux.git`. URLs stay, without a password."""
    return _FOLDER.sub("…/", _PASSWORD.sub("//", text))


_FOLDER = re.compile(
    r"(?<![\w/:.~…+-])(?!/(?:dev|proc|sys)/)(?:~?/|\.{1,2}/)(?:[^\s/,()]+/)*(?=[^\s/,()])"
    r"|(?<=file://)/(?:[^\s/,()]+/)*"
)
_PASSWORD = re.compile(r"//[^\s/@]+@")


def stack_rows(record: Record) -> list[tuple[str, str, str, str, str]]:
    """Per component: name, source, base and why, patches, head."""
    rows = []
    for tree in record.trees.trees if record.trees else ():
        patches = _patches(tree)
        rows.append(
            (
                tree.component,
                public_words(tree.source),
                f"{tree.base_commit[:12]}, {public_words(tree.base_why)}",
                patches,
                f"{tree.head_commit[:12]}, tree {tree.head_tree[:12]}",
            )
        )
    return rows


def stack_cells(record: Record) -> list[tuple[str, str, str]]:
    """Per component, for readers who have the same repositories: its name; source, base and why; patches and head.

    Head is named by its tree, which everybody gets who applies the patches. Objects that were made here, by importing a
    package or a folder, are not named.
    """
    rows = []
    for tree in record.trees.trees if record.trees else ():
        ours = tree.provider in ("git", "")
        own = _patches(tree)
        base = public_words(tree.source).removeprefix("git ") + (f" {tree.base_commit[:12]}" if ours else "")
        why = f", {public_words(tree.base_why)}" if own != "none" else ""
        head = f", tree {tree.head_tree[:12]}" if ours and own != "none" else ""
        rows.append((tree.component, f"{base}{why}", f"{own}{head}"))
    return rows


def test_lines(record: Record) -> list[str]:
    """Which fstests ran: their names if these are few, else how they were selected and how many that are."""
    legs = record.results.legs if record.results else ()
    names = sorted({test.test for leg in legs for test in leg.tests if test.suite == "fstests"})
    if not names:
        return []
    if len(names) <= _FEW:
        return [f"fstests: {' '.join(names)}"]
    selection = f" of `{record.plan.tests}`" if record.plan else ""
    return [f"fstests: {len(names)} tests{selection}"]


def _patches(tree: Tree) -> str:
    """`3 patches, 1 already in base, on 2 prerequisites`."""
    merged = sum(patch.merged for patch in tree.patches)
    below = sum(patch.prerequisite and not patch.merged for patch in tree.patches)
    own = len(tree.patches) - merged - below
    words = [counted(own, "patch")] if own or not tree.patches else []
    words += [f"{merged} already in base"] if merged else []
    words += [f"on {counted(below, 'prerequisite')}"] if below else []
    return ", ".join(words) if tree.patches else "none"


def aligned(rows: Sequence[Sequence[str]], right_from: int = 99, gap: str = "  ") -> str:
    """Columns for a fixed-width reader; columns from `right_from` on are flush right. gap: between two of them."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if column >= right_from else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(gap.join(cells).rstrip())
    return "\n".join(lines)


def folded(rows: Sequence[tuple[str, str, str]], width: int = 78) -> str:
    """Three columns, the middle one as wide as `width` allows; cells are wrapped, and no line is wider."""
    first = min(max(len(row[0]) for row in rows), 14)
    widths = (first, width - first - _LAST - 4, _LAST)
    lines = []
    for row in rows:
        cells = [textwrap.wrap(cell, size) for cell, size in zip(row, widths, strict=True)]
        for pieces in itertools.zip_longest(*cells, fillvalue=""):
            lines.append("  ".join(piece.ljust(size) for piece, size in zip(pieces, widths, strict=True)).rstrip())
    return "\n".join(lines)


_LAST = 13
"""Columns for `3 patches, tree 0123456789ab`, on two or three lines: most URLs fit beside it."""


def left_out(rows: list[tuple[str, ...]], header: tuple[str, ...]) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    """Without outcome columns that nobody has."""
    keep = [c for c in range(len(header)) if c < 4 or c == len(header) - 1 or any(row[c] for row in rows)]
    return [tuple(row[c] for c in keep) for row in rows], tuple(header[c] for c in keep)
