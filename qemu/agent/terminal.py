# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's end of `reviewbot shell`: a shell on a terminal of its own, or between pipes, spoken to through a port.

The host sends this text with the step that runs it, so that it works in the guest of any run.
`python3 -S -c TEXT tty|pipe FOLDER`. Both ways in frames: one byte of kind, two of length, big-endian, and the bytes.
From the host: `k` keys, `z` rows and columns of its window, `e` end of input. To it: `r` ready, `o` stdout, `e` stderr.
Ends with the shell's exit status, 128 and the number of the signal that ended it. Standard library only.
"""

import errno
import fcntl
import os
import select
import signal
import struct
import sys
import termios
import time

FULL = 1 << 16  # bytes of keys that may wait for the shell to read them
BLOCK = 1 << 14


def port(name: str) -> int:
    for device in os.listdir("/sys/class/virtio-ports"):
        try:
            with open(f"/sys/class/virtio-ports/{device}/name") as file:
                if file.read().strip() == name:
                    return os.open(f"/dev/{device}", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:  # the console has no name
            continue
    raise OSError(errno.ENODEV, f"no port {name}")


def run_shell(folder: str, ends: tuple[int, ...], interactive: bool) -> int:
    """Fork a shell whose standard files are `ends`; its process id."""
    pid = os.fork()
    if pid:
        for end in set(ends):
            os.close(end)
        return pid
    try:
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # Python programs ignore these two
            signal.signal(ignored, signal.SIG_DFL)
        os.setsid()
        if interactive:
            fcntl.ioctl(ends[0], termios.TIOCSCTTY, 0)
        for number, end in enumerate(ends):
            os.dup2(end, number)
        os.chdir(folder)
        os.execvp("bash", ["bash", "--norc", "-i"] if interactive else ["bash"])
    except OSError as error:
        os.write(2, f"no shell: {error}\n".encode())
    finally:
        os._exit(127)


class Session:
    def __init__(self, host: int, interactive: bool, folder: str) -> None:
        self.host, self.interactive = host, interactive
        self.inbox = self.keys = b""
        self.closing = self.greeted = False
        if interactive:
            self.keyboard, slave = os.openpty()
            self.outputs = {self.keyboard: b"o"}
            self.pid = run_shell(folder, (slave, slave, slave), True)
        else:
            pipes = [os.pipe2(os.O_CLOEXEC) for _ in range(3)]
            self.keyboard = pipes[0][1]
            self.outputs = {pipes[1][0]: b"o", pipes[2][0]: b"e"}
            self.pid = run_shell(folder, (pipes[0][0], pipes[1][1], pipes[2][1]), False)
        for end in {self.keyboard, *self.outputs}:
            os.set_blocking(end, False)

    def send(self, kind: bytes, data: bytes = b"") -> None:
        frame = kind + struct.pack(">H", len(data)) + data
        while frame:
            frame = frame[os.write(self.host, frame) :]

    def serve(self) -> int:
        """Carry bytes both ways until the shell is dead; its status."""
        self.send(b"r")
        while True:
            dead, status = os.waitpid(self.pid, os.WNOHANG)
            self.turn(0.0 if dead else 0.1)
            if dead:
                while self.turn(0.0):
                    pass
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code

    def turn(self, wait: float) -> bool:
        """Carry what there is; whether the shell had said anything."""
        readers = [*self.outputs, *([self.host] if len(self.keys) < FULL else [])]
        ready, able, _ = select.select(readers, [self.keyboard] if self.keys and self.keyboard >= 0 else [], [], wait)
        if able:
            try:
                self.keys = self.keys[os.write(self.keyboard, self.keys) :]
            except OSError:  # it closed its input
                self.keys = b""
        if self.host in ready:
            self.hear()
        if self.closing and not self.keys and not self.interactive and self.keyboard >= 0:
            os.close(self.keyboard)
            self.keyboard = -1
        said = [self.say(end) for end in ready if end in self.outputs]
        return True in said

    def say(self, end: int) -> bool:
        try:
            data = os.read(end, BLOCK)
        except OSError:  # a terminal whose last user is gone
            data = b""
        if data:
            self.send(self.outputs[end], data)
        else:
            del self.outputs[end]
        return bool(data)

    def hear(self) -> None:
        data = os.read(self.host, BLOCK)
        if not data:
            if self.greeted:
                os.kill(self.pid, signal.SIGHUP)  # the user is gone, as when a line is cut
            time.sleep(0.1)
        self.greeted = self.greeted or bool(data)
        self.inbox += data
        while len(self.inbox) >= 3 and len(self.inbox) >= 3 + (length := struct.unpack(">H", self.inbox[1:3])[0]):
            kind, frame, self.inbox = self.inbox[:1], self.inbox[3 : 3 + length], self.inbox[3 + length :]
            if kind == b"k":
                self.keys += frame
            elif kind == b"e":
                self.closing = True
                if self.interactive:
                    self.keys += b"\x04"
            elif kind == b"z" and self.interactive and length == 4:
                fcntl.ioctl(self.keyboard, termios.TIOCSWINSZ, frame + bytes(4))


if __name__ == "__main__":
    sys.exit(Session(port("terminal"), sys.argv[1] == "tty", sys.argv[2]).serve())
