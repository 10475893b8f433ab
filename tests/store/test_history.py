# SPDX-License-Identifier: GPL-2.0-or-later
"""What the database of outcomes keeps, and what happens to one that cannot be used."""

import os
import pwd
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reviewbot.store.history import Entry, History, HistoryBroken

ONE = Entry(
    run="20261103-101502-7a3f",
    host="h",
    accelerator="tcg",
    side="base",
    number=1,
    leg="ext4",
    suite="fstests",
    test="generic/013",
    inputs="ab",
    outcome="FAIL",
    reason="output differs",
    seconds=3.5,
)


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


OLD = """
CREATE TABLE schema_version (version INTEGER NOT NULL);
INSERT INTO schema_version VALUES (1);
CREATE TABLE outcomes (
    id INTEGER NOT NULL PRIMARY KEY, "when" DATETIME NOT NULL, run VARCHAR(64) NOT NULL, host VARCHAR(255) NOT NULL,
    accelerator VARCHAR(16) NOT NULL, side VARCHAR(8) NOT NULL, number INTEGER NOT NULL, leg VARCHAR(100) NOT NULL,
    suite VARCHAR(32) NOT NULL, test VARCHAR(200) NOT NULL, inputs VARCHAR(64) NOT NULL, outcome VARCHAR(16) NOT NULL,
    reason VARCHAR(500) NOT NULL, fingerprint VARCHAR(500) NOT NULL, seconds FLOAT NOT NULL
);
INSERT INTO outcomes VALUES (1, '2026-11-03 10:15:02.000000', 'old-run', 'h', 'tcg', 'base', 1, 'ext4', 'fstests',
    'generic/013', 'ab', 'FAIL', 'output differs', '', 3.5);
"""
"""What the first version of the tables looked like, with one outcome."""


def test_tables_of_an_earlier_version_are_brought_up_to_date_and_lose_nothing(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "history.sqlite") as connection:
        connection.executescript(OLD)
    history = History(tmp_path / "history.sqlite")
    history.add([replace(ONE, stack="kernel 0123")])
    assert [(one.run, one.stack) for one in history.of_inputs("ab")] == [("old-run", ""), (ONE.run, "kernel 0123")]
    assert len(History(tmp_path / "history.sqlite").of_inputs("ab")) == 2, "once is enough"


def test_outcomes_of_other_runs_come_oldest_first(tmp_path: Path) -> None:
    history = History(tmp_path / "history.sqlite")
    start = datetime(2026, 11, 3, tzinfo=UTC).replace(tzinfo=None)
    rows = [replace(ONE, run=f"run-{n}", when=start + timedelta(days=n)) for n in range(6)]
    history.add([*rows, replace(ONE, run="run-7", suite="smoke"), replace(ONE, run="run-8", leg="fuse2fs")])
    found = history.others("ext4", "fstests", "generic/013", "run-5", most=3)
    assert [entry.run for entry in found] == ["run-2", "run-3", "run-4"]


def test_a_database_that_is_not_there_is_said_without_its_password() -> None:
    pytest.importorskip("psycopg")
    history = History("postgresql+psycopg://ci:secret@127.0.0.1:9/reviewbot")
    with pytest.raises(HistoryBroken) as caught:
        history.of_inputs("ab")
    assert "\n" not in str(caught.value) and "secret" not in str(caught.value) and "127.0.0.1" in str(caught.value)


def test_a_driver_that_is_not_installed_is_named() -> None:
    with pytest.raises(HistoryBroken, match="its driver oracledb is not installed") as caught:
        History("oracle+oracledb://x/y").of_inputs("ab")
    assert caught.value.hint == "`history:` of the site file names it", "nobody can move a server away"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of an empty database of a PostgreSQL server that is this test's own."""
    pytest.importorskip("psycopg")
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs or os.geteuid() != 0:
        pytest.skip("needs postgresql, and root to run it as another user")
    user = pwd.getpwnam("postgres")
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    os.chown(folder, user.pw_uid, user.pw_gid)
    tools, data = programs[-1], folder / "data"

    def call(*words: object, out: int = subprocess.PIPE) -> None:
        argv = [str(word) for word in words]
        subprocess.run(argv, check=True, stdout=out, cwd=folder, user=user.pw_uid, group=user.pw_gid, extra_groups=[])

    call(tools / "initdb", "-A", "trust", "-D", data)
    settings = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
    call(tools / "pg_ctl", "-w", "-D", data, "-l", folder / "log", "-o", settings, "start", out=subprocess.DEVNULL)
    try:
        yield f"postgresql+psycopg://postgres@/postgres?host={folder}"
    finally:
        call(tools / "pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder)


def test_a_postgresql_server_serves_several_hosts_at_once(server: str) -> None:
    def write(number: int) -> None:
        History(server).add([replace(ONE, run=f"run-{number}"), replace(ONE, run=f"run-{number}", number=2)])

    with ThreadPoolExecutor(4) as pool:  # all of them find no tables
        list(pool.map(write, range(12)))
    history = History(server)
    assert len(history.of_inputs("ab")) == 24
    assert len(history.others("ext4", "fstests", "generic/013", "run-0")) == 22
    history.add([replace(ONE, run="run-0", outcome="PASS")])
    assert {entry.outcome for entry in history.of_test("generic/013")} == {"FAIL"}


@pytest.mark.parametrize("spoil", ["text", "folder", "folder of it is a file"])
def test_who_can_do_without_is_told_once_and_goes_on_with_nothing(tmp_path: Path, spoil: str) -> None:
    place = tmp_path / "data" / "history.sqlite"
    if spoil == "folder of it is a file":
        place.parent.write_text("")
    else:
        place.parent.mkdir()
        place.mkdir() if spoil == "folder" else place.write_text("not a database\n" * 100)
    told: list[HistoryBroken] = []
    history = History(place, on_broken=told.append)
    history.add([ONE])
    history.add([ONE])
    assert history.of_inputs("ab") == history.of_test("generic/013") == ()
    assert [error.where.endswith("history.sqlite") for error in told] == [True]
