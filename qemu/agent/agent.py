#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's agent: PID 1 after `init`. Runs the steps that the host sends and tells what became of them.

Standard library only, and little of it: under emulation each import costs some 10 ms.
Control port: JSON lines both ways, each of ours with the host's nonce. Results port: for each step with files, one
JSON line `{"nonce", "step", "size"}` and that many bytes of a tar archive; the same bytes are appended to the results
disk, where they can be read after a crash.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import select
import signal
import sys
import time

import protocol
from kmsg import Kmsg
from protocol import TAIL

TYPE_CHECKING = False  # that of `typing`, whose import costs too much here
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from figures import Meter
    from standstill import Standstill

HEARTBEAT = 5.0
PIPE = 1 << 20  # bytes of a step's pipe: one that prints a gigabyte shall not wake us 16,000 times
# Seconds that each rung of the ladder may take when a step reached its limit; the waits end early.
COLLECT_LIMIT, ABORT_LIMIT, ABORT_WAIT, KILL_WAIT, CLEAN_LIMIT = 20.0, 5.0, 8.0, 3.0, 30.0
EXAMINE_LIMIT = 30.0  # seconds to look at servers that died
ENV = {
    "PATH": "/stack/sbin:/stack/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "TMPDIR": "/tmp",
    "TERM": "dumb",
    "USER": "root",
    "LOGNAME": "root",
    "DM_DISABLE_UDEV": "1",  # else device-mapper leaves it to udev, which is not here, to make /dev/mapper/NAME
}


def port(name: str) -> int:
    """The virtio-serial port of this name, open for both ways. There is no udev here to name its device."""
    from texts import read

    base = "/sys/class/virtio-ports"
    for device in os.listdir(base):
        if read(f"{base}/{device}/name").strip() == name:
            return os.open("/dev/" + device, os.O_RDWR | os.O_CLOEXEC)
    raise OSError(errno.ENODEV, f"no port {name}")


class Child:
    """The command of a step: the end of its output as it comes. Raises OSError when it cannot be started."""

    def __init__(self, order: dict[str, Any]) -> None:
        from start import start

        reader, writer = os.pipe2(os.O_CLOEXEC)
        widen(reader)
        try:
            self.pid = start(order["argv"], {**ENV, **order.get("env", {})}, writer)
        except OSError:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        os.set_blocking(reader, False)
        self.reader, self.output, self.end = reader, b"", 0.0
        self.poll = select.poll()
        self.poll.register(reader, select.POLLIN)

    def read(self) -> None:
        """Wait a little and take what there is."""
        if self.reader < 0:
            time.sleep(0.02)
            return
        self.poll.poll(50)
        block = drain(self.reader)
        if block is None:
            self.close()
        else:
            self.output = block[-2 * TAIL :] if len(block) > 2 * TAIL else (self.output + block)[-2 * TAIL :]

    def over(self, dead: bool) -> bool:
        """A server that went to the background may hold the pipe for ever."""
        self.end = self.end or (time.monotonic() if dead else 0.0)
        return dead and (self.reader < 0 or time.monotonic() - self.end > 0.15)

    def close(self) -> None:
        if self.reader >= 0:
            os.close(self.reader)
            self.reader = -1


