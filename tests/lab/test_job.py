# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of a step, by the words of its agent and the kernel's: without a machine."""

import asyncio
import contextlib
import json
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from reviewbot.lab.accel import Accelerator
from reviewbot.lab.channel import Lines
from reviewbot.lab.machine import Places
from reviewbot.lab.machine_run import MachineRun
from reviewbot.lab.ports import Files, Lost, Port
from reviewbot.lab.step_files import StepFiles
from reviewbot.lab.wires import Wires, release, wired
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


@dataclass
class Sink:
    """The way to the guest: at each kind of order its kernel says something on the console, and its agent answers."""

    wires: Wires
    reader: asyncio.StreamReader
    gone: asyncio.Event
    answers: Mapping[str, Sequence[Mapping[str, Any]]]
    kernel: Mapping[str, str]
    last: str
    """The order after which the agent says nothing more."""

    def write(self, data: bytes) -> None:
        order = json.loads(data)["op"]
        if said := self.kernel.get(order):
            os.write(self.wires.numbers["console"], said.encode())
        for words in self.answers.get(order, ()):
            self.reader.feed_data(json.dumps({"nonce": NONCE, **words}).encode() + b"\n")
        if order == self.last:
            self.reader.feed_eof()
            release(self.wires)
            self.gone.set()

    def close(self) -> None:
        pass


class Guest:
    """A guest with one step that says what it is told to say, and then no more."""

    def __init__(self, folder: Path, wires: Wires) -> None:
        self.folder = folder
        job = GuestJob(name="ext4", kernel="k", root="r", payload="p", steps=(STEP,))
        places = Places(folder, folder / "disks", folder / "machine")
        self.run = MachineRun(
            job,
            Accelerator("tcg", "a test"),
            places,
            StepFiles(folder, folder / "machine"),
            lambda reply: None,
            silent,
            NONCE,
            wires=wires,
        )

    def console(self, text: str) -> None:
        os.write(self.run.wires.numbers["console"], text.encode())

    def step(
        self,
        *said: Mapping[str, Any],
        earlier: Mapping[str, Any] | None = None,
        dying: str = "",
        step: GuestStep = STEP,
    ) -> StepReply:
        """Its reply; of a guest that goes away, what is known of it."""

        async def talk(port: Port, files: Files) -> None:
            port.waiting += [{"nonce": NONCE, **earlier}] if earlier else []
            self.run.replies.append(await self.run._step(step, 1.0, port, Lines(NONCE), files))

        with contextlib.suppress(Lost):
            asyncio.run(self._talk(talk, {"run": said}, {"run": dying}, "run"))
        return self.run.replies[-1]

    def job(
        self,
        *,
        after: str = "",
        run: Sequence[Mapping[str, Any]] = (START, DONE),
        hello: Mapping[str, Any] | None = None,
    ) -> None:
        """All of it: what the agent says of its step, and the kernel after it."""

        async def talk(port: Port, files: Files) -> None:
            await self.run._converse(port, Lines(NONCE), files, 0.0)

        answers = {"hello": [{"t": "hello", **(hello or {})}], "run": run, "off": [{"t": "final"}]}
        asyncio.run(self._talk(talk, answers, {"off": after}, "off"))

    async def _talk(
        self,
        talk: Callable[[Port, Files], Awaitable[None]],
        answers: Mapping[str, Sequence[Mapping[str, Any]]],
        kernel: Mapping[str, str],
        last: str,
    ) -> None:
        gone = asyncio.Event()
        watch = cast("asyncio.Task[None]", asyncio.create_task(gone.wait()))
        reader = asyncio.StreamReader()
        sink = cast(asyncio.StreamWriter, Sink(self.run.wires, reader, gone, answers, kernel, last))
        files = Files(asyncio.StreamReader(), sink, NONCE, {STEP.name: self.folder})
        try:
            await talk(Port(reader, sink, watch), files)
        finally:
            watch.cancel()
            files.close()


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Guest]:
    (tmp_path / "machine").mkdir()
    with wired(tmp_path / "machine", tmp_path / "keyboard") as wires:
        yield Guest(tmp_path, wires)


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
def test_a_step_that_ended_is_a_crash_when_the_kernel_killed_or_missed_a_task(guest: Guest, name: str) -> None:
    reply = guest.step(START, DONE | {"dmesg": log(name)})
    assert (reply.status, reply.crash) == ("crash", name)


