#!/usr/bin/python3 -ISE
# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's agent: PID 1 after `init`. Runs the steps that the host sends and tells what became of them.

Standard library only, and little of it: under emulation each import costs some 10 ms.
Control port: JSON lines both ways, each of ours with the host's nonce. Results port: for each step with files, one
JSON line `{"nonce", "step", "size"}` and that many bytes of a tar archive; the same bytes are appended to the results
disk, where they can be read after a crash.
"""

import errno
import fcntl
import json
import os
import select
import signal
import sys
import time

TAIL = 64 << 10  # bytes of a step's output, and of its kernel messages, that are told
WARNING = 4  # level of kernel messages from which on they are told apart
LOUD = 8 << 10  # bytes of these
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


def port(name):
    """The virtio-serial port of this name, open for both ways. There is no udev here to name its device."""
    from texts import read

    base = "/sys/class/virtio-ports"
    for device in os.listdir(base):
        if read(f"{base}/{device}/name").strip() == name:
            return os.open("/dev/" + device, os.O_RDWR | os.O_CLOEXEC)
    raise OSError(errno.ENODEV, f"no port {name}")


class Kmsg:
    """Kernel messages since the last look."""

    def __init__(self):
        self.fd = os.open("/dev/kmsg", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self.text = b""
        self.loud = b""
        """Lines of level warning and above that are the kernel's own, as `<4>text`."""

    def pump(self):
        while True:
            try:
                record = os.read(self.fd, 8192)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.EPIPE:  # EPIPE: messages were overwritten before we read them
                    return
                self.text += b"[some kernel messages were lost]\n"
                continue
            head, _, rest = record.partition(b";")
            fields = head.split(b",")
            priority = int(fields[0]) if fields[0].isdigit() else 0
            writer = b"user: " if priority >> 3 else b""  # what a program wrote here is not what the kernel says
            stamp = fields[2] if len(fields) > 2 else b"0"
            seconds = int(stamp) / 1e6 if stamp.isdigit() else 0.0
            # As on the console: `T123` is a task, `C1` a CPU.
            caller = b"".join(b"[%6s]" % field[7:] for field in fields[4:] if field.startswith(b"caller="))
            self.text += b"[%12.6f]%s %s" % (seconds, caller, writer) + rest.split(b"\n")[0] + b"\n"
            self.text = self.text[-4 * TAIL :]
            if priority <= WARNING:  # a program's have a facility, which is above the level
                self.loud = (self.loud + b"<%d>%s\n" % (priority, rest.split(b"\n")[0]))[-LOUD:]

    def take(self):
        self.pump()
        text, self.text = self.text, b""
        return text

    def take_loud(self):
        self.pump()
        loud, self.loud = self.loud, b""
        return loud

    def say(self, words):
        os.write(self.fd, f"<6>reviewbot: {words}\n".encode())


class Child:
    """The command of a step: the end of its output as it comes. Raises OSError when it cannot be started."""

    def __init__(self, order):
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

    def read(self):
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

    def over(self, dead):
        """A server that went to the background may hold the pipe for ever."""
        self.end = self.end or (time.monotonic() if dead else 0.0)
        return dead and (self.reader < 0 or time.monotonic() - self.end > 0.15)

    def close(self):
        if self.reader >= 0:
            os.close(self.reader)
            self.reader = -1


