# SPDX-License-Identifier: GPL-2.0-or-later
"""Run one job in one machine."""

import asyncio
import contextlib
import secrets
import shlex
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qemu.qmp import EventListener, QMPClient

from reviewbot.config import load_servers, load_splats
from reviewbot.host.files import remove_tree
from reviewbot.host.process import background
from reviewbot.lab.accel import Accelerator
from reviewbot.lab.channel import Lines, facts, number, text
from reviewbot.lab.console import EXCERPT, TAIL, heard, since, written
from reviewbot.lab.figures import server_figures
from reviewbot.lab.leavings import Leavings
from reviewbot.lab.machine import Places, command, expendable, make_disks
from reviewbot.lab.ports import (
    FIRST_WORD,
    RESTORED_WORD,
    Ended,
    Files,
    Lost,
    NotRestored,
    Port,
    Silent,
    connect_qmp,
    disconnect,
    ended,
    greeting,
    guests_doing,
    or_ended,
)  # fmt: skip
from reviewbot.lab.rescue import last_look, what_hung
from reviewbot.lab.saved import Saved, Start, find_start, note_start
from reviewbot.lab.saving import LIMIT, restore
from reviewbot.lab.servers import forget, served
from reviewbot.model.artifacts import Fact
from reviewbot.model.errors import DiskFull
from reviewbot.model.lab import GuestJob, GuestStep, JobReply, StepReply, StepStatus
from reviewbot.model.progress import Event, Progress, silent
from reviewbot.store import Store

SILENCE = 120.0
"""Seconds without any word from the agent, which speaks every 5 s, before the machine counts as lost."""
GRACE = 120.0
"""Seconds on top of a step's limit for the agent to look at it, end it, clean up, tell: some 10, 100 at the worst."""


def run_job(
    job: GuestJob, accelerator: Accelerator, folder: Path, *, store: Store | None = None,
    on_reply: Callable[[StepReply], None] | None = None, progress: Progress = silent,
    take: Callable[[GuestStep], bool] = lambda step: True, stop: threading.Event | None = None,
) -> JobReply:  # fmt: skip
    """Start a machine, run the steps in order, and tell what became of each.

    store: where saved machines are kept, to begin from one where that is faster; None: the machine is booted.
    take: asked when a step that is no gate has its turn; False passes it over (`skipped`), another machine has it.
    stop: once it is set, the machine is ended, and the reply tells of one that was lost.

    Whatever the guest does is in the reply, never an exception. Raises ToolMissing when there is no QEMU, ConfigError
    when `qemu/splats.yaml` or `qemu/servers.yaml` is missing or wrong, and DiskFull or OSError when the host's disk is
    full. Files of tests land in `folder/<step>/`, those of the setup, and the machine's own logs, in `folder/<job>/`.
    """
    load_splats(), load_servers()  # a machine whose words cannot be judged is not worth booting
    logs = folder / job.name
    logs.mkdir(parents=True, exist_ok=True)
    start = find_start(job, accelerator, store, progress, stop) if store else Start()
    with tempfile.TemporaryDirectory(prefix="reviewbot-") as sockets:
        places = Places(Path(sockets), logs / "disks", logs)
        run = _Run(
            job, accelerator, places, Leavings(folder, logs), on_reply or (lambda reply: None), progress, take=take,
            stop=stop or threading.Event(),
        )  # fmt: skip
        run.saved, run.notes = start.saved, list(start.notes)
        try:
            make_disks(job, places)
            try:
                reply = run.run()
            except NotRestored as why:
                run.forget_saved(str(why))
                make_disks(job, places)
                reply = run.run()
        finally:
            remove_tree(places.disks)
    if store:
        note_start(job, accelerator, store, run.given_up or reply.agent_seconds, restored=start.saved is not None)
    return reply


