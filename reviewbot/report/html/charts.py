# SPDX-License-Identifier: GPL-2.0-or-later
"""Charts as SVG that takes the page's colours, the same bytes for the same numbers."""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from reviewbot.model.words import one_line
from reviewbot.report.bench import rows_of
from reviewbot.report.html.table import tested
from reviewbot.report.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LONGEST = 20
"""Tests that the chart of durations has."""
_FEW = 8
"""Bars below which a chart tells no more than the table."""
_INK = "#010203"
"""Stands for the page's text colour until the SVG is made."""
_BARS = ("#2f74c0", "#c2621b", "#3b8f4a", "#8a5cc2", "#b04a6a", "#7d7d2a")
"""One per leg: each has a contrast of 3 to 1 on white and on the dark background."""


@dataclass(frozen=True)
class Bar:
    """One line of a chart of bars. begin and seconds are in seconds, left and width in per cent of the chart."""

    name: str
    begin: float
    seconds: float
    left: float
    width: float
    colour: str


def durations(record: Record) -> list[Bar]:
    """The longest tests; empty for a run of few tests."""
    tests = [
        (f"{leg.leg} {test.test}", 0.0, test.seconds, number)
        for number, leg in enumerate(tested(record))
        for test in leg.tests
        if test.seconds
    ]
    longest = sorted(tests, key=lambda one: (-one[2], one[0]))[:_LONGEST]
    return _bars(longest) if len(tests) >= _FEW else []


def timeline(record: Record) -> list[Bar]:
    """When each machine of each leg ran, from the first start on; empty where that was not recorded."""
    uses = [(number, use) for number, leg in enumerate(tested(record)) for use in leg.machines]
    uses.sort(key=lambda one: (one[1].started, one[1].name))
    return _bars(
        [
            (
                use.name + (" (restored)" if use.restored else ""),
                (use.started - uses[0][1].started).total_seconds(),
                use.seconds,
                number,
            )
            for number, use in uses
        ]
        if len(uses) > 1
        else []
    )


def _bars(found: list[tuple[str, float, float, int]]) -> list[Bar]:
    """Bars of name, begin, seconds, and number of the leg."""
    whole = max((begin + seconds for _, begin, seconds, _ in found), default=0) or 1
    return [
        Bar(name, begin, seconds, 100 * begin / whole, 100 * seconds / whole, _BARS[number % len(_BARS)])
        for name, begin, seconds, number in found
    ]


def bench(record: Record) -> Markup | None:
    """Each row of the bench suite as a multiple of the kernel's ext4, with its interval, one colour per leg."""
    found = [one for one in rows_of(record) if one.row.ratio and one.row.against == "ext4"]
    names = list(dict.fromkeys(one.name for one in found))
    legs = list(dict.fromkeys(one.leg.leg for one in found))
    if not found:
        return None
    with _axes("bench", 1 + len(names), "time relative to the kernel's ext4, lower is better") as (axes, done):
        axes.axvline(1.0, color=_INK, linewidth=0.8)
        axes.set_xscale("log")
        for number, leg in enumerate(legs):
            mine = [(names.index(one.name), one.row.ratio) for one in found if one.leg.leg == leg]
            points = [(place + 0.8 * (number + 0.5) / len(legs) - 0.4, ratio) for place, ratio in mine if ratio]
            axes.errorbar(
                [ratio.ratio for _, ratio in points],
                [place for place, _ in points],
                xerr=(
                    [ratio.ratio - ratio.low for _, ratio in points],
                    [ratio.high - ratio.ratio for _, ratio in points],
                ),
                fmt="o",
                markersize=3,
                linewidth=1,
                color=_BARS[number % len(_BARS)],
                label=_plain(leg),
            )
        _name_rows(axes, names)
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    return done[0]


def memory(record: Record) -> Markup | None:
    """Memory of each leg's server while it works; None where no server was measured."""
    found = [one for one in rows_of(record) if len(one.row.series) > 1]
    if not found:
        return None
    with _axes("memory", 12, "seconds since the measurement began") as (axes, done):
        for number, one in enumerate(found):
            axes.plot(
                [at for at, _ in one.row.series],
                [kib / 1024 for _, kib in one.row.series],
                color=_BARS[number % len(_BARS)],
                label=_plain(one.leg.leg),
            )
        axes.set_ylabel("MiB")
        axes.set_ylim(bottom=0)
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    return done[0]


def _plain(name: str) -> str:
    """The font has few other letters; `$` would begin a formula."""
    return re.sub(r"[^ -~]", "?", one_line(name, 60)).replace("$", r"\$")


def _name_rows(axes: "Axes", names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), labels=[_plain(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)


@contextmanager
def _axes(name: str, count: int, unit: str) -> "Iterator[tuple[Axes, list[Markup]]]":
    """Axes to draw on; the second value holds the SVG after the block. name: keeps ids apart on one page."""
    import matplotlib as mpl  # half a second, and 40 MiB: only for a page with charts
    from matplotlib.figure import Figure

    inks = dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), _INK)
    done: list[Markup] = []
    # Of nobody's matplotlibrc. Any: newer versions list the hundreds of keys in the type.
    style: Any = {**mpl.rcParamsDefault, **inks, "svg.fonttype": "none", "svg.hashsalt": name, "font.size": 9}
    with mpl.rc_context(style):
        figure = Figure(figsize=(9, 0.7 + 0.2 * count), layout="constrained")
        figure.patch.set_visible(False)
        axes = figure.subplots()
        axes.patch.set_visible(False)
        axes.set_xlabel(unit)
        axes.spines[["top", "right"]].set_visible(False)
        yield axes, done
        made = io.StringIO()
        figure.savefig(made, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    done.append(_inline(made.getvalue(), name))


def _inline(svg: str, name: str) -> Markup:
    """The svg element for a page: ids of its own, the page's text colour, no metadata."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", body)
    body = body.replace(_INK, "currentColor").replace("<svg ", '<svg role="img" aria-hidden="true" ', 1)
    return Markup(re.sub(r"\n\s*", "\n", body))
