# SPDX-License-Identifier: GPL-2.0-or-later
"""Run one job in one machine."""

import asyncio
import contextlib
import json
import secrets
import shlex
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qemu.qmp import QMPClient, QMPError

from reviewbot.config import load_splats
from reviewbot.host.files import remove_tree
from reviewbot.host.process import background
from reviewbot.lab.accel import Accelerator
from reviewbot.lab.channel import Frames, Lines, facts, number, text, unpack, unpack_disk
from reviewbot.lab.console import TAIL, heard, since, written
from reviewbot.lab.machine import RESULTS_BYTES, Places, command
from reviewbot.model.artifacts import Fact
from reviewbot.model.lab import GuestJob, GuestStep, JobReply, StepReply, StepStatus
from reviewbot.model.progress import Event, Progress, silent

FIRST_WORD = 90.0
"""Seconds from QEMU's start to the agent's first word before the machine counts as lost."""
SILENCE = 120.0
"""Seconds without any word from the agent, which speaks every 5 s, before the machine counts as lost."""
GRACE = 30.0
"""Seconds on top of a step's limit for the agent to kill it and to tell."""


class _Lost(Exception):
    """The machine is of no more use; the words say why."""


def run_job(
    job: GuestJob, accelerator: Accelerator, folder: Path, *,
    on_reply: Callable[[StepReply], None] | None = None, progress: Progress = silent,
) -> JobReply:  # fmt: skip
    """Boot a machine, run the steps in order, and tell what became of each.

    Whatever the guest does is in the reply, never an exception. Raises ToolMissing when there is no QEMU, ConfigError
    when `qemu/splats.yaml` is missing or wrong, and OSError when the host's disk is full. Files of steps land in
    `folder/<step>/`, the machine's own logs in `folder/<job>/`.
    """
    load_splats()  # a machine whose words cannot be judged is not worth booting
    logs = folder / job.name
    logs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="reviewbot-") as sockets:
        places = Places(Path(sockets), logs / "disks", logs)
        try:
            _make_disks(job, places)
            return _Run(job, accelerator, places, folder, on_reply or (lambda reply: None), progress).run()
        finally:
            remove_tree(places.disks)


def _make_disks(job: GuestJob, places: Places) -> None:
    remove_tree(places.disks)
    places.disks.mkdir(parents=True)
    sizes = {"results": RESULTS_BYTES, **{disk.serial: disk.size for disk in job.disks}}
    for serial, size in sizes.items():
        with (places.disks / f"{serial}.img").open("wb") as file:
            file.truncate(size)


