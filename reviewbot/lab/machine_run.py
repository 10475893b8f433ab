# SPDX-License-Identifier: GPL-2.0-or-later
"""One machine from QEMU's start to its end: the conversation with its agent, and what is known when it is lost."""

import asyncio
import contextlib
import datetime
import secrets
import shlex
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from reviewbot.host.sandbox import Running
from reviewbot.lab.accel import Accelerator
from reviewbot.lab.answers import Asked, answered, hung_under, lost_under
from reviewbot.lab.channel import Lines, facts, number, text
from reviewbot.lab.console import heard
from reviewbot.lab.held import held
from reviewbot.lab.launch import launched
from reviewbot.lab.machine import Places, command
from reviewbot.lab.monitor import Monitor
from reviewbot.lab.pace import believed
from reviewbot.lab.ports import (
    FIRST_WORD,
    LAST_WORDS,
    RESTORED_WORD,
    Ended,
    Files,
    Lost,
    NotRestored,
    Port,
    Silent,
    ended,
    greeting,
    or_ended,
)
from reviewbot.lab.rescue import last_look
from reviewbot.lab.room import OVERDUE, Bounds
from reviewbot.lab.servers import forget
from reviewbot.lab.snapshot.saved import Saved
from reviewbot.lab.snapshot.saving import CONSOLES, LIMIT, restore
from reviewbot.lab.step_files import StepFiles
from reviewbot.lab.wires import Wires, wired
from reviewbot.model import protocol
from reviewbot.model.artifacts import Fact
from reviewbot.model.errors import DiskFull
from reviewbot.model.lab import GuestJob, GuestStep, JobReply, StepReply
from reviewbot.model.progress import Event, Progress

SILENCE = 120.0
"""Seconds without any word from the agent, which speaks every 5 s, before the machine counts as lost."""
GRACE = 120.0
"""Seconds on top of a step's limit for the agent to look at it, end it, clean up, tell: some 10, 100 at the worst."""
HELLO = ("kernel_release", "kernel_version", "cpus", "memory_kib")
"""What is taken of the agent's first word."""


