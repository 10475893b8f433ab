# SPDX-License-Identifier: GPL-2.0-or-later
"""The one way to run a process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reviewbot.host.process import CommandFailed, CommandTimeout, ToolMissing, background, environment, no_room, run
from reviewbot.model.errors import DiskFull


def test_output_status_and_environment() -> None:
    done = run(["sh", "-c", "echo out; echo err >&2; echo $MINE"], env={"MINE": "x"}, split=True)
    assert (done.output, done.errors, done.status) == ("out\nx\n", "err\n", 0)
    assert "SECRET" not in environment()


def test_nothing_of_the_users_environment_leaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    assert "secret" not in run(["env"]).output


def test_a_failure_carries_command_status_and_last_words() -> None:
    with pytest.raises(CommandFailed) as caught:
        run(["sh", "-c", "echo first; echo last words >&2; exit 3"])
    assert (caught.value.status, caught.value.tail.splitlines()[-1]) == (3, "last words")
    assert str(caught.value).endswith("exited with status 3: last words")


def test_a_log_is_bounded_and_the_command_ends_all_the_same(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = "head -c 3000000 /dev/zero | tr '\\0' x; echo end; cat >&2; exit 3"
    done = run(["sh", "-c", script], log=log, log_limit=1000, check=False, stdin=b"words")
    assert (done.status, log.read_bytes()) == (3, b"x" * 1000)
    run(["echo", "more"], log=log, log_limit=1000)
    assert log.read_bytes() == b"x" * 1000 + b"more\n"


def test_a_bounded_command_that_never_ends_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(CommandTimeout):
        run(["yes"], log=tmp_path / "log", log_limit=1000, timeout=0.5)
    assert (tmp_path / "log").stat().st_size == 1000


def test_a_missing_program_has_a_name() -> None:
    with pytest.raises(ToolMissing, match="no-such-program"):
        run(["no-such-program"])


def test_a_full_disk_is_no_mere_failure(small_disk: Path) -> None:
    with pytest.raises(DiskFull):
        run(["sh", "-c", "head -c 1G /dev/zero > full"], cwd=small_disk)
    (small_disk / "full").unlink()
    said = "write error: No space left on device"
    with pytest.raises(DiskFull):  # what failed for lack of room was removed again
        run(["sh", "-c", f"echo '{said}' >&2; exit 1"], cwd=small_disk)


def test_words_alone_fill_no_disk(tmp_path: Path) -> None:
    if not no_room(tmp_path, said="No space left on device"):
        with pytest.raises(CommandFailed):
            run(["sh", "-c", "echo 'cp: write error: No space left on device' >&2; exit 1"], cwd=tmp_path)
    assert not no_room(tmp_path / "not" / "there") and not no_room(Path("/proc"))


def test_a_timeout_kills_the_children_too(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    with pytest.raises(CommandTimeout):
        run(["sh", "-c", f"sleep 1000 & echo $! > {pid}; wait"], timeout=0.5)
    assert ends(int(pid.read_text()))


def test_the_log_grows_while_the_process_runs_and_is_appended_to(tmp_path: Path) -> None:
    log = tmp_path / "deep" / "log"
    run(["echo", "one"], log=log)
    run(["echo", "two"], log=log)
    assert log.read_text() == "one\ntwo\n"


def test_a_background_process_ends_with_its_block() -> None:
    with background(["sh", "-c", "trap '' TERM; sleep 1000"]) as process:
        assert process.poll() is None
    assert process.poll() is not None


def test_no_process_outlives_a_killed_parent(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = (
        f"from reviewbot.host.process import run; run(['sh', '-c', 'echo $$ > {pid}; exec sleep 1000'], timeout=2000)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script])
    until = time.monotonic() + 20
    while not (pid.exists() and pid.read_text().strip()) and time.monotonic() < until:
        time.sleep(0.05)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert ends(int(pid.read_text()))


def ends(pid: int) -> bool:
    """Whether it is gone soon: on a crowded machine a process that was killed may take a while to end."""
    until = time.monotonic() + 10.0
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.05)
    return not alive(pid)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
