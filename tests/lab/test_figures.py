# SPDX-License-Identifier: GPL-2.0-or-later
"""Figures of a guest that may lie."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reviewbot.lab.figures import MAX_OPCODES, server_figures
from reviewbot.model.figures import ServerFigures

TOLD = {"cpu_seconds": 1.5, "pss_kib": 34000, "pss_samples": 3, "mounts": 2, "umounts": 2, "umount_seconds_max": 0.3,
        "umount_seconds_total": 0.4, "umounts_late": 0, "requests": {"GETATTR": 2, "LOOKUP": 7, "4097": 1}}  # fmt: skip
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(sorted(TOLD)), inner),
    max_leaves=20,
)


def test_what_the_agent_tells_is_taken_and_the_most_frequent_request_comes_first() -> None:
    figures = server_figures(TOLD)
    assert figures == ServerFigures.model_validate(TOLD)
    assert figures and list(figures.requests or {}) == ["LOOKUP", "GETATTR", "4097"]


def test_unknown_stays_unknown_and_is_never_zero() -> None:
    assert server_figures({"cpu_seconds": None, "pss_kib": 0, "requests": None}) == ServerFigures()
    assert server_figures(None) is None


def test_a_liar_gets_nowhere() -> None:
    many = {f"OP{number}": 1 for number in range(5000)}
    lies = {**TOLD, "cpu_seconds": float("nan"), "pss_kib": -5, "umounts_late": 9, "requests": {**many, "a b\n": 3}}
    figures = server_figures(lies)
    assert figures and (figures.cpu_seconds, figures.pss_kib, figures.umounts_late) == (None, None, 2)
    assert len(figures.requests or {}) == MAX_OPCODES


@given(st.dictionaries(st.text() | st.sampled_from(sorted(TOLD)), JSON) | JSON)
def test_whatever_it_says_can_be_written_and_read_again(told: object) -> None:
    figures = server_figures(told)
    assert figures is None or ServerFigures.model_validate_json(figures.model_dump_json()) == figures