@dataclass(slots=True)
class MachineRun:
    """The run of a job in one machine; `run` once, and again after `forget_saved`."""

    job: GuestJob
    accelerator: Accelerator
    places: Places
    step_files: StepFiles
    on_reply: Callable[[StepReply], None]
    progress: Progress
    nonce: str = field(default_factory=lambda: secrets.token_hex(16))
    take: Callable[[GuestStep], bool] = lambda step: True
    stop: threading.Event = field(default_factory=threading.Event)
    bounds: Bounds = field(default_factory=Bounds)
    ports: Mapping[str, socket.socket] = field(default_factory=dict)
    wires: Wires = field(default_factory=Wires)
    replies: list[StepReply] = field(default_factory=list)
    hello: dict[str, Fact] = field(default_factory=dict)
    agent_seconds: float = 0.0
    problem: str = ""
    complete: bool = False
    notes: list[str] = field(default_factory=list)
    last_failed: str = ""
    saved: Saved | None = None
    """What it begins from."""
    given_up: float = 0.0
    """Seconds that a restored machine was waited for in vain."""
    unasked: int = 0
    """Words of the agent that were no answer to what it was asked."""
    monitor: Monitor = field(default_factory=Monitor)

    def run(self) -> JobReply:
        # What boots such a machine is of more use to a reader than what restores it.
        words = command(self.job, self.accelerator.name, self.places)
        (self.places.logs / "qemu.cmd").write_text(shlex.join(words) + "\n")
        if self.saved:
            self.saved.leave_boot_logs(self.places.logs)
        memory = self.saved.memory if self.saved else None
        began, started = datetime.datetime.now(datetime.UTC), time.monotonic()
        files = held(self.job, self.places, memory)
        room = self.bounds.room
        with wired(self.places.logs, self.places.keyboard, files, self.ports, short=room.scant) as self.wires:
            argv = command(self.job, self.accelerator.name, self.places, memory, self.wires.numbers)
            with launched(argv, self.wires, self.job.memory, self.job.disks) as running:
                try:
                    asyncio.run(self._talk(running.process, started))
                except Lost as lost:
                    self._lost_machine(lost, running, time.monotonic() - started)
        room.spend(self.wires.kept())
        self.notes += self.wires.notes()
        self._account_for_rest()
        return JobReply(
            name=self.job.name,
            complete=self.complete and not self.problem,
            problem=self.problem,
            hello=self.hello,
            replies=tuple(self.replies),
            notes=tuple(self.notes),
            last_failed=self.last_failed,
            accelerator=self.accelerator.name,
            restored=self.saved is not None,
            started=began,
            seconds=time.monotonic() - started,
            agent_seconds=self.agent_seconds,
        )

    def _lost_machine(self, lost: Lost, running: Running, seconds: float) -> None:
        """It is of no more use. Raises NotRestored when it never spoke; DiskFull, BoxBroken for a fault of the host."""
        status = running.process.poll()
        exceeded = running.exceeded() if status is not None else None
        if self.disk_is_full:
            raise DiskFull(str(self.places.disks)) from lost
        if self.saved and not self.agent_seconds and not self.stop.is_set() and not self.bounds.overdue:
            self.given_up = seconds
            raise NotRestored(str(lost)) from lost
        self.problem = OVERDUE if self.bounds.overdue else str(lost)
        self._blame_boot(seconds)
        if isinstance(lost, Ended) and status is not None and not self.bounds.overdue:
            self.problem += f" ({exceeded})" if exceeded else self._last_words(status)
        if self.job.last:
            self._note_last(f"{self.job.last.name} was lost with the machine")

    def forget_saved(self, why: str) -> None:
        """The saved machine is of no use: drop it, and boot."""
        if self.saved:
            self.saved.drop()
        self.saved = None
        self.notes.append(f"the saved machine was discarded and a new one booted: {why}")
        for name in CONSOLES:
            with contextlib.suppress(OSError):
                (self.places.logs / name).replace(self.places.logs / f"dropped-{name}")

    def _blame_boot(self, seconds: float) -> None:
        """A kernel that crashed before its first step crashes that step: it is no fault of the lab."""
        if not self.replies and self.job.steps and heard(*self.wires.since([0, 0])).crash:
            self._reply(self._lost(self.job.steps[0], seconds, [0, 0]))

    def _last_words(self, status: int) -> str:
        words = self.wires.said.since(0).strip().splitlines()
        return f" (QEMU exited with status {status}{': ' + words[-1] if words else ''})"

    async def _talk(self, process: "subprocess.Popen[bytes]", started: float) -> None:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self.wires.recording())
            watch = asyncio.create_task(ended(process))
            stack.push_async_callback(self.wires.hear_out, watch, LAST_WORDS)
            stack.callback(asyncio.create_task(self._mind(process)).cancel)
            ends = self.wires.ports
            qmp = await stack.enter_async_context(self.monitor.connected(self.job.name, ends["qmp"], watch))
            if self.saved:
                await or_ended(restore(qmp, self.saved.devices), watch, LIMIT, "the machine was not restored")
            control = Port(*await asyncio.open_unix_connection(sock=ends["control"]), watch)
            stack.callback(control.close)
            steps = (*self.job.steps, *((self.job.last,) if self.job.last else ()))
            homes = {step.name: self.step_files.home(step) for step in steps}
            results = await asyncio.open_unix_connection(sock=ends["results"])
            files = Files(*results, self.nonce, homes, self.bounds.room)
            stack.callback(files.close)
            lines = Lines(self.nonce)
            try:
                await self._converse(control, lines, files, started)
            finally:
                self._note(lines, files.refused + files.frames.strange, files.crowded_out)
            # It powers itself off; what does not is ended.
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.shield(watch), 5.0)

    async def _mind(self, process: "subprocess.Popen[bytes]") -> None:
        """End the machine when it is told to stop, when its time is up, or when the host's disk is full."""
        while not self.stop.is_set() and not self.disk_is_full and not self.bounds.overdue:
            self.monitor.listen()
            await asyncio.sleep(0.1)
        process.terminate()

    @property
    def disk_is_full(self) -> bool:
        """Of the host, when the guest wrote to one of its own, or when its words were kept."""
        return self.monitor.disk_is_full or self.wires.disk_is_full

    def _note(self, lines: Lines, refused: int, crowded_out: int = 0) -> None:
        """Keep what a liar, or a bug of the agent, left behind. crowded_out: of the refused, for lack of room."""
        if crowded_out:
            self.notes.append(f"{crowded_out} files of the guest were left out: there were too many, or too large ones")
        if refused > crowded_out:
            self.notes.append("the guest sent files that were refused")
        if lines.strange:
            self.notes.append(f"{lines.strange} lines on the control port were not from the agent")
        if self.unasked:
            self.notes.append(f"the guest answered {self.unasked} requests that were not made, or twice")

    async def _converse(self, control: Port, lines: Lines, files: Files, started: float) -> None:
        control.say(greeting(self.nonce))
        limit = RESTORED_WORD if self.saved else FIRST_WORD
        first = await control.next(lines, limit * self.job.slow, "no message from the agent")
        if first.get("t") != protocol.HELLO:
            raise Lost("the agent's first message was not its hello")
        self.agent_seconds = time.monotonic() - started
        self.hello = {name: fact for name, fact in facts(first).items() if name in HELLO}
        slow, claim = believed(number(first, "slow_factor"), self.accelerator.name)
        self.notes += [claim] if claim else []
        self.hello["slow_factor"] = f"{slow:.1f}"
        self.hello["start"] = "restored" if self.saved else "booted"
        release = self.hello.get("kernel_release")
        if self.job.expect_release and release != self.job.expect_release:
            raise Lost(f"the guest runs kernel {release}, not {self.job.expect_release}")
        slow *= self.job.slow
        gate_failed = False
        for step in self.job.steps:
            if gate_failed:
                self._reply(StepReply(name=step.name, status="skipped"))
                continue
            if not step.gate and not self.take(step):
                continue
            reply = await self._step(step, slow, control, lines, files)
            self._reply(reply)
            if reply.unclean:
                raise Lost(f"the machine was abandoned after {step.name}: {reply.unclean}")
            if self.job.renew and not step.gate and (reply.splat or reply.allowed):
                break
            gate_failed = step.gate and (reply.exit_status != 0 or reply.status == "timeout")
        if self.job.last and not await self._at_last(self.job.last, slow, control, lines, files):
            return
        self.unasked += control.forget()
        marks = self.wires.marks()
        control.say({"op": protocol.OFF})
        last = await control.next(lines, 60.0, "no final message from the agent")
        self.complete = last.get("t") == protocol.FINAL
        if (late := heard(*self.wires.since(marks))).line and late.fields["crash"] != "reboot":
            self.notes.append(f"the kernel splatted after the last step: {late.line}")

    async def _at_last(self, step: GuestStep, slow: float, control: Port, lines: Lines, files: Files) -> bool:
        """What is no test. False: the machine is of no more use, and has done all that counts."""
        try:
            reply = await self._step(step, slow, control, lines, files)
        except Lost as lost:
            self._note_last(f"{step.name} was lost: {lost}")
            self.complete = True
            return False
        if reply.splat:
            self.notes.append(f"the kernel splatted during {step.name}: {reply.splat}")
        if reply.exit_status != 0 or reply.status == "timeout":
            said = reply.output.strip().splitlines()[-1:] or ["no output"]
            self._note_last(f"{step.name} failed ({reply.status}): {said[0][:200]}")
        self.complete = bool(reply.unclean)
        return not reply.unclean

    def _note_last(self, why: str) -> None:
        """The first reason is the one that counts."""
        self.last_failed = self.last_failed or why
        self.notes.append(why)

    async def _step(self, step: GuestStep, slow: float, control: Port, lines: Lines, files: Files) -> StepReply:
        asked = Asked(step, step.timeout * slow)
        self.unasked += control.forget()
        forget(self.step_files.folder(step))
        marks, began = self.wires.marks(), time.monotonic()
        env = {"REVIEWBOT_UMOUNT_LIMIT": f"{50 + 10 * slow:.0f}", **step.env}  # for a server's end after its unmount
        control.say(
            {
                "op": protocol.RUN,
                "name": step.name,
                "argv": step.argv,
                "env": env,
                "timeout": asked.limit,
                "still": step.still,
                "collect": step.collect,
                "measure": step.measure,
            }
        )
        self.progress(Event("lab", self.job.name, "note", step.name))
        hang: dict[str, Any] = {}
        started = False
        while True:
            try:
                message = await self._next(control, lines, asked, began)
            except Lost as lost:
                reply = await self._lost_during(asked, lost, time.monotonic() - began, marks, hang)
                self._reply(reply)
                raise
            match message.get("t"), message.get("name"):
                case protocol.START, step.name if not started:
                    asked, started = replace(asked, before=text(message, "dmesg")), True
                case protocol.HANG, step.name if started and not hang:
                    hang = message
                    self.progress(
                        Event("lab", self.job.name, "note", f"{step.name} hangs after {time.monotonic() - began:.0f} s")
                    )
                case protocol.DONE, step.name if started:
                    break
                case protocol.ALIVE, _:
                    pass
                case _:
                    self.unasked += 1
        elapsed = time.monotonic() - began
        frames = bool(number(message, "files")) + bool(number(hang, "files"))
        if frames and not await files.arrived(step.name, frames):
            self.notes.append(f"files of {step.name} did not arrive")
        return answered(asked, message, hang, elapsed, self.step_files)

    async def _next(self, control: Port, lines: Lines, asked: Asked, began: float) -> dict[str, Any]:
        """The agent's next word on a step, however many there are. Raises Lost, also when the step's time is over."""
        left = began + asked.limit + GRACE - time.monotonic()
        if left <= 0:
            raise Silent(
                f"no response to {asked.step.name} within {GRACE:.0f} s after its limit of {asked.limit:.0f} s"
            )
        return await control.next(lines, min(SILENCE, left), f"silence during {asked.step.name}")

    async def _lost_during(
        self, asked: Asked, lost: Lost, seconds: float, marks: Sequence[int], hang: dict[str, Any]
    ) -> StepReply:
        """The machine went away under a step, or its agent is silent: then look at it from outside, and it hangs.

        It also hangs when it had reached its limit before.
        """
        why = str(lost)
        if isinstance(lost, Silent) and self.monitor.qmp:
            self.progress(Event("lab", self.job.name, "note", f"{lost}: inspecting it from the host"))
            state, seen = await last_look(self.monitor.qmp, self.places, self.wires.console)
            self.step_files.write(asked.step, "", None, seen)
            why = f"{lost}; QEMU reports: {state or 'nothing'}"
        elif self.monitor.qmp:
            await self.monitor.all_said()
            await self.wires.end(LAST_WORDS)
        reply = self._lost(asked.step, seconds, marks)
        return hung_under(reply, asked, why, hang) if hang or isinstance(lost, Silent) else reply

    def _lost(self, step: GuestStep, seconds: float, marks: Sequence[int]) -> StepReply:
        return lost_under(step, seconds, self.wires.since(marks), self.monitor.went(), self.step_files)

    def _reply(self, reply: StepReply) -> None:
        if self.job.last and reply.name == self.job.last.name:
            return
        self.replies.append(reply)
        self.on_reply(reply)

    def _account_for_rest(self) -> None:
        """Every step has an answer, and what a lost machine had collected is not lost."""
        told = {reply.name for reply in self.replies}
        if self.problem:
            self.step_files.recover(
                self.places.results_disk, [s for s in self.job.steps if s.name in told], self.bounds.room
            )
        self.replies += [StepReply(name=s.name, status="skipped") for s in self.job.steps if s.name not in told]
        if self.notes:
            (self.places.logs / "notes.txt").write_text("\n".join(self.notes) + "\n")
