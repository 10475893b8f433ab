# SPDX-License-Identifier: GPL-2.0-or-later
"""Charts are SVG in the page's own colours, and the same for the same numbers."""

import datetime

import pytest

from reviewbot.model.results import MachineUse
from reviewbot.report import Record
from reviewbot.report.html import charts
from tests.report.records import case, judged, leg, passing, results

START = datetime.datetime(2026, 11, 3, 10, 15, tzinfo=datetime.UTC)


def with_machines(count: int) -> Record:
    uses = tuple(
        MachineUse(
            name=f"fuse2fs-smoke.{n}", started=START + datetime.timedelta(seconds=40 * n), seconds=30.0, restored=n > 0
        )
        for n in range(count)
    )
    return judged(results(leg("fuse2fs", case("smoke", "rename")).model_copy(update={"machines": uses})))


def test_machines_are_shown_from_the_first_start_on() -> None:
    svg = charts.timeline(with_machines(3))
    assert svg is not None
    for words in ("fuse2fs-smoke.0<", "fuse2fs-smoke.2 (restored)<", "seconds since the first machine started"):
        assert words in svg
    assert svg == charts.timeline(with_machines(3))


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_machines_need_no_chart(count: int) -> None:
    assert charts.timeline(with_machines(count)) is None


def test_names_of_strangers_stay_text_in_a_chart() -> None:
    tests = [case("fstests", f"<script>$x^2${n}&amp;") for n in range(9)]
    svg = charts.durations(judged(results(leg("ext4", *tests))))
    assert svg is not None
    assert "<script" not in svg and "&lt;script&gt;$x^2$0&amp;amp;" in svg


def test_a_chart_has_no_fixed_ink_and_no_date() -> None:
    svg = charts.timeline(with_machines(2))
    assert svg is not None and "currentColor" in svg and "#010203" not in svg and "<metadata" not in svg


def test_a_run_without_results_has_no_charts() -> None:
    record = passing().model_copy(update={"results": None})
    assert charts.durations(record) is None and charts.timeline(record) is None
