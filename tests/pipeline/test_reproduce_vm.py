# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo's run once more: a shell for a script and for a person, one test again, and QEMU without us."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.machines import DemoRun

pytestmark = pytest.mark.vm
BRACKETS = re.compile("\x1b\\[\\?2004[hl]")
"""What a shell says to a terminal before and after it reads a line."""
PATIENCE = 300.0
"""Seconds for what takes a few: only a test that fails waits for them."""


def reviewbot(run: DemoRun, *arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
    assert run.status == 0
    return subprocess.run(
        [sys.executable, "-m", "reviewbot", *arguments], input=said, capture_output=True, text=True, check=False,
        cwd=ROOT, env={**os.environ, "REVIEWBOT_DATA": str(run.data)},
    )  # fmt: skip


class Terminal:
    """A program with a terminal, and what is typed and seen there."""

    def __init__(self, argv: list[str], **env: str) -> None:
        self.end, slave = pty.openpty()
        self.resize(33, 77)
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.seen = ""
        self.process = subprocess.Popen(
            argv,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=ROOT,
            env={**os.environ, "TERM": "vt100", **env},
            start_new_session=True,
        )

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.end, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: str) -> None:
        os.write(self.end, keys.encode())

    def wait(self, pattern: str) -> str:
        """What is seen, up to and with the pattern, since the last call."""
        until = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.seen)):
            assert time.monotonic() < until, f"{pattern!r} never came: {self.seen[-2000:]}"
            if select.select([self.end], [], [], 0.2)[0]:
                self.seen += os.read(self.end, 65536).decode(errors="replace")
                self.seen = BRACKETS.sub("", self.seen)
            else:
                assert self.process.poll() is None, f"it ended before {pattern!r}: {self.seen[-2000:]}"
        seen, self.seen = self.seen[: found.end()], self.seen[found.end() :]
        return seen

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        os.close(self.end)
        os.close(self.slave)


def test_a_script_gets_what_its_commands_say_and_hears_of_a_crash(demo_run: DemoRun) -> None:
    script = """uname -r; echo trouble >&2; read line; echo "read $line"
the next line
blockdev --getsize64 /dev/disk/by-serial/TEST_DEV; dumpe2fs -h /dev/disk/by-serial/TEST_DEV 2>/dev/null | grep magic
mount -t fuse.ext4 /dev/disk/by-serial/TEST_DEV /mnt/test && ls /mnt/test; head -c 300000 /dev/zero | tr '\\0' x | wc -c
head -c 300000 /dev/zero | tr '\\0' y; echo; sync; echo c > /proc/sysrq-trigger; sleep 60
"""
    done = reviewbot(demo_run, "shell", "latest", "--leg", "fuse2fs", said=script)
    release = demo_run.lock.artifacts.fact("kernel.release")
    lines = done.stdout.splitlines()
    size = demo_run.lock.conditions and demo_run.lock.conditions.disks[0].size
    assert lines[:3] == [release, "read the next line", str(size)], done.stdout[:2000] + done.stderr
    assert "0xEF53" in lines[3] and "lost+found" in lines[4]
    assert lines[-2:] == ["300000", "y" * 300_000]
    assert done.stderr.splitlines()[0] == "trouble"
    assert done.returncode == 4
    assert "the machine was lost: kernel panic: sysrq triggered crash" in done.stderr.splitlines()[-1]


def test_a_person_gets_a_terminal_and_has_it_back_afterwards(demo_run: DemoRun) -> None:
    assert demo_run.status == 0
    shell = Terminal(
        [sys.executable, "-m", "reviewbot", "shell", demo_run.folder.name[:-1], "--leg", "ext4"],
        REVIEWBOT_DATA=str(demo_run.data),
    )
    try:
        assert "Ctrl-]" in shell.wait(r"ext4:~# ")
        shell.type("stty size; echo $TERM; tty\r")
        assert re.search(r"33 77\s+vt100\s+/dev/pts/0", shell.wait(r"pts/0\s+ext4:~# "))
        shell.type("sh -c 'echo be\"\"gun; exec sleep 1000'\r")
        shell.wait("begun")
        shell.type("\x03")
        shell.wait(r"ext4:~# ")
        shell.type("echo status=$?\r")
        shell.wait(r"status=130\s+ext4:~# ")
        shell.resize(44, 99)
        shell.process.send_signal(signal.SIGWINCH)
        shell.type("until [ \"$(stty size)\" = '44 99' ]; do sleep 0.1; done; echo resi''zed\r")
        shell.wait("resized")
        shell.type("exit 5\r")
        assert shell.process.wait(PATIENCE) == 5
        assert termios.tcgetattr(shell.slave) == shell.before
    finally:
        shell.close()


def test_a_check_of_smoke_again_says_what_it_said(demo_run: DemoRun) -> None:
    done = reviewbot(demo_run, "reproduce", demo_run.folder.name, "smoke/mount", "--leg", "fuse2fs", "--json")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert (row["leg"], row["suite"], row["test"]) == ("fuse2fs", "smoke", "mount")
    assert row["recorded"]["outcome"] == "PASS" and row["notes"] == []
    (again,) = row["results"]
    assert again["outcome"] == "PASS"
    logs = demo_run.folder / again["log"]
    assert (logs / "output.txt").exists()
    assert (logs.parents[1] / "fuse2fs-smoke" / "qemu.cmd").exists()


def test_the_printed_command_boots_to_a_shell_that_needs_nothing_of_ours(demo_run: DemoRun, tmp_path: Path) -> None:
    printed = reviewbot(demo_run, "reproduce", "latest", "smoke/mount", "--leg", "fuse2fs", "--print-command")
    assert printed.returncode == 0, printed.stderr
    bare = Terminal(["sh", "-c", f"cd {tmp_path} && {printed.stdout}"])
    try:
        assert "mount -t fuse.ext4" in bare.wait(r"fuse2fs:~# ")
        bare.type("run smoke mkfs && run smoke mount && grep -c ' /mnt/test fuse.ext4 ' /proc/mounts; tty\r")
        bare.wait(r"[\r\n]1\s+/dev/ttyS0\s+fuse2fs:~# ")
        bare.type("exit\r")
        assert bare.process.wait(PATIENCE) == 0
    finally:
        bare.close()