class Agent:
    def __init__(self):
        self.control = port("control")
        self.results = port("results")
        self.kmsg = Kmsg()
        self.nonce = ""
        self.inbox = b""
        self.disk = None
        self.step = None
        self.watched = set()  # children whose status somebody waits for
        self.dead = {}
        self.beat = 0.0
        self.meter = None

    def tell(self, **words):
        line = json.dumps({"nonce": self.nonce, **words}).encode() + b"\n"
        while line:
            line = line[os.write(self.control, line) :]

    def listen(self):
        while b"\n" not in self.inbox:
            block = os.read(self.control, 65536)
            if not block:  # the host is not there yet, or no more
                time.sleep(0.02)
            self.inbox += block
        line, _, self.inbox = self.inbox.partition(b"\n")
        return json.loads(line)

    def serve(self):
        from saved import freshen, warm

        while True:
            order = self.listen()
            if order["op"] == "hello":
                self.nonce = order["nonce"]
                freshen(order)
                self.hello()
            elif order["op"] == "warm":
                warm(ENV)
                self.tell(t="warm")
            elif order["op"] == "run":
                self.run(order)
            elif order["op"] == "off":
                self.tell(t="final")
                time.sleep(0.05)
                power_off()

    def hello(self):
        from boot import facts

        self.tell(t="hello", **facts())

    def run(self, order):
        import deaths

        name = order["name"]
        before = self.kmsg.take()  # what was said between steps belongs to the one that ended
        self.kmsg.say(f"step {name}")
        self.tell(t="start", name=name, dmesg=clip(before))
        meter = self.measure() if order.get("measure") else None
        started = time.monotonic()
        try:
            self.step = Child(order)
        except OSError as error:
            self.tell(t="done", name=name, status=127, seconds=0, output=f"{order['argv'][0]}: {error.strerror}")
            return
        self.watched.add(self.step.pid)
        hung = {} if self.attend(order["timeout"], self.ended) else self.end(name, order["timeout"])
        seconds = time.monotonic() - started
        self.step.close()
        taken = meter.end() if meter else None
        status = self.dead.pop(self.step.pid, -1)
        if deaths.died():
            self.apart("examine", EXAMINE_LIMIT, "deaths")
        if status < 0 and not hung:  # what it started in other sessions has nobody to end it
            hung = {"unclean": self.clean()}
        size = self.collect(name, [*order.get("collect", ()), deaths.DEAD])
        self.tell(
            t="done", name=name, status=status, seconds=round(seconds, 3),
            output=clip(self.step.output), loud=clip(self.kmsg.take_loud()), dmesg=clip(self.kmsg.take()), files=size,
            server=taken, **hung,
        )  # fmt: skip
        self.watched.clear()
        self.dead.clear()

    def measure(self):
        if self.meter is None:
            from figures import Meter

            self.meter = Meter()
        self.meter.begin()
        return self.meter

    def ended(self):
        return self.step.over(self.step.pid in self.dead)

    def attend(self, seconds, over):
        """Read what the step says, bury the dead and stay heard until it is `over()`, True, or the time is up."""
        until = time.monotonic() + seconds
        while True:
            self.step.read()
            self.reap()
            now = time.monotonic()
            if over():
                return True
            if now > until:
                return False
            if now - self.beat > HEARTBEAT:
                self.beat = now
                self.kmsg.pump()
                self.tell(t="alive")

    def reap(self):
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

    def end(self, name, limit):
        """A step that reached its limit: tell what it hangs in, abort its FUSE connections, kill it, clean up after it.

        What the host is told of it. `unclean`: why nothing else should run here.
        """
        self.kmsg.say(f"step {name} reached its limit of {limit:.0f} s")
        said = self.apart("collect", COLLECT_LIMIT)
        size = self.collect(name, ["/run/reviewbot/hang"])
        self.tell(t="hang", name=name, text=said or "its state could not be read", output=clip(self.step.output),
                  files=size)  # fmt: skip
        aborted = self.apart("abort", ABORT_LIMIT)
        by = "abort"
        if not aborted or not self.attend(ABORT_WAIT, self.ended):
            by = "kill"
            kill(-self.step.pid)
            kill(self.step.pid)
            self.attend(KILL_WAIT, self.ended)
        unclean = self.clean()
        if not unclean:
            self.attend(KILL_WAIT, self.ended)
        return {"timeout": True, "aborted": aborted or "", "by": by, "unclean": unclean}

    def clean(self):
        """End what a step left; why nothing else should run here, or empty."""
        unclean = self.apart("clean", CLEAN_LIMIT)
        return f"cleaning up did not end within {CLEAN_LIMIT:.0f} s" if unclean is None else unclean

    def apart(self, work, seconds, module="hang"):
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
        if self.attend(seconds, lambda: pid in self.dead):
            said = (drain(reader) or b"").decode(errors="replace")
        else:
            kill(pid)
        os.close(reader)
        return said

    def collect(self, name, patterns):
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


def widen(pipe):
    try:
        fcntl.fcntl(pipe, 1031, PIPE)  # F_SETPIPE_SZ
    except OSError:
        return  # it stays small, and is only slower


def drain(fd):
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


def kill(target):
    try:
        os.kill(target, signal.SIGKILL)
    except ProcessLookupError:
        return


def clip(data):
    return data[-TAIL:].decode(errors="replace")


def power_off():
    from texts import write

    os.sync()
    write("/proc/sysrq-trigger", "o")
    time.sleep(60)


def main():
    os.chdir("/")
    sys.path.insert(0, "/stack/suites")
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