def test_what_the_kernel_said_between_two_steps_is_not_lost(guest: Guest) -> None:
    head, tail = log("warn-6.12")[:900], log("warn-6.12")[900:]
    reply = guest.step(START | {"dmesg": head}, DONE | {"dmesg": tail})
    assert (reply.status, reply.dmesg) == ("crash", head + tail)
    assert reply.fingerprint == "fuse_entry_unlinked:fuse_unlink:vfs_unlink:do_unlinkat:__x64_sys_unlinkat"


def test_a_limit_that_struck_is_a_timeout_whatever_the_kernel_said(guest: Guest) -> None:
    reply = guest.step(START, DONE | {"timeout": True, "dmesg": log("warn-7.0")})
    assert (reply.status, reply.crash) == ("timeout", "warn")


HANG = {"t": "hang", "name": STEP.name, "text": "fuse connection 42: requests waiting: 3", "output": "so far\n"}
ENDED = DONE | {"timeout": True, "status": -9, "by": "kill", "aborted": "42", "unclean": ""}


def test_what_a_step_hung_in_is_told_after_what_ended_it(guest: Guest) -> None:
    reply = guest.step(START, HANG, ENDED)
    assert (reply.status, reply.exit_status, reply.limit, reply.unclean) == ("timeout", -9, 1.0, "")
    assert reply.hang.splitlines() == [
        "was sent SIGKILL, since it did not exit when its fuse connections were aborted",
        "fuse connection 42: requests waiting: 3",
    ]


@pytest.mark.parametrize(("dying", "status"), [("", "timeout"), (log("oops-null"), "crash")])
def test_a_machine_that_goes_away_after_the_limit_struck_does_not_undo_the_hang(
    guest: Guest, dying: str, status: str
) -> None:
    reply = guest.step(START, HANG, dying=dying)
    assert (reply.status, reply.output) == (status, "so far\n")
    assert reply.hang == "the machine disappeared\nfuse connection 42: requests waiting: 3"


@pytest.mark.parametrize("lie", [HANG, HANG | {"name": "smoke/other"}])
def test_a_hang_is_told_once_and_of_the_step_that_runs(guest: Guest, lie: dict[str, Any]) -> None:
    reply = guest.step(START, HANG, lie, DONE)
    assert (reply.status, reply.hang, guest.run.unasked) == ("done", "", 1)


def test_a_machine_that_cannot_be_cleaned_runs_nothing_else(guest: Guest) -> None:
    guest.run.job = guest.run.job.model_copy(update={"steps": (STEP, STEP.model_copy(update={"name": "smoke/next"}))})
    with pytest.raises(Lost, match="the machine was abandoned after smoke/fio: /dev/vdd is still in use"):
        guest.job(run=[START, HANG, ENDED | {"unclean": "/dev/vdd is still in use"}])
    assert [(reply.name, reply.status) for reply in guest.run.replies] == [(STEP.name, "timeout")]
    assert "abandoned: /dev/vdd is still in use" in guest.run.replies[0].hang


@pytest.mark.parametrize(("dying", "status"), [("", "lost"), (log("panic-after-oops"), "crash"), (QUIET, "lost")])
def test_a_machine_that_goes_away_is_a_crash_if_its_console_says_so(guest: Guest, dying: str, status: str) -> None:
    reply = guest.step(START, dying=dying)
    assert (reply.status, bool(reply.splat)) == (status, status == "crash")


def test_a_splat_of_an_earlier_step_is_not_blamed_on_the_one_whose_machine_was_lost(guest: Guest) -> None:
    guest.console(log("warn-6.12"))
    reply = guest.step(START, dying=QUIET)
    assert (reply.status, reply.splat, reply.dmesg) == ("lost", "", QUIET)


def test_a_kernel_that_panics_before_its_first_step_crashes_that_step(guest: Guest) -> None:
    guest.console(QUIET)
    guest.run._blame_boot(3.0)
    assert guest.run.replies == []
    guest.console(log("panic-sysrq"))
    guest.run._blame_boot(3.0)
    (reply,) = guest.run.replies
    assert (reply.name, reply.status, reply.crash) == (STEP.name, "crash", "panic")