@dataclass(slots=True)
class _Run:
    job: GuestJob
    accelerator: Accelerator
    places: Places
    folder: Path
    on_reply: Callable[[StepReply], None]
    progress: Progress
    nonce: str = field(default_factory=lambda: secrets.token_hex(16))
    replies: list[StepReply] = field(default_factory=list)
    hello: dict[str, Fact] = field(default_factory=dict)
    agent_seconds: float = 0.0
    problem: str = ""
    complete: bool = False
    notes: list[str] = field(default_factory=list)
    unasked: int = 0
    """Words of the agent that were no answer to what it was asked."""

    def run(self) -> JobReply:
        argv = command(self.job, self.accelerator.name, self.places)
        (self.places.logs / "qemu.cmd").write_text(shlex.join(argv) + "\n")
        started = time.monotonic()
        with (self.places.logs / "qemu.log").open("wb") as said, background(argv, log=said) as process:
            _expendable(process.pid)
            try:
                asyncio.run(self._talk(process, started))
            except _Lost as lost:
                self.problem = str(lost)
                self._blame_boot(time.monotonic() - started)
            if self.problem and process.poll() is not None:
                self.problem += self._last_words(process.returncode)
        self._account_for_rest()
        return JobReply(
            name=self.job.name, complete=self.complete and not self.problem, problem=self.problem, hello=self.hello,
            replies=tuple(self.replies), notes=tuple(self.notes), accelerator=self.accelerator.name,
            seconds=time.monotonic() - started, agent_seconds=self.agent_seconds,
        )  # fmt: skip

    def _blame_boot(self, seconds: float) -> None:
        """A kernel that crashed before its first step crashes that step: it is no fault of the lab."""
        if not self.replies and self.job.steps and heard(*self._said_since([0, 0])).crash:
            self._reply(self._lost(self.job.steps[0], seconds, [0, 0]))

    def _last_words(self, status: int) -> str:
        words = (self.places.logs / "qemu.log").read_text(errors="replace").strip().splitlines()
        return f" (QEMU ended with status {status}{': ' + words[-1] if words else ''})"

    async def _talk(self, process: Any, started: float) -> None:
        async with contextlib.AsyncExitStack() as stack:
            watch = asyncio.create_task(_ended(process))
            stack.callback(watch.cancel)
            qmp = QMPClient(self.job.name)
            await _or_ended(_connect_qmp(qmp, self.places.qmp), watch, FIRST_WORD, "QEMU did not start")
            stack.push_async_callback(_disconnect, qmp)
            control = _Port(*await asyncio.open_unix_connection(self.places.control), watch)
            stack.callback(control.close)
            names = frozenset(step.name for step in self.job.steps)
            files = _Files(*await asyncio.open_unix_connection(self.places.results), self.nonce, names, self.folder)
            stack.callback(files.close)
            lines = Lines(self.nonce)
            try:
                await self._converse(control, lines, files, started)
            finally:
                self._note(lines, files.refused + files.frames.strange)
            # It powers itself off; what does not is ended.
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.shield(watch), 5.0)

    def _note(self, lines: Lines, refused: int) -> None:
        """Keep what a liar, or a bug of the agent, left behind."""
        if refused:
            self.notes.append("the guest sent files that were refused")
        if lines.strange:
            self.notes.append(f"{lines.strange} lines on the control port were not of the agent")
        if self.unasked:
            self.notes.append(f"the guest answered {self.unasked} times what it was not asked, or twice")

    async def _converse(self, control: "_Port", lines: Lines, files: "_Files", started: float) -> None:
        control.say({"op": "hello", "nonce": self.nonce})
        first = await control.next(lines, FIRST_WORD, "no word from the agent")
        if first.get("t") != "hello":
            raise _Lost("the agent's first word was not its name")
        self.agent_seconds = time.monotonic() - started
        self.hello = facts(first)
        self.hello["slow_factor"] = f"{number(first, 'slow_factor'):.1f}"
        release = self.hello.get("kernel_release")
        if self.job.expect_release and release != self.job.expect_release:
            raise _Lost(f"the guest runs kernel {release}, not {self.job.expect_release}")
        slow = min(max(number(first, "slow_factor"), 1.0), 40.0)
        gate_failed = False
        for step in self.job.steps:
            if gate_failed:
                self._reply(StepReply(name=step.name, status="skipped"))
                continue
            reply = await self._step(step, slow, control, lines, files)
            self._reply(reply)
            gate_failed = step.gate and reply.exit_status != 0
        self.unasked += control.forget()
        marks = self._marks()
        control.say({"op": "off"})
        last = await control.next(lines, 60.0, "no final word from the agent")
        self.complete = last.get("t") == "final"
        if (late := heard(*self._said_since(marks))).line and late.fields["crash"] != "reboot":
            self.notes.append(f"the kernel splatted after the last step: {late.line}")

    async def _step(self, step: GuestStep, slow: float, control: "_Port", lines: Lines, files: "_Files") -> StepReply:
        limit = step.timeout * slow
        self.unasked += control.forget()
        marks = self._marks()
        control.say({"op": "run", "name": step.name, "argv": step.argv, "env": step.env, "timeout": limit,
                     "collect": step.collect})  # fmt: skip
        self.progress(Event("lab", self.job.name, "note", step.name))
        deadline = time.monotonic() + limit + GRACE * slow
        began = time.monotonic()
        before: str | None = None
        while True:
            try:
                left = deadline - time.monotonic()
                message = await control.next(lines, min(SILENCE, max(left, 0.01)), f"silence during {step.name}")
            except _Lost:
                self.replies.append(self._lost(step, time.monotonic() - began, marks))
                self.on_reply(self.replies[-1])
                raise
            match message.get("t"), message.get("name"):
                case "start", step.name if before is None:
                    before = text(message, "dmesg")
                case "done", step.name if before is not None:
                    break
                case "alive", _:
                    pass
                case _:
                    self.unasked += 1
        if number(message, "files"):
            await files.arrived(step.name)
        return self._done(step, message, before)

    def _done(self, step: GuestStep, message: dict[str, Any], before: str) -> StepReply:
        """before: what the kernel said between the last step and this one; nobody else is there to answer for it."""
        dmesg = before + text(message, "dmesg")
        said = heard(dmesg)
        status: StepStatus = "done"
        if message.get("timeout") is True:
            status = "timeout"
        elif said.crash:
            status = "crash"
        output = text(message, "output")
        folder = self._write(step, dmesg, output)
        return StepReply(
            name=step.name, status=status, exit_status=int(number(message, "status")),
            seconds=number(message, "seconds"), output=output, dmesg=dmesg[-TAIL:], files=folder, **said.fields,
        )  # fmt: skip

    def _lost(self, step: GuestStep, seconds: float, marks: Sequence[int]) -> StepReply:
        """The machine went away under this step: did its kernel say why, since the step began?"""
        consoles = self._said_since(marks)
        said, splat = "".join(consoles), heard(*consoles)
        return StepReply(
            name=step.name, status="crash" if splat.crash else "lost", seconds=seconds, dmesg=said[-TAIL:],
            files=self._write(step, said), **splat.fields,
        )  # fmt: skip

    def _marks(self) -> list[int]:
        """How much the consoles hold by now."""
        return [written(path) for path in self._consoles()]

    def _said_since(self, marks: Sequence[int]) -> list[str]:
        return [since(path, mark) for path, mark in zip(self._consoles(), marks, strict=True)]

    def _consoles(self) -> tuple[Path, Path]:
        return self.places.console, self.places.logs / "serial.log"

    def _write(self, step: GuestStep, dmesg: str, output: str | None = None) -> str:
        folder = self.folder / step.name
        folder.mkdir(parents=True, exist_ok=True)
        if output is not None:
            (folder / "output.txt").write_text(output)
        (folder / "dmesg.txt").write_text(dmesg)
        return str(folder)

    def _reply(self, reply: StepReply) -> None:
        self.replies.append(reply)
        self.on_reply(reply)

    def _account_for_rest(self) -> None:
        """Every step has an answer, and what a lost machine had collected is not lost."""
        told = {reply.name for reply in self.replies}
        if self.problem:
            unpack_disk(self.places.results_disk, self.folder, frozenset(told))
        self.replies += [StepReply(name=s.name, status="skipped") for s in self.job.steps if s.name not in told]
        if self.notes:
            (self.places.logs / "notes.txt").write_text("\n".join(self.notes) + "\n")


