# SPDX-License-Identifier: GPL-2.0-or-later
"""Who waits for a lock is told for whom."""

import subprocess
import sys
import threading
from pathlib import Path

import filelock
import pytest

from reviewbot.host.locks import holder, locked, shared

_HOLD = """
import sys, time
from pathlib import Path
from reviewbot.host.locks import locked
with locked(Path(sys.argv[1]), who="run A, which builds kernel"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_who_waits_is_told_of_the_holder_and_then_gets_the_lock(tmp_path: Path) -> None:
    lock, told = tmp_path / "x.lock", list[str]()
    with subprocess.Popen([sys.executable, "-c", _HOLD, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin and other.stdout and other.stdout.readline() == b"held\n"

        def waiting(who: str) -> None:
            told.append(who)
            assert other.stdin
            other.stdin.close()  # it goes on and ends

        with locked(lock, who="run B", waiting=waiting):
            assert told == ["run A, which builds kernel"]
            assert holder(lock) == "run B"
    assert holder(lock) == ""


def test_a_lock_that_is_free_is_taken_without_a_word(tmp_path: Path) -> None:
    def waiting(who: str) -> None:
        raise AssertionError(who)

    with locked(tmp_path / "x.lock", waiting=waiting), shared(tmp_path / "y.lock", waiting=waiting):
        pass


def test_a_holder_that_was_killed_is_not_named_for_the_next_one(tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    with subprocess.Popen([sys.executable, "-c", _HOLD, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout and other.stdout.readline() == b"held\n"
        other.kill()
    assert holder(lock) == "run A, which builds kernel", "nobody tidied up"
    with locked(lock):
        assert holder(lock) == ""


def test_shared_locks_go_together_and_not_with_an_exclusive_one(tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    with shared(lock), shared(lock), pytest.raises(filelock.Timeout), locked(lock, timeout=0):
        pass
    told = threading.Event()
    got = list[str]()

    def waiting(who: str) -> None:
        got.append(who)
        told.set()

    def reader() -> None:
        with shared(lock, waiting=waiting):
            got.append("shared")

    thread = threading.Thread(target=reader)
    with locked(lock, who="run A"):
        thread.start()
        assert told.wait(60)
        assert got == ["run A"]
    thread.join(60)
    assert got == ["run A", "shared"]
