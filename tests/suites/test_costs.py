# SPDX-License-Identifier: GPL-2.0-or-later
"""What is taken from a guest's words about costs."""

import re

from hypothesis import given
from hypothesis import strategies as st

from reviewbot.host.data import data_path
from reviewbot.model.figures import Cost
from reviewbot.suites.costs import MOST, costs
from reviewbot.verdict.figures import load_limits


def test_the_guest_goes_on_from_the_growth_that_is_a_finding() -> None:
    source = data_path("qemu/suites/smoke/costs.py").read_text()
    found = re.search(r"^SOME_KIB, SOME_OBJECTS = (\d+), (\d+)$", source, re.MULTILINE)
    limits = [load_limits().of(figure).least for figure in ("steady-leak", "kernel-objects")]
    assert found and [float(number) for number in found.groups()] == limits


def test_each_line_is_one_kind_of_operation_and_a_dash_is_not_known() -> None:
    said = "cost create 400 2800 16 12 7 30.25\nxattr: Operation not supported\ncost lookup 400 - - - - 9.00\n"
    assert costs(said) == {
        "create": Cost(
            operations=400, server_kib=2800, server_steady_kib=16, kernel_kib=12, kernel_objects=7, times=30.25
        ),
        "lookup": Cost(operations=400, times=9.0),
    }


@given(st.text())
def test_no_words_break_the_reader(said: str) -> None:
    assert all(cost.times >= 0 for cost in costs(f"cost a 1 1 1 1 1 {said}\n{said}").values())


def test_a_guest_cannot_make_up_kinds_without_end() -> None:
    names = [a + b for a in "abcdefghij" for b in "abcdefghij"]
    assert len(costs("".join(f"cost {name} 1 1 1 1 1 1\n" for name in names))) == MOST
