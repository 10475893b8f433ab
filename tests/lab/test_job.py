# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of a step, by the words of its agent and the kernel's: without a machine."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from reviewbot.lab.accel import Accelerator
from reviewbot.lab.channel import Lines
from reviewbot.lab.job import _Files, _Lost, _Port, _Run
from reviewbot.lab.machine import Places
from reviewbot.model.lab import GuestJob, GuestStep, StepReply
from reviewbot.model.progress import silent

GOLDEN = Path(__file__).parents[1] / "golden" / "splats"
NONCE = "5e" * 16
STEP = GuestStep(name="smoke/fio", argv=("true",), timeout=1.0)
START = {"t": "start", "name": STEP.name}
DONE = {"t": "done", "name": STEP.name, "status": 0, "seconds": 1.5, "output": "fine\n"}
QUIET = "[    1.000000] EXT4-fs (vdc): mounted filesystem\n"


def log(name: str) -> str:
    return (GOLDEN / f"{name}.txt").read_text()


class Sink:
    """The way to the agent; its kernel says its last words when it gets an order."""

    def __init__(self, console: Path, dying: str = "") -> None:
        self.console, self.dying = console, dying

    def write(self, data: bytes) -> None:
        with self.console.open("a") as file:
            file.write(self.dying)

    def close(self) -> None:
        pass


class Guest:
    """One step of a guest that says what it is told to say, and then no more."""

    def __init__(self, folder: Path) -> None:
        self.logs, self.folder = folder / "machine", folder
        self.logs.mkdir()
        job = GuestJob(name="ext4", kernel="k", root="r", payload="p", steps=(STEP,))
        places = Places(folder, folder / "disks", self.logs)
        self.run = _Run(job, Accelerator("tcg", "a test"), places, folder, lambda reply: None, silent, NONCE)

    def step(self, *said: Mapping[str, Any], earlier: Mapping[str, Any] | None = None, dying: str = "") -> StepReply:
        """Its reply; of a guest that says nothing more, what is known of it."""
        try:
            return asyncio.run(self._step(said, earlier, dying))
        except _Lost:
            return self.run.replies[-1]

    async def _step(
        self, said: tuple[Mapping[str, Any], ...], earlier: Mapping[str, Any] | None, dying: str
    ) -> StepReply:
        watch = asyncio.create_task(asyncio.sleep(60))
        reader = asyncio.StreamReader()
        sink = cast(asyncio.StreamWriter, Sink(self.run.places.console, dying))
        port = _Port(reader, sink, watch)
        if earlier:
            port.waiting.append({"nonce": NONCE, **earlier})
        reader.feed_data(b"".join(json.dumps({"nonce": NONCE, **words}).encode() + b"\n" for words in said))
        reader.feed_eof()
        files = _Files(asyncio.StreamReader(), sink, NONCE, frozenset({STEP.name}), self.folder)
        try:
            return await self.run._step(STEP, 1.0, port, Lines(NONCE), files)
        finally:
            watch.cancel()
            files.close()


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    return Guest(tmp_path)


def test_a_quiet_kernel_is_no_splat(guest: Guest) -> None:
    reply = guest.step(START, DONE | {"dmesg": QUIET})
    assert (reply.status, reply.exit_status, reply.splat, reply.crash, reply.dmesg) == ("done", 0, "", "", QUIET)


@pytest.mark.parametrize(("name", "kind"), [("warn-7.0", "warn"), ("oops-null", "oops"), ("kmemleak", "kmemleak")])
def test_a_step_that_ended_while_the_kernel_splatted_is_a_crash(guest: Guest, name: str, kind: str) -> None:
    reply = guest.step(START, DONE | {"dmesg": QUIET + log(name)})
    assert (reply.status, reply.exit_status, reply.crash) == ("crash", 0, kind)
    assert reply.fingerprint.startswith(("drop_nlink:", "fuse_"))
    assert reply.splat_text and "EXT4-fs" not in reply.splat_text
    assert (Path(reply.files) / "dmesg.txt").read_text() == QUIET + log(name)


@pytest.mark.parametrize("name", ["hung-task", "oom"])
def test_what_alone_is_no_crash_is_told_only(guest: Guest, name: str) -> None:
    reply = guest.step(START, DONE | {"dmesg": log(name)})
    assert (reply.status, reply.crash) == ("done", name)


def test_what_the_kernel_said_between_two_steps_is_not_lost(guest: Guest) -> None:
    head, tail = log("warn-6.12")[:900], log("warn-6.12")[900:]
    reply = guest.step(START | {"dmesg": head}, DONE | {"dmesg": tail})
    assert (reply.status, reply.dmesg) == ("crash", head + tail)
    assert reply.fingerprint == "drop_nlink:fuse_entry_unlinked:fuse_unlink:vfs_unlink:do_unlinkat"


def test_a_limit_that_struck_is_a_timeout_whatever_the_kernel_said(guest: Guest) -> None:
    reply = guest.step(START, DONE | {"timeout": True, "dmesg": log("warn-7.0")})
    assert (reply.status, reply.crash) == ("timeout", "warn")


@pytest.mark.parametrize(("dying", "status"), [("", "lost"), (log("panic-after-oops"), "crash"), (QUIET, "lost")])
def test_a_machine_that_goes_away_is_a_crash_if_its_console_says_so(guest: Guest, dying: str, status: str) -> None:
    reply = guest.step(START, dying=dying)
    assert (reply.status, bool(reply.splat)) == (status, status == "crash")


def test_a_splat_of_an_earlier_step_is_not_blamed_on_the_one_whose_machine_was_lost(guest: Guest) -> None:
    guest.run.places.console.write_text(log("warn-6.12"))
    reply = guest.step(START, dying=QUIET)
    assert (reply.status, reply.splat, reply.dmesg) == ("lost", "", QUIET)


def test_a_guest_that_restarts_itself_says_so(guest: Guest) -> None:
    reply = guest.step(START, dying="[   80.1] reboot: Restarting system\n")
    assert (reply.status, reply.crash, reply.splat) == ("crash", "reboot", "reboot: Restarting system")


@pytest.mark.parametrize(
    "lie",
    [DONE | {"name": "smoke/other"}, START, {"t": "final"}, {"t": "what"}, {"t": ["done"], "name": {}}, {}],
)  # fmt: skip
def test_words_that_nobody_asked_for_are_passed_over_and_counted(guest: Guest, lie: dict[str, Any]) -> None:
    reply = guest.step(START, {"t": "alive"}, lie, DONE)
    assert (reply.status, reply.output, guest.run.unasked) == ("done", "fine\n", 1)


def test_an_answer_before_the_step_began_is_not_believed(guest: Guest) -> None:
    lie = DONE | {"output": "a lie"}
    assert guest.step(START, DONE, earlier=lie).output == "fine\n"
    assert guest.step(lie, START, DONE).output == "fine\n"
    assert guest.run.unasked == 2
    guest.run._note(Lines(NONCE), 0)
    assert guest.run.notes == ["the guest answered 2 times what it was not asked, or twice"]
