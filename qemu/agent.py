#!/usr/bin/python3 -ISE
# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's agent: PID 1 after `init`. Runs the steps that the host sends and tells what became of them.

Standard library only, and little of it: under emulation each import costs some 10 ms.
Control port: JSON lines both ways, each of ours with the host's nonce. Results port: for each step with files, one
JSON line `{"nonce", "step", "size"}` and that many bytes of a tar archive; the same bytes are appended to the results
disk, where they can be read after a crash.
"""

import errno
import json
import os
import select
import signal
import sys
import time

TAIL = 64 << 10  # bytes of a step's output, and of its kernel messages, that are told
FILE_LIMIT = 4 << 20  # bytes of one collected file; the end counts
STEP_LIMIT = 24 << 20  # bytes of all files of a step
HEARTBEAT = 5.0
ENV = {
    "PATH": "/stack/sbin:/stack/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "TMPDIR": "/tmp",
    "TERM": "dumb",
    "USER": "root",
    "LOGNAME": "root",
}


def libc():
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def mount(library, source, target, kind, flags=0, data=""):
    os.makedirs(target, exist_ok=True)
    library.mount(source.encode(), target.encode(), kind.encode(), flags, data.encode() or None)


def prepare():
    """Mounts, device links and helpers that every step may rely on."""
    library = libc()
    mount(library, "devpts", "/dev/pts", "devpts")
    mount(library, "shm", "/dev/shm", "tmpfs")  # executable: LKL maps its memory from there with PROT_EXEC
    mount(library, "tmp", "/tmp", "tmpfs", 0, "mode=1777")
    mount(library, "run", "/run", "tmpfs", 0, "mode=0755")
    mount(library, "fusectl", "/sys/fs/fuse/connections", "fusectl")
    mount(library, "debugfs", "/sys/kernel/debug", "debugfs")
    mount(library, "tracefs", "/sys/kernel/tracing", "tracefs")
    mount(library, "cgroup2", "/sys/fs/cgroup", "cgroup2")
    library.umount2(b"/old", 2)  # MNT_DETACH
    for name in ("fd", "stdin", "stdout", "stderr"):
        if not os.path.lexists("/dev/" + name):
            os.symlink(
                "/proc/self/fd" + {"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"}[name], "/dev/" + name
            )
    for folder in ("/run/reviewbot", "/run/lock", "/dev/disk/by-serial", "/mnt/test", "/mnt/scratch", "/results"):
        os.makedirs(folder, exist_ok=True)
    for disk in os.listdir("/sys/block"):
        serial = read(f"/sys/block/{disk}/serial")
        if serial:
            os.symlink(f"/dev/{disk}", f"/dev/disk/by-serial/{serial}")
    if os.path.isdir("/stack/helpers"):
        for name in os.listdir("/stack/helpers"):
            if os.path.lexists("/sbin/" + name):
                os.unlink("/sbin/" + name)
            os.symlink("/stack/helpers/" + name, "/sbin/" + name)
    write("/proc/sys/kernel/sysrq", "1")
    write("/proc/sys/kernel/printk", "5")
    write("/proc/sys/kernel/core_pattern", "/run/reviewbot/core.%e.%p")
    write("/proc/sys/kernel/hostname", "reviewbot")
    loopback()


def loopback():
    """Bring `lo` up: some tests talk to themselves."""
    import fcntl
    import socket
    import struct

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, 0x8914, struct.pack("16sH14s", b"lo", 0x1 | 0x40, b""))  # SIOCSIFFLAGS, UP | RUNNING


def read(path):
    try:
        with open(path, errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def write(path, text):
    try:
        with open(path, "w") as file:
            file.write(text)
    except OSError:
        pass


def port(name):
    """The virtio-serial port of this name, open for both ways. There is no udev here to name its device."""
    base = "/sys/class/virtio-ports"
    for device in os.listdir(base):
        if read(f"{base}/{device}/name") == name:
            return os.open("/dev/" + device, os.O_RDWR | os.O_CLOEXEC)
    raise OSError(errno.ENODEV, f"no port {name}")


def slow_factor():
    """How many times slower than a current desktop CPU this is: a fixed loop takes 3 ms there."""
    started = time.perf_counter()
    total = 0
    for number in range(60_000):
        total += number & 7
    return round(max(1.0, (time.perf_counter() - started) / 0.003), 2)


class Kmsg:
    """Kernel messages since the last look."""

    def __init__(self):
        self.fd = os.open("/dev/kmsg", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self.text = b""

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
            stamp = head.split(b",")[2] if head.count(b",") >= 2 else b"0"
            seconds = int(stamp) / 1e6 if stamp.isdigit() else 0.0
            self.text += b"[%12.6f] " % seconds + rest.split(b"\n")[0] + b"\n"
            self.text = self.text[-4 * TAIL :]

    def take(self):
        self.pump()
        text, self.text = self.text, b""
        return text

    def say(self, words):
        os.write(self.fd, f"<6>reviewbot: {words}\n".encode())


class Agent:
    def __init__(self):
        self.control = port("control")
        self.results = port("results")
        self.kmsg = Kmsg()
        self.nonce = ""
        self.inbox = b""
        self.disk = None
        self.orphans = 0

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
        while True:
            order = self.listen()
            if order["op"] == "hello":
                self.nonce = order["nonce"]
                self.hello()
            elif order["op"] == "run":
                self.run(order)
            elif order["op"] == "off":
                self.tell(t="final")
                time.sleep(0.05)
                power_off()

    def hello(self):
        uname = os.uname()
        memory = next(
            (line.split()[1] for line in read("/proc/meminfo").splitlines() if line.startswith("MemTotal")), "0"
        )
        self.tell(
            t="hello", kernel_release=uname.release, kernel_version=uname.version, cpus=os.cpu_count(),
            memory_kib=int(memory), slow_factor=slow_factor(), uptime=float(read("/proc/uptime").split()[0]),
        )  # fmt: skip

    def run(self, order):
        name = order["name"]
        before = self.kmsg.take()  # what was said between steps belongs to the one that ended
        self.kmsg.say(f"step {name}")
        self.tell(t="start", name=name, dmesg=clip(before))
        started = time.monotonic()
        status, output, timed_out = self.execute(order)
        seconds = time.monotonic() - started
        size = 0
        if order.get("collect"):
            size = self.collect(name, order["collect"])
        self.tell(
            t="done", name=name, status=status, timeout=timed_out, seconds=round(seconds, 3), output=clip(output),
            dmesg=clip(self.kmsg.take()), files=size,
        )  # fmt: skip

    def execute(self, order):
        """Exit status (negative: signal), the end of the output, and whether the limit struck."""
        reader, writer = os.pipe2(os.O_CLOEXEC)
        actions = [(os.POSIX_SPAWN_DUP2, writer, 1), (os.POSIX_SPAWN_DUP2, writer, 2),
                   (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)]  # fmt: skip
        argv = order["argv"]
        try:
            child = os.posix_spawnp(argv[0], argv, {**ENV, **order.get("env", {})}, file_actions=actions, setsid=True)
        except OSError as error:
            os.close(reader)
            os.close(writer)
            return 127, f"{argv[0]}: {error.strerror}".encode(), False
        os.close(writer)
        os.set_blocking(reader, False)
        limit = time.monotonic() + order["timeout"]
        output, status, timed_out, ended, beat = b"", None, False, 0.0, time.monotonic()
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        is_open = True
        while True:
            if is_open:
                poll.poll(50)
                block = drain(reader)
                if block is None:
                    is_open = False
                else:
                    output = (output + block)[-2 * TAIL :]
            else:
                time.sleep(0.02)
            status = self.reap(child) if status is None else status
            now = time.monotonic()
            if status is not None:
                ended = ended or now
                # A server that went to the background may hold the pipe for ever.
                if not is_open or now - ended > 0.15:
                    break
            elif now > limit:
                timed_out = True
                self.kill(child)
                limit = now + 5.0
            if now - beat > HEARTBEAT:
                beat = now
                self.kmsg.pump()
                self.tell(t="alive")
        os.close(reader)
        return status, output, timed_out

    def reap(self, child):
        """Exit status of the child if it has ended. We are init: everybody's orphans are ours too."""
        found = None
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return found if found is not None else -1
            if pid == 0:
                return found
            if pid == child:
                found = os.waitstatus_to_exitcode(status)

    def kill(self, child):
        """End a step that takes too long. A FUSE server that does not answer would make its clients unkillable."""
        base = "/sys/fs/fuse/connections"
        try:
            connections = os.listdir(base)
        except OSError:
            connections = []
        self.kmsg.say("limit reached; aborting fuse connections and killing the step")
        write("/proc/sysrq-trigger", "w")
        for connection in connections:
            write(f"{base}/{connection}/abort", "1")
        for target in (-child, child):
            kill(target)

    def collect(self, name, patterns):
        """Send files as a tar archive; returns its size. Also kept on the results disk."""
        import glob
        import io
        import tarfile

        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for path in sorted({p for pattern in patterns for p in glob.glob(pattern)}):
                add(tar, path, name)
            end = tar.offset  # without the end-of-archive blocks: on the disk the next step's archive follows
        data = archive.getvalue()
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


def add(tar, path, step):
    """One file or folder, each file cut to its end, all of them to STEP_LIMIT."""
    import io
    import tarfile

    paths = [path]
    if os.path.isdir(path) and not os.path.islink(path):
        paths = [os.path.join(root, name) for root, _, names in os.walk(path) for name in names]
    for one in sorted(paths):
        try:
            if not os.path.isfile(one) or os.path.islink(one) or tar.offset > STEP_LIMIT:
                continue
            with open(one, "rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - FILE_LIMIT))
                content = file.read(FILE_LIMIT)
        except OSError:
            continue
        inner = os.path.relpath(one, os.path.dirname(path.rstrip("/")))
        info = tarfile.TarInfo(f"{step}/{inner}")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))


def drain(fd):
    """What can be read now; None at the end of file."""
    data = b""
    while len(data) < 1 << 20:
        try:
            block = os.read(fd, 65536)
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
    os.sync()
    write("/proc/sysrq-trigger", "o")
    time.sleep(60)


def main():
    os.chdir("/")
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