class Agent:
    def __init__(self) -> None:
        self.control = port("control")
        self.results = port("results")
        self.kmsg = Kmsg()
        self.nonce = ""
        self.inbox = b""
        self.disk: int | None = None
        self.watched: set[int] = set()  # children whose status somebody waits for
        self.dead: dict[int, int] = {}
        self.beat = 0.0
        self.meter: Meter | None = None

    def tell(self, **words: Any) -> None:
        line = json.dumps({"nonce": self.nonce, **words}).encode() + b"\n"
        while line:
            line = line[os.write(self.control, line) :]

    def listen(self) -> Any:
        while b"\n" not in self.inbox:
            block = os.read(self.control, 65536)
            if not block:  # the host is not there yet, or no more
                time.sleep(0.02)
            self.inbox += block
        line, _, self.inbox = self.inbox.partition(b"\n")
        return json.loads(line)

    def serve(self) -> None:
        from snapshot import freshen, warm

        while True:
            order = self.listen()
            if order["op"] == protocol.HELLO:
                self.nonce = order["nonce"]
                freshen(order)
                self.hello()
            elif order["op"] == protocol.WARM:
                warm(ENV)
                self.tell(t=protocol.WARM)
            elif order["op"] == protocol.RUN:
                self.run(order)
            elif order["op"] == protocol.OFF:
                self.tell(t=protocol.FINAL)
                time.sleep(0.05)
                power_off()

    def hello(self) -> None:
        from boot import facts

        self.tell(t=protocol.HELLO, **facts())

    def run(self, order: dict[str, Any]) -> None:
        import deaths

        name = order["name"]
        before = self.kmsg.take()  # what was said between steps belongs to the one that ended
        self.kmsg.say(f"step {name}")
        self.tell(t=protocol.START, name=name, dmesg=clip(before))
        meter = self.measure() if order.get("measure") else None
        started = time.monotonic()
        try:
            step = Child(order)
        except OSError as error:
            self.tell(t=protocol.DONE, name=name, status=127, seconds=0, output=f"{order['argv'][0]}: {error.strerror}")
            return
        self.watched.add(step.pid)
        still = self.standstill(order.get("still", 0.0))
        hung = {} if self.ended(step, order["timeout"], still) else self.end(step, name, order["timeout"], still)
        seconds = time.monotonic() - started
        step.close()
        taken = meter.end() if meter else None
        status = self.dead.pop(step.pid, -1)
        if deaths.died():
            self.apart(step, "examine", EXAMINE_LIMIT, "deaths")
        if status < 0 and not hung:  # what it started in other sessions has nobody to end it
            hung = {"unclean": self.clean(step)}
        size = self.collect(name, [*order.get("collect", ()), deaths.DEAD])
        self.tell(
            t=protocol.DONE,
            name=name,
            status=status,
            seconds=round(seconds, 3),
            output=clip(step.output),
            loud=clip(self.kmsg.take_loud()),
            dmesg=clip(self.kmsg.take()),
            files=size,
            server=taken,
            **hung,
        )
        self.watched.clear()
        self.dead.clear()

    def measure(self) -> Meter:
        if self.meter is None:
            from figures import Meter

            self.meter = Meter()
        self.meter.begin()
        return self.meter

    def standstill(self, seconds: float) -> Standstill | None:
        if not seconds:
            return None
        from standstill import Standstill

        return Standstill(seconds)

    def ended(self, step: Child, seconds: float, still: Standstill | None = None) -> bool:
        """Wait so long for its end, or until nothing moves any more; whether the end came."""
        return self.attend(step, seconds, lambda: step.over(step.pid in self.dead), still)

    def attend(self, step: Child, seconds: float, over: Callable[[], bool], still: Standstill | None = None) -> bool:
        """Read what the step says, bury the dead and stay heard until it is `over()`, True, or the time is up."""
        until = time.monotonic() + seconds
        while True:
            step.read()
            self.reap()
            now = time.monotonic()
            if over():
                return True
            if now > until or (still and still.now()):
                return False
            if now - self.beat > HEARTBEAT:
                self.beat = now
                self.kmsg.pump()
                self.tell(t=protocol.ALIVE)

    def reap(self) -> None:
        """Bury all children that ended. We are init: everybody's orphans are ours too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self.watched:
                self.dead[pid] = os.waitstatus_to_exitcode(status)

    def end(self, step: Child, name: str, limit: float, still: Standstill | None) -> dict[str, Any]:
        """A step that hangs: tell what it hangs in, abort its FUSE connections, kill it, clean up after it.

        What the host is told of it. `still`: seconds for which nothing moved, when that is why. `unclean`: why nothing
        else should run here.
        """
        stood = still.stood if still else 0.0
        self.kmsg.say(
            f"step {name} "
            + (f"has not progressed for {stood:.0f} s" if stood else f"reached its limit of {limit:.0f} s")
        )
        said = self.apart(step, "collect", COLLECT_LIMIT)
        size = self.collect(name, ["/run/reviewbot/hang"])
        self.tell(
            t=protocol.HANG,
            name=name,
            still=stood,
            text=said or "its state could not be read",
            output=clip(step.output),
            files=size,
        )
        aborted = self.apart(step, "abort", ABORT_LIMIT)
        by = "abort"
        if not aborted or not self.ended(step, ABORT_WAIT):
            by = "kill"
            kill(-step.pid)
            kill(step.pid)
            self.ended(step, KILL_WAIT)
        unclean = self.clean(step)
        if not unclean:
            self.ended(step, KILL_WAIT)
        return {"timeout": True, "aborted": aborted or "", "by": by, "unclean": unclean}

    def clean(self, step: Child) -> str:
        """End what a step left; why nothing else should run here, or empty."""
        unclean = self.apart(step, "clean", CLEAN_LIMIT)
        return f"cleanup did not finish within {CLEAN_LIMIT:.0f} s" if unclean is None else unclean

    def apart(self, step: Child, work: str, seconds: float, module: str = "hang") -> str | None:
        """The words of a module's function, called in a process of its own; None when it does not end in time."""
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        pid = os.fork()
        if pid == 0:
            try:
                os.write(writer, getattr(__import__(module), work)().encode(errors="replace"))
            except BaseException as error:
                os.write(writer, f"{work} failed: {error!r}".encode(errors="replace"))
            finally:
                os._exit(0)
        os.close(writer)
        self.watched.add(pid)
        said = None
        if self.attend(step, seconds, lambda: pid in self.dead):
            said = (drain(reader) or b"").decode(errors="replace")
        else:
            kill(pid)
        os.close(reader)
        return said

    def collect(self, name: str, patterns: list[str]) -> int:
        """Send files as a tar archive; returns its size. Also kept on the results disk."""
        from archive import archive

        data, end = archive(name, patterns)
        if not data:
            return 0
        if self.disk is None:
            try:
                self.disk = os.open("/dev/disk/by-serial/results", os.O_WRONLY | os.O_CLOEXEC)
            except OSError:
                self.disk = -1
        if self.disk >= 0:
            try:
                os.write(self.disk, data[:end])
                os.fsync(self.disk)
            except OSError:
                self.disk = -1  # full: the port still has them all
        header = json.dumps({"nonce": self.nonce, "step": name, "size": len(data)}).encode() + b"\n"
        block = memoryview(header + data)
        while block:
            block = block[os.write(self.results, block) :]
        return len(data)


