# SPDX-License-Identifier: GPL-2.0-or-later
"""Bars of machines and tests: what they begin with, how long they are, and that names stay text."""

import datetime

import pytest

from reviewbot.model.results import MachineUse
from reviewbot.report import Record
from reviewbot.report.html import charts
from reviewbot.report.html.page import html_page
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
    bars = charts.timeline(with_machines(3))
    assert [(bar.name, bar.begin, bar.seconds) for bar in bars] == [
        ("fuse2fs-smoke.0", 0, 30),
        ("fuse2fs-smoke.1 (restored)", 40, 30),
        ("fuse2fs-smoke.2 (restored)", 80, 30),
    ]
    assert [(round(bar.left), round(bar.width)) for bar in bars] == [(0, 27), (36, 27), (73, 27)]


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_machines_need_no_chart(count: int) -> None:
    assert charts.timeline(with_machines(count)) == []


def test_the_longest_tests_come_first_and_names_of_strangers_stay_text() -> None:
    tests = [case("fstests", f"<script>$x^2${n}&amp;").model_copy(update={"seconds": n + 1.0}) for n in range(9)]
    record = judged(results(leg("ext4", *tests)))
    bars = charts.durations(record)
    assert [bar.seconds for bar in bars] == list(range(9, 0, -1)) and [bars[0].left, bars[0].width] == [0, 100]
    page = html_page(record)
    assert "&lt;script&gt;$x^2$8&amp;amp;" in page and "<script>$" not in page
    assert 'style="margin-left:0.00%;width:100.00%' in page


def test_few_tests_and_a_run_without_results_have_no_charts() -> None:
    assert charts.durations(judged(results(leg("ext4", *(case("smoke", f"a{n}") for n in range(7)))))) == []
    record = passing().model_copy(update={"results": None})
    assert charts.durations(record) == [] and charts.timeline(record) == []