@dataclass(slots=True)
class _Run:
    job: GuestJob
    accelerator: Accelerator
    places: Places
    leavings: Leavings
    on_reply: Callable[[StepReply], None]
    progress: Progress
    nonce: str = field(default_factory=lambda: secrets.token_hex(16))
    take: Callable[[GuestStep], bool] = lambda step: True
    stop: threading.Event = field(default_factory=threading.Event)
    replies: list[StepReply] = field(default_factory=list)
    hello: dict[str, Fact] = field(default_factory=dict)
    agent_seconds: float = 0.0
    problem: str = ""
    complete: bool = False
    notes: list[str] = field(default_factory=list)
    saved: Saved | None = None
    """What it begins from."""
    given_up: float = 0.0
    """Seconds that a restored machine was waited for in vain."""
    unasked: int = 0
    """Words of the agent that were no answer to what it was asked."""
    disk_is_full: bool = False
    """Of the host, when the guest wrote to one of its own."""
    qmp: QMPClient | None = None
    shutdowns: EventListener = field(default_factory=lambda: EventListener("SHUTDOWN"))
    disk_errors: EventListener = field(default_factory=lambda: EventListener("BLOCK_IO_ERROR"))

    def run(self) -> JobReply:
        argv = command(self.job, self.accelerator.name, self.places)
        (self.places.logs / "qemu.cmd").write_text(shlex.join(argv) + "\n")
        if self.saved:  # what boots such a machine is of more use to a reader
            argv = command(self.job, self.accelerator.name, self.places, self.saved.memory)
            self.saved.leave_boot_logs(self.places.logs)
        started = time.monotonic()
        with (self.places.logs / "qemu.log").open("wb") as said, background(argv, log=said) as process:
            expendable(process.pid)
            try:
                asyncio.run(self._talk(process, started))
            except Lost as lost:
                if self.disk_is_full:
                    raise DiskFull(str(self.places.disks)) from lost
                if self.saved and not self.agent_seconds and not self.stop.is_set():
                    self.given_up = time.monotonic() - started
                    raise NotRestored(str(lost)) from lost
                self.problem = str(lost)
                self._blame_boot(time.monotonic() - started)
                if isinstance(lost, Ended) and process.poll() is not None:
                    self.problem += self._last_words(process.returncode)
                if self.job.last:
                    self.notes.append(f"{self.job.last.name} was lost with the machine")
        self._account_for_rest()
        return JobReply(
            name=self.job.name, complete=self.complete and not self.problem, problem=self.problem, hello=self.hello,
            replies=tuple(self.replies), notes=tuple(self.notes), accelerator=self.accelerator.name,
            restored=self.saved is not None, seconds=time.monotonic() - started, agent_seconds=self.agent_seconds,
        )  # fmt: skip

    def forget_saved(self, why: str) -> None:
        """The saved machine is of no use: drop it, and boot."""
        if self.saved:
            self.saved.drop()
        self.saved = None
        self.notes.append(f"the saved machine was dropped and this one booted: {why}")
        for path in self._consoles():
            with contextlib.suppress(OSError):
                path.replace(path.with_name(f"dropped-{path.name}"))

    def _blame_boot(self, seconds: float) -> None:
        """A kernel that crashed before its first step crashes that step: it is no fault of the lab."""
        if not self.replies and self.job.steps and heard(*self._said_since([0, 0])).crash:
            self._reply(self._lost(self.job.steps[0], seconds, [0, 0]))

    def _last_words(self, status: int) -> str:
        words = (self.places.logs / "qemu.log").read_text(errors="replace").strip().splitlines()
        return f" (QEMU ended with status {status}{': ' + words[-1] if words else ''})"

    async def _talk(self, process: Any, started: float) -> None:
        async with contextlib.AsyncExitStack() as stack:
            watch = asyncio.create_task(ended(process))
            stack.callback(watch.cancel)
            qmp = QMPClient(self.job.name)
            await or_ended(connect_qmp(qmp, self.places.qmp), watch, FIRST_WORD, "QEMU did not start")
            stack.push_async_callback(disconnect, qmp)
            self.qmp = qmp
            qmp.register_listener(self.shutdowns)
            qmp.register_listener(self.disk_errors)
            stack.callback(asyncio.create_task(self._mind(process)).cancel)
            if self.saved:
                await or_ended(restore(qmp, self.saved.devices), watch, LIMIT, "the machine was not restored")
            control = Port(*await asyncio.open_unix_connection(self.places.control), watch)
            stack.callback(control.close)
            steps = (*self.job.steps, *((self.job.last,) if self.job.last else ()))
            homes = {step.name: self.leavings.home(step) for step in steps}
            files = Files(*await asyncio.open_unix_connection(self.places.results), self.nonce, homes)
            stack.callback(files.close)
            lines = Lines(self.nonce)
            try:
                await self._converse(control, lines, files, started)
            finally:
                self._note(lines, files.refused + files.frames.strange)
            # It powers itself off; what does not is ended.
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.shield(watch), 5.0)

    async def _mind(self, process: Any) -> None:
        """End the machine when it is told to stop, or when QEMU halts it because the host's disk is full."""
        while not self.stop.is_set() and not self.disk_is_full:
            events: list[Any] = self.disk_errors.clear()
            self.disk_is_full = any((event.get("data") or {}).get("nospace") for event in events)
            await asyncio.sleep(0.1)
        process.terminate()

    def _note(self, lines: Lines, refused: int) -> None:
        """Keep what a liar, or a bug of the agent, left behind."""
        if refused:
            self.notes.append("the guest sent files that were refused")
        if lines.strange:
            self.notes.append(f"{lines.strange} lines on the control port were not of the agent")
        if self.unasked:
            self.notes.append(f"the guest answered {self.unasked} times what it was not asked, or twice")

    async def _converse(self, control: Port, lines: Lines, files: Files, started: float) -> None:
        control.say(greeting(self.nonce))
        limit = RESTORED_WORD if self.saved else FIRST_WORD
        first = await control.next(lines, limit * self.job.slow, "no word from the agent")
        if first.get("t") != "hello":
            raise Lost("the agent's first word was not its name")
        self.agent_seconds = time.monotonic() - started
        self.hello = facts(first)
        self.hello["slow_factor"] = f"{number(first, 'slow_factor'):.1f}"
        self.hello["start"] = "restored" if self.saved else "booted"
        release = self.hello.get("kernel_release")
        if self.job.expect_release and release != self.job.expect_release:
            raise Lost(f"the guest runs kernel {release}, not {self.job.expect_release}")
        slow = min(max(number(first, "slow_factor"), 1.0), 40.0) * self.job.slow
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
                raise Lost(f"the machine was given up after {step.name}: {reply.unclean}")
            if self.job.renew and not step.gate and (reply.splat or reply.allowed):
                break
            gate_failed = step.gate and (reply.exit_status != 0 or reply.status == "timeout")
        if self.job.last and not await self._at_last(self.job.last, slow, control, lines, files):
            return
        self.unasked += control.forget()
        marks = self._marks()
        control.say({"op": "off"})
        last = await control.next(lines, 60.0, "no final word from the agent")
        self.complete = last.get("t") == "final"
        if (late := heard(*self._said_since(marks))).line and late.fields["crash"] != "reboot":
            self.notes.append(f"the kernel splatted after the last step: {late.line}")

    async def _at_last(self, step: GuestStep, slow: float, control: Port, lines: Lines, files: Files) -> bool:
        """What is no test. False: the machine is of no more use, and has done all that counts."""
        try:
            reply = await self._step(step, slow, control, lines, files)
        except Lost as lost:
            self.notes.append(f"{step.name} was lost: {lost}")
            self.complete = True
            return False
        if reply.splat:
            self.notes.append(f"the kernel splatted during {step.name}: {reply.splat}")
        if reply.exit_status != 0 or reply.status == "timeout":
            said = reply.output.strip().splitlines()[-1:] or ["it said nothing"]
            self.notes.append(f"{step.name} failed ({reply.status}): {said[0][:200]}")
        self.complete = bool(reply.unclean)
        return not reply.unclean

    async def _step(self, step: GuestStep, slow: float, control: Port, lines: Lines, files: Files) -> StepReply:
        limit = step.timeout * slow
        self.unasked += control.forget()
        forget(self.leavings.folder(step))
        marks = self._marks()
        control.say({"op": "run", "name": step.name, "argv": step.argv, "env": step.env, "timeout": limit,
                     "collect": step.collect, "measure": step.measure})  # fmt: skip
        self.progress(Event("lab", self.job.name, "note", step.name))
        deadline = time.monotonic() + limit + GRACE
        began = time.monotonic()
        before: str | None = None
        hang: dict[str, Any] = {}
        while True:
            try:
                left = deadline - time.monotonic()
                message = await control.next(lines, min(SILENCE, max(left, 0.01)), f"silence during {step.name}")
            except Lost as lost:
                reply = await self._lost_during(step, lost, time.monotonic() - began, limit, marks, hang)
                self._reply(reply)
                raise
            match message.get("t"), message.get("name"):
                case "start", step.name if before is None:
                    before = text(message, "dmesg")
                case "hang", step.name if before is not None and not hang:
                    hang = message
                    self.progress(Event("lab", self.job.name, "note", f"{step.name} hangs after {limit:.0f} s"))
                case "done", step.name if before is not None:
                    break
                case "alive", _:
                    pass
                case _:
                    self.unasked += 1
        if frames := bool(number(message, "files")) + bool(number(hang, "files")):
            await files.arrived(step.name, frames)
        return self._done(step, message, before, limit, hang)

    def _done(
        self, step: GuestStep, message: dict[str, Any], before: str, limit: float, hang: dict[str, Any]
    ) -> StepReply:
        """before: what the kernel said between the last step and this one; nobody else is there to answer for it."""
        dmesg = before + text(message, "dmesg")
        said = heard(dmesg)
        status: StepStatus = "done"
        if message.get("timeout") is True:
            status = "timeout"
        elif said.line:
            status = "crash"
        output = text(message, "output")
        folder = self.leavings.write(step, dmesg, output)
        server = served(Path(folder), dmesg, step.env.get("LEG_SERVER", ""))
        return StepReply(
            name=step.name, status=status, exit_status=int(number(message, "status")),
            seconds=number(message, "seconds"), limit=limit, output=output, dmesg=dmesg[-TAIL:], files=folder,
            server=server_figures(message.get("server")) if step.measure else None,
            hang=what_hung(hang, message) if status == "timeout" else "",
            unclean=text(message, "unclean", 300).replace("\n", " "), **said.fields, **server.fields,
        )  # fmt: skip

    async def _lost_during(
        self, step: GuestStep, lost: Lost, seconds: float, limit: float, marks: Sequence[int], hang: dict[str, Any]
    ) -> StepReply:
        """The machine went away under a step, or its agent is silent: then look at it from outside, and it hangs.

        It also hangs when it had reached its limit before.
        """
        why = str(lost)
        if isinstance(lost, Silent) and self.qmp:
            self.progress(Event("lab", self.job.name, "note", f"{lost}: looking from outside"))
            state, seen = await last_look(self.qmp, self.places)
            self.leavings.write(step, "", None, seen)
            why = f"{lost}; QEMU says: {state or 'nothing'}"
        await asyncio.sleep(0.1)  # QEMU's last words come by another socket
        reply = self._lost(step, seconds, marks)
        if not isinstance(lost, Silent) and not hang:
            return reply
        status: StepStatus = "crash" if reply.status == "crash" else "timeout"
        said = {"hang": f"{why}\n{text(hang, 'text', EXCERPT)}"[:EXCERPT], "output": text(hang, "output")}
        return reply.model_copy(update={"status": status, "limit": limit, **said})

    def _lost(self, step: GuestStep, seconds: float, marks: Sequence[int]) -> StepReply:
        """The machine went away under this step: did its kernel say why, since the step began? Or QEMU: a reset may
        come without a word of the kernel."""
        consoles = self._said_since(marks)
        said, splat = "".join(consoles), heard(*consoles)
        fields, crashed = splat.fields, splat.crash
        if (reason := guests_doing(self.shutdowns)) and not crashed:
            fields |= {"splat": f"the guest restarted or went off without a word ({reason})", "crash": "reboot",
                       "fingerprint": "", "splat_text": ""}  # fmt: skip
            crashed = True
        return StepReply(
            name=step.name, status="crash" if crashed else "lost", seconds=seconds, dmesg=said[-TAIL:],
            files=self.leavings.write(step, said), **fields,
        )  # fmt: skip

    def _marks(self) -> list[int]:
        """How much the consoles hold by now."""
        return [written(path) for path in self._consoles()]

    def _said_since(self, marks: Sequence[int]) -> list[str]:
        return [since(path, mark) for path, mark in zip(self._consoles(), marks, strict=True)]

    def _consoles(self) -> tuple[Path, Path]:
        return self.places.console, self.places.logs / "serial.log"

    def _reply(self, reply: StepReply) -> None:
        if self.job.last and reply.name == self.job.last.name:
            return
        self.replies.append(reply)
        self.on_reply(reply)

    def _account_for_rest(self) -> None:
        """Every step has an answer, and what a lost machine had collected is not lost."""
        told = {reply.name for reply in self.replies}
        if self.problem:
            self.leavings.recover(self.places.results_disk, [s for s in self.job.steps if s.name in told])
        self.replies += [StepReply(name=s.name, status="skipped") for s in self.job.steps if s.name not in told]
        if self.notes:
            (self.places.logs / "notes.txt").write_text("\n".join(self.notes) + "\n")
