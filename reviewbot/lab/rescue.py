# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine whose agent does not answer, looked at from outside before it is killed."""

import asyncio
import contextlib
import time
from typing import Any

from qemu.qmp import QMPClient, QMPError

from reviewbot.lab.channel import number, text
from reviewbot.lab.console import EXCERPT
from reviewbot.lab.machine import Places
from reviewbot.lab.recorder import Recorder
from reviewbot.lab.wires import short_path

KEYS = "9wlt"
"""Of the kernel's magic SysRq: say everything on the console; blocked tasks, what the CPUs do, all tasks."""
_KEY = b"\x0f"
"""Ctrl-O on a virtio console is SysRq."""
QUIET = 2.0
"""Seconds without a new word on the console, after which the kernel has said all it will to a key."""
LIMIT = 8.0
"""Seconds for the kernel to say it."""


async def last_look(qmp: QMPClient, places: Places, console: Recorder) -> tuple[str, str]:
    """The machine's state as QEMU names it (`running`, `internal-error`, …), and the registers of all its CPUs.

    What the kernel answers to SysRq is on the console. Each of them may be empty; takes half a minute at most.
    """
    status = await _ask(qmp, "query-status")
    state = str(status.get("status", "")) if isinstance(status, dict) else ""
    registers = await _ask(qmp, "human-monitor-command", {"command-line": "info registers -a"})
    await _sysrq(places, console)
    return state, f"state: {state}\n{registers if isinstance(registers, str) else ''}".replace("\r", "")


async def _ask(qmp: QMPClient, command: str, arguments: dict[str, object] | None = None) -> object:
    try:
        return await asyncio.wait_for(qmp.execute(command, arguments), 3.0)
    except (QMPError, OSError, TimeoutError):
        return None


async def _sysrq(places: Places, console: Recorder) -> None:
    with contextlib.suppress(OSError):
        with short_path(places.keyboard) as path:
            _, writer = await asyncio.open_unix_connection(path)
        try:
            for key in KEYS:
                writer.write(_KEY + key.encode())
                await writer.drain()
                await _until_quiet(console)
        finally:
            writer.close()


async def _until_quiet(console: Recorder) -> None:
    started = changed = time.monotonic()
    size = console.seen
    while time.monotonic() - changed < QUIET and time.monotonic() - started < LIMIT:
        await asyncio.sleep(0.1)
        console.pump()
        if console.seen != size:
            size, changed = console.seen, time.monotonic()


def what_hung(hang: dict[str, Any], done: dict[str, Any]) -> str:
    """What the agent found, and what ended the step; the first lines say how."""
    because = ", since it did not exit when its fuse connections were aborted" if text(done, "aborted", 100) else ""
    ends = {"abort": "exited when its fuse connections were aborted", "kill": f"was sent SIGKILL{because}"}
    how = ends.get(text(done, "by"), "")
    unclean = text(done, "unclean", 300)
    still = number(hang, "still")
    stood = f"no progress for {still:.0f} s while a request or a task is blocked" if still else ""
    lines = [stood, how, f"the machine was abandoned: {unclean}" if unclean else "", text(hang, "text", EXCERPT)]
    return "\n".join(line for line in lines if line)[:EXCERPT]
