# SPDX-License-Identifier: GPL-2.0-or-later
"""Boot a machine and keep it in files; let another go on from there.

The guest's memory is a file that QEMU maps, so it takes no part in what QEMU calls a migration (`x-ignore-shared`):
only the state of the devices is written, some 650 KB, and a restored machine reads of its memory what it touches.
"""

import asyncio
import contextlib
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from qemu.qmp import QMPClient, QMPError

from reviewbot.host.files import remove_tree, sha256_file
from reviewbot.lab.channel import Lines
from reviewbot.lab.console import heard
from reviewbot.lab.held import held
from reviewbot.lab.launch import launched
from reviewbot.lab.machine import Memory, Places, command, make_disks
from reviewbot.lab.ports import (
    FIRST_WORD,
    LAST_WORDS,
    Lost,
    Port,
    Silent,
    connect_qmp,
    disconnect,
    ended,
    greeting,
    or_ended,
)
from reviewbot.lab.recorder import last
from reviewbot.lab.wires import Wires, wired
from reviewbot.model import protocol
from reviewbot.model.artifacts import Fact
from reviewbot.model.lab import GuestJob

MEMORY, DEVICES = "memory", "devices"
GIVEN = "devices"
"""Name that QEMU knows the file by that it gets."""
CONSOLES = ("console.log", "serial.log")
WARM_LIMIT = 90.0
"""Seconds for the guest to prepare what all its copies will need."""
LIMIT = 20.0
"""Seconds for the devices to be saved, or restored."""


def save(
    job: GuestJob, accelerator: str, folder: Path, booted: Callable[[float], None], stop: threading.Event | None = None
) -> Mapping[str, Fact]:
    """Boot the job's machine, run nothing of the job, and keep it in `folder`.

    Files: `memory` (sparse), `devices`, and what the kernel said. booted: told the seconds from QEMU's start to the
    agent's first word. stop: once it is set, the machine is ended, which raises Lost.

    Facts: those that `is_whole` needs; or `why` no machine shall begin here, when its kernel splatted, which each run
    of it must show, or does not come up. Raises Lost and OSError for what may go better the next time.
    """
    with tempfile.TemporaryDirectory(prefix="reviewbot-") as sockets:
        places = Places(Path(sockets), folder / "disks", folder)
        make_disks(job, places)
        why = ""
        folder.chmod(0o700)
        memory = Memory(folder / MEMORY, restored=False)
        # Each machine that begins here gets a copy of the logs, so they are short.
        with wired(folder, places.keyboard, held(job, places, memory), short=True) as wires:
            argv = command(job, accelerator, places, memory, wires.numbers)
            with launched(argv, wires, job.memory, job.disks) as running:
                try:
                    asyncio.run(
                        _boot_and_save(running.process, wires, folder / DEVICES, booted, stop or threading.Event())
                    )
                except Silent as silence:
                    why = str(silence)
                except Lost:
                    if not _splat(folder):
                        raise
        remove_tree(places.disks)
    if why := _splat(folder) or why:
        (folder / MEMORY).unlink(missing_ok=True)
        return {"why": why}
    return facts_of(folder)


def facts_of(folder: Path) -> Mapping[str, Fact]:
    """By which its files are known again. Nobody reads all of the memory for that: who wrote to it is seen."""
    return {MEMORY: _stamp(folder / MEMORY), DEVICES: sha256_file(folder / DEVICES)}


def is_whole(folder: Path, facts: Mapping[str, Fact]) -> bool:
    """Whether the files are those that were saved."""
    try:
        return facts == facts_of(folder)
    except OSError:
        return False


def _stamp(path: Path) -> str:
    stat = path.stat()
    # Nobody can set the time of the change, as the owner of a file can that of its last writing.
    return f"{stat.st_size} bytes of {stat.st_mtime_ns}, changed {stat.st_ctime_ns}"


def _splat(folder: Path) -> str:
    """What of the kernel's words all its machines must have in their own logs, or empty."""
    found = heard(*(last(folder / name) for name in CONSOLES))
    words = found.line or str(found.fields["allowed"]).partition("\n")[0]
    return f"its kernel splatted while it booted: {words}" if words else ""


async def _boot_and_save(
    process: "subprocess.Popen[bytes]",
    wires: Wires,
    devices: Path,
    booted: Callable[[float], None],
    stop: threading.Event,
) -> None:
    started = time.monotonic()
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(wires.recording())
        watch = asyncio.create_task(ended(process))
        stack.push_async_callback(wires.hear_out, watch, LAST_WORDS)
        stack.callback(asyncio.create_task(_end_when_told(process, stop)).cancel)
        qmp = QMPClient("saved")
        await or_ended(connect_qmp(qmp, wires.ports["qmp"]), watch, FIRST_WORD, "QEMU did not start")
        stack.push_async_callback(disconnect, qmp)
        control = Port(*await asyncio.open_unix_connection(sock=wires.ports["control"]), watch)
        stack.callback(control.close)
        lines = Lines("")
        control.say(greeting(lines.nonce))
        await control.next(lines, FIRST_WORD, "no message from the agent")
        booted(time.monotonic() - started)
        control.say({"op": protocol.WARM})
        await control.next(lines, WARM_LIMIT, "the guest was not ready to be saved")
        await or_ended(_save(qmp, devices), watch, LIMIT, "the machine was not saved")


async def _end_when_told(process: "subprocess.Popen[bytes]", stop: threading.Event) -> None:
    while not stop.is_set():
        await asyncio.sleep(0.1)
    process.terminate()


async def _save(qmp: QMPClient, devices: Path) -> None:
    try:
        await _leave_memory_alone(qmp)
        await qmp.execute("stop")
        with devices.open("wb") as file:
            await _give(qmp, file.fileno())
        await qmp.execute("migrate", {"uri": f"fd:{GIVEN}"})
        while (state := await _migration(qmp)) != "completed":
            if state in ("failed", "cancelled"):
                raise Lost(f"QEMU could not save the machine ({state})")
            await asyncio.sleep(0.01)
    except (QMPError, OSError) as error:
        raise Lost(f"QEMU could not save the machine: {error}") from error


async def restore(qmp: QMPClient, devices: Path) -> None:
    """Give a machine that waits for them the state of its devices, and let it go on. Raises Lost."""
    try:
        await _leave_memory_alone(qmp)
        with devices.open("rb") as file:
            await _give(qmp, file.fileno())
        await qmp.execute("migrate-incoming", {"uri": f"fd:{GIVEN}"})
        while await _status(qmp) == "inmigrate":
            await asyncio.sleep(0.005)
        await qmp.execute("cont")
    except (QMPError, OSError) as error:
        raise Lost(f"QEMU could not restore the machine: {error}") from error


async def _give(qmp: QMPClient, descriptor: int) -> None:
    """QEMU may start no process and open no file of the host, so it gets the open file."""
    qmp.send_fd_scm(descriptor)
    await qmp.execute("getfd", {"fdname": GIVEN})


async def _leave_memory_alone(qmp: QMPClient) -> None:
    capability = {"capability": "x-ignore-shared", "state": True}
    await qmp.execute("migrate-set-capabilities", {"capabilities": [capability]})


async def _migration(qmp: QMPClient) -> str:
    answer = await qmp.execute("query-migrate")
    return str(answer.get("status")) if isinstance(answer, dict) else ""


async def _status(qmp: QMPClient) -> str:
    answer = await qmp.execute("query-status")
    return str(answer.get("status")) if isinstance(answer, dict) else ""