def widen(pipe: int) -> None:
    try:
        fcntl.fcntl(pipe, 1031, PIPE)  # F_SETPIPE_SZ
    except OSError:
        return  # it stays small, and is only slower


def drain(fd: int) -> bytes | None:
    """What can be read now; None at the end of file."""
    data = b""
    while len(data) < PIPE:
        try:
            block = os.read(fd, PIPE)
        except BlockingIOError:
            return data
        if not block:
            return data or None
        data += block
    return data


def kill(target: int) -> None:
    try:
        os.kill(target, signal.SIGKILL)
    except ProcessLookupError:
        return


def clip(data: bytes) -> str:
    return data[-TAIL:].decode(errors="replace")


def power_off() -> None:
    from texts import write

    os.sync()
    write("/proc/sysrq-trigger", "o")
    time.sleep(60)


def main() -> None:
    os.chdir("/")
    sys.path.append("/stack/suites")  # a suite is a fork of this process
    from boot import prepare

    prepare()
    Agent().serve()


if __name__ == "__main__":
    try:
        main()
    except BaseException as error:  # PID 1 must not die without a word: the host reads the console
        with open("/dev/console", "w") as console:
            console.write(f"reviewbot-agent: died: {error!r}\n")
        if not isinstance(error, Exception):
            raise
        sys.excepthook(*sys.exc_info())
        power_off()
