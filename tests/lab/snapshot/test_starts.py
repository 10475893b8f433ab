# SPDX-License-Identifier: GPL-2.0-or-later
"""Booted or restored: chosen by what both took on this host."""

from pathlib import Path

import pytest

from reviewbot.lab.snapshot.starts import FORGOTTEN, LAST, Starts, StartsFile

MACHINE = "host 6.1 qemu 7.2, tcg 2048 MiB 2 CPUs"


@pytest.mark.parametrize(
    ("booted", "restored", "restore"),
    [
        ((), (), True),
        ((5.0,), (0.3,), True),
        ((5.0,), (9.0, 9.0), True),  # its host may have been busy
        ((5.0,), (9.0, 9.0, 9.0), False),
        ((5.0,), (9.0, 0.3, 0.3), True),
        ((0.4, 0.4, 9.0), (0.5, 0.5, 0.5), False),
        ((), (9.0, 9.0, 9.0), True),
    ],
)
def test_a_machine_is_booted_only_if_that_was_measured_to_be_no_slower(
    booted: tuple[float, ...], restored: tuple[float, ...], restore: bool
) -> None:
    assert Starts(booted, restored).restore is restore


def test_figures_are_kept_for_each_kind_of_machine(tmp_path: Path) -> None:
    starts = StartsFile(tmp_path)
    assert starts.get(MACHINE) == Starts()
    starts.add(MACHINE, booted=5.12345)
    starts.add(MACHINE, restored=0.25)
    starts.add("host 6.1 qemu 8.0, tcg 512 MiB 1 CPUs", booted=4.0)
    found = StartsFile(tmp_path).get(MACHINE)
    assert (found.booted, found.restored) == ((5.123,), (0.25,))
    assert {name: s.booted for name, s in starts.of_host("host 6.1 qemu 7.2").items()} == {
        "tcg 2048 MiB 2 CPUs": (5.123,)
    }


def test_the_last_figures_count(tmp_path: Path) -> None:
    for seconds in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0):
        StartsFile(tmp_path).add(MACHINE, booted=seconds)
    assert StartsFile(tmp_path).get(MACHINE).booted == (3.0, 4.0, 5.0, 6.0, 7.0)[-LAST:]


def test_restoring_is_tried_again_when_the_answer_is_old(tmp_path: Path) -> None:
    starts = StartsFile(tmp_path)
    starts.add(MACHINE, booted=1.0)
    for _ in range(3):
        starts.add(MACHINE, restored=20.0)
    tried = starts.get(MACHINE).tried
    assert not starts.get(MACHINE, tried + FORGOTTEN).restore
    assert starts.get(MACHINE, tried + FORGOTTEN + 1) == Starts((1.0,))


@pytest.mark.parametrize("content", ["", "[1]", '{"a": 1}', '{"a": {"booted": ["x"]}}', "\0"])
def test_a_damaged_file_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "starts.json").write_text(content)
    assert StartsFile(tmp_path).get(MACHINE) == Starts()
    StartsFile(tmp_path).add(MACHINE, booted=1.0)
    assert StartsFile(tmp_path).get(MACHINE).booted == (1.0,)


@pytest.mark.parametrize(
    ("starts", "never", "words"),
    [
        (Starts((5.82,), (0.26,)), False, "restored from a saved one (restored: 0.3 s, booted: 5.8 s)"),
        (Starts((5.82,), (0.26,)), True, "booted (restored: 0.3 s, booted: 5.8 s)"),
        (Starts((1.0,), (2.0, 2.0, 2.0)), False, "booted (restored: 2.0 s, booted: 1.0 s)"),
        (Starts((1.0,)), False, "restored from a saved one (restored: not measured yet, booted: 1.0 s)"),
    ],
)
def test_both_figures_are_told_with_what_was_chosen(starts: Starts, never: bool, words: str) -> None:
    assert starts.chosen(never=never) == words
