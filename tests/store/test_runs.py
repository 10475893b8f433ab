# SPDX-License-Identifier: GPL-2.0-or-later
"""Folders of runs: which one is the latest, which ones are being made, and what becomes of one that is taken away."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reviewbot.store import RunGone, Runs

MAKES_A_RUN = """
import sys
from pathlib import Path
from reviewbot.store import Runs
with Runs(Path(sys.argv[1])).begin("reviewbot 1", ["review", "a@b"]) as run:
    print(run.id, flush=True)
    sys.stdin.readline()
"""


@contextmanager
def another_process(root: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """One that makes a run until it reads a line; and the run's id."""
    process = subprocess.Popen(
        [sys.executable, "-c", MAKES_A_RUN, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout and process.stdin
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def test_a_run_is_running_until_its_process_ends_it(tmp_path: Path) -> None:
    with another_process(tmp_path) as (process, run):
        folder = Runs(tmp_path).find(run)
        assert folder.running()
        begun = folder.record()
        assert begun and begun.ended is None and begun.command == ("review", "a@b")
        process.communicate("\n")
    assert not folder.running()
    over = folder.record()
    assert over and over.ended is not None and over.ended >= over.started


def test_a_killed_run_is_running_no_more(tmp_path: Path) -> None:
    with another_process(tmp_path) as (process, run):
        process.send_signal(signal.SIGKILL)
        process.wait()
        folder = Runs(tmp_path).find(run)
        assert not folder.running()
        record = folder.record()
        assert record and record.ended is None
        log = folder.logs("build") / "kernel.log"
        log.touch()
        os.utime(log, (0, (last := record.started.timestamp() + 1200)))
        with folder.abandoned() as nobody:
            assert nobody
            folder.close()
        closed = folder.record()
        assert closed and closed.ended and closed.ended.timestamp() == int(last), "it worked as long as its logs say"


def test_a_folder_that_somebody_works_in_is_not_abandoned(tmp_path: Path) -> None:
    with another_process(tmp_path) as (process, run):
        folder = Runs(tmp_path).find(run)
        with folder.abandoned() as nobody:
            assert not nobody
        process.communicate("\n")
    with folder.kept(), folder.abandoned() as nobody:
        assert not nobody
    with folder.abandoned() as nobody:
        assert nobody


def test_who_only_looks_does_not_make_a_run_running(tmp_path: Path) -> None:
    folder = Runs(tmp_path).create()
    assert not folder.running()
    with folder.kept():
        assert not folder.running()


def test_the_latest_run_is_the_last_one_made_whatever_the_clock_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Runs(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("reviewbot.store.runs.time.gmtime", lambda: time.struct_time((2099, 1, 1, 0, 0, 0, 3, 1, 0)))
        wrong = runs.create()
    right = runs.create()
    assert wrong.id > right.id
    assert runs.find("latest") == right
    assert [run.id for run in runs.list()] == [wrong.id, right.id]
    assert (tmp_path / "latest").readlink() == Path(right.id)


def test_runs_of_versions_that_kept_no_order_come_first(tmp_path: Path) -> None:
    (tmp_path / "20990101-000000-aaaa").mkdir()
    new = Runs(tmp_path).create()
    assert [run.id for run in Runs(tmp_path).list()] == ["20990101-000000-aaaa", new.id]


def test_the_latest_run_is_one_that_is_there(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    first, second = runs.create(), runs.create()
    shutil.rmtree(second.path)
    assert runs.find("latest") == first


@pytest.mark.parametrize("again", [False, True])
def test_a_run_whose_folder_is_taken_away_fails_instead_of_leaving_half_of_it(tmp_path: Path, again: bool) -> None:
    with pytest.raises(RunGone, match="was removed while it ran"), Runs(tmp_path).begin("reviewbot 1") as run:
        run.write("mails.mbox", "x")
        shutil.rmtree(run.path)
        if again:  # somebody who had a path of it made the folder anew
            run.path.mkdir()
        run.write("verdict.json", "{}")
    assert not (run.path / "verdict.json").exists()


def test_a_folder_that_was_taken_away_is_the_reason_of_what_failed_for_lack_of_it(tmp_path: Path) -> None:
    with pytest.raises(RunGone), Runs(tmp_path).begin("reviewbot 1") as run:
        shutil.rmtree(run.path)
        (run.path / "logs" / "x").write_text("")


def test_an_error_of_another_kind_is_not_covered(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), Runs(tmp_path).begin("reviewbot 1"):
        tmp_path.write_text("")
