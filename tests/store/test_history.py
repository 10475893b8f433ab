# SPDX-License-Identifier: GPL-2.0-or-later
"""What the database of outcomes keeps, and what happens to one that cannot be used."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reviewbot.store import Entry, History, HistoryBroken

ONE = Entry(
    run="20261103-101502-7a3f", host="h", accelerator="tcg", side="base", number=1, leg="ext4", suite="fstests",
    test="generic/013", inputs="ab", outcome="FAIL", reason="output differs", seconds=3.5,
)  # fmt: skip


def plain(entries: tuple[Entry, ...]) -> list[Entry]:
    """Without the time at which they were recorded."""
    return [replace(entry, when=None) for entry in entries]


def test_outcomes_are_found_by_their_inputs_oldest_first(tmp_path: Path) -> None:
    history = History(tmp_path / "a" / "history.sqlite")
    second = replace(ONE, number=2, outcome="PASS")
    history.add([ONE, second, replace(ONE, number=3, inputs="cd")])
    assert plain(History(tmp_path / "a" / "history.sqlite").of_inputs("ab")) == [ONE, second]


def test_an_outcome_is_recorded_once_and_the_first_one_stands(tmp_path: Path) -> None:
    history = History(tmp_path / "history.sqlite")
    history.add([ONE])
    history.add([replace(ONE, outcome="PASS"), replace(ONE, number=2)])
    assert [entry.outcome for entry in history.of_inputs("ab")] == ["FAIL", "FAIL"]


def test_the_last_outcomes_of_a_test_come_newest_first_of_one_leg_or_all(tmp_path: Path) -> None:
    history = History(tmp_path / "history.sqlite")
    start = datetime(2026, 11, 3, tzinfo=UTC).replace(tzinfo=None)
    rows = [replace(ONE, number=n, leg=("ext4", "fuse2fs")[n % 2], when=start + timedelta(days=n)) for n in range(6)]
    history.add(rows)
    assert [entry.number for entry in history.of_test("generic/013", most=3)] == [5, 4, 3]
    assert [entry.number for entry in history.of_test("generic/013", leg="ext4")] == [4, 2, 0]


def test_several_runs_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    def write(number: int) -> None:
        History(tmp_path / "history.sqlite").add([replace(ONE, run=f"run-{number}")])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(40)))
    assert len(History(tmp_path / "history.sqlite").of_inputs("ab")) == 40


def test_words_of_a_guest_are_data(tmp_path: Path) -> None:
    history = History(tmp_path / "history.sqlite")
    evil = replace(ONE, reason="'); DROP TABLE outcomes; --" + "x" * 1000, test="generic/0'1")
    history.add([evil])
    (found,) = history.of_test("generic/0'1")
    assert found.reason == evil.reason[:500]


def test_a_file_that_is_no_database_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "history.sqlite").write_text("not a database, and longer than the header of one would be\n" * 20)
    with pytest.raises(HistoryBroken, match="not a database"):
        History(tmp_path / "history.sqlite").add([ONE])


def test_tables_of_a_later_version_are_refused(tmp_path: Path) -> None:
    History(tmp_path / "history.sqlite").add([ONE])
    with sqlite3.connect(tmp_path / "history.sqlite") as connection:
        connection.execute("UPDATE schema_version SET version = 99")
    with pytest.raises(HistoryBroken, match="version 99"):
        History(tmp_path / "history.sqlite").of_inputs("ab")