@pytest.mark.parametrize(("said", "notes"), [("warn-7.0", 1), ("", 0)])
def test_a_splat_after_the_last_step_is_in_the_notes(guest: Guest, said: str, notes: int) -> None:
    last = QUIET + (log(said) if said else "") + "[   90.000000] reboot: Power down\n"
    guest.job(after=last)
    assert guest.run.complete and len(guest.run.notes) == notes
    assert all("after the last step: warn: fuse_entry_unlinked:" in note for note in guest.run.notes)


def test_a_guest_that_restarts_itself_says_so(guest: Guest) -> None:
    reply = guest.step(START, dying="[   80.1] reboot: Restarting system\n")
    assert (reply.status, reply.crash, reply.splat) == ("crash", "reboot", "reboot: Restarting system")


@pytest.mark.parametrize(
    "lie",
    [DONE | {"name": "smoke/other"}, START, {"t": "final"}, {"t": "what"}, {"t": ["done"], "name": {}}, {}],
)
def test_words_that_nobody_asked_for_are_passed_over_and_counted(guest: Guest, lie: dict[str, Any]) -> None:
    reply = guest.step(START, {"t": "alive"}, lie, DONE)
    assert (reply.status, reply.output, guest.run.unasked) == ("done", "fine\n", 1)


def test_an_answer_before_the_step_began_is_not_believed(guest: Guest) -> None:
    lie = DONE | {"output": "a lie"}
    assert guest.step(START, DONE, earlier=lie).output == "fine\n"
    assert guest.step(lie, START, DONE).output == "fine\n"
    assert guest.run.unasked == 2
    guest.run._note(Lines(NONCE), 0)
    assert guest.run.notes == ["the guest answered 2 requests that were not made, or twice"]


AT_LAST = GuestStep(name="ext4/coverage", argv=("true",), timeout=1.0)
LAST = [words | {"name": AT_LAST.name} for words in (START, DONE)]


@pytest.mark.parametrize(
    ("end", "note"),
    [
        ({}, ""),
        ({"status": 1, "output": "no room\n"}, "ext4/coverage failed (done): no room"),
        ({"dmesg": log("warn-7.0")}, "the kernel splatted during ext4/coverage: "),
        ({"timeout": True, "unclean": "/dev/vdd is in use"}, "ext4/coverage failed (timeout): fine"),
    ],
)
def test_what_comes_at_last_has_no_reply_and_its_failure_is_a_note(
    guest: Guest, end: dict[str, Any], note: str
) -> None:
    guest.run.job = guest.run.job.model_copy(update={"last": AT_LAST})
    guest.job(run=[START, DONE, LAST[0], LAST[1] | end])
    assert guest.run.complete
    assert [(reply.name, reply.status) for reply in guest.run.replies] == [(STEP.name, "done")]
    assert [found.startswith(note) for found in guest.run.notes] == ([True] if note else [])


def test_an_agent_that_says_that_it_lives_for_ever_does_not_move_the_limit(
    guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reviewbot.lab.machine_run.GRACE", 0.0)
    reply = guest.step(START, *[{"t": "alive"}] * 200_000, step=STEP.model_copy(update={"timeout": 0.01}))
    assert reply.status == "timeout"
    assert reply.hang.startswith("no response to smoke/fio within 0 s after its limit of 0 s")


@pytest.mark.parametrize("claim", [40, 1e9, "40", None, -3, float("inf")])
def test_a_slow_factor_is_believed_as_far_as_this_host_bears_it_out(
    guest: Guest, monkeypatch: pytest.MonkeyPatch, claim: object
) -> None:
    monkeypatch.setattr("reviewbot.lab.pace.possible", lambda accelerator: 8.0)
    guest.job(hello={"slow_factor": claim, "kernel_release": "7.1", "sha256:/stack/bin/fuse2fs": "lie"})
    assert guest.run.replies[0].limit == (8.0 if claim in (40, 1e9) else 1.0)
    assert guest.run.hello == {
        "kernel_release": "7.1",
        "start": "booted",
        "slow_factor": f"{guest.run.replies[0].limit}",
    }
    assert [note.endswith("8.0 is possible here") for note in guest.run.notes] == ([True] if claim in (40, 1e9) else [])


@pytest.mark.parametrize("claim", [9e11, -5, "3", None])
def test_a_step_takes_no_longer_than_the_host_has_waited_for_it(guest: Guest, claim: object) -> None:
    assert 0 <= guest.step(START, DONE | {"seconds": claim}).seconds < 1000