def _expendable(pid: int) -> None:
    """Out of memory on the host: the machine goes first."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text("800")


async def _ended(process: Any) -> None:
    while process.poll() is None:
        await asyncio.sleep(0.05)


async def _or_ended(work: Any, watch: "asyncio.Task[None]", limit: float, words: str) -> Any:
    """The result of `work`; _Lost when QEMU ends first or the time is over."""
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait({task, watch}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
    if task in done:
        return task.result()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await task
    raise _Lost("QEMU ended" if watch in done else f"{words} within {limit:.0f} s")


async def _connect_qmp(client: QMPClient, path: Path) -> None:
    """QEMU makes its socket some 50 ms after it starts."""
    while True:
        try:
            await client.connect(str(path))
            return
        except (QMPError, OSError):
            await asyncio.sleep(0.02)


async def _disconnect(client: QMPClient) -> None:
    with contextlib.suppress(QMPError, OSError, asyncio.TimeoutError):
        await asyncio.wait_for(client.execute("quit"), 2.0)
    with contextlib.suppress(QMPError, OSError, EOFError, asyncio.TimeoutError):
        await asyncio.wait_for(client.disconnect(), 2.0)


@dataclass(slots=True)
class _Port:
    """The control port."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    watch: "asyncio.Task[None]"
    waiting: list[dict[str, Any]] = field(default_factory=list)

    def say(self, message: dict[str, Any]) -> None:
        self.writer.write(json.dumps(message).encode() + b"\n")

    async def next(self, lines: Lines, limit: float, words: str) -> dict[str, Any]:
        """The next message of this job. Raises _Lost."""
        until = time.monotonic() + limit
        while not self.waiting:
            left = until - time.monotonic()
            if left <= 0:
                raise _Lost(f"{words} within {limit:.0f} s")
            try:
                data = await _or_ended(self.reader.read(65536), self.watch, left, words)
            except ConnectionError as error:
                raise _Lost("QEMU ended") from error
            if not data:
                await asyncio.sleep(0.2)  # let QEMU end, so that its status is known
                raise _Lost("the machine went away")
            self.waiting += lines.feed(data)
        return self.waiting.pop(0)

    def forget(self) -> int:
        """Drop what came before it was asked for; how many messages that were."""
        count = len([message for message in self.waiting if message.get("t") != "alive"])
        self.waiting.clear()
        return count

    def close(self) -> None:
        self.writer.close()


class _Files:
    """The results port: unpack what comes, as it comes."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, nonce: str, steps: frozenset[str],
        folder: Path,
    ) -> None:  # fmt: skip
        self.frames = Frames(nonce)
        self.steps = steps
        self.refused = 0
        self.folder = folder
        self.seen: set[str] = set()
        self.writer = writer
        self.news = asyncio.Event()
        self.task = asyncio.create_task(self._read(reader))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(1 << 20):
            for step, archive in self.frames.feed(data):
                self.refused += unpack(archive, self.folder, step) if step in self.steps else 1
                self.seen.add(step)
                self.news.set()

    async def arrived(self, step: str) -> None:
        """Wait for a step's files, half a minute at most: the control port was faster."""
        until = time.monotonic() + 30.0
        while step not in self.seen and time.monotonic() < until:
            self.news.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.news.wait(), 1.0)

    def close(self) -> None:
        self.task.cancel()
        self.writer.close()
