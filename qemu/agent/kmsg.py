# SPDX-License-Identifier: GPL-2.0-or-later
"""What the kernel says, from /dev/kmsg."""

import errno
import os

from protocol import TAIL

WARNING = 4
"""Level of messages from which on they are told apart."""
LOUD = 8 << 10
"""Bytes of these."""


class Kmsg:
    """Kernel messages since the last look."""

    def __init__(self) -> None:
        self.fd = os.open("/dev/kmsg", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self.text = b""
        self.loud = b""
        """Lines of level warning and above that are the kernel's own, as `<4>text`."""

    def pump(self) -> None:
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

    def take(self) -> bytes:
        self.pump()
        text, self.text = self.text, b""
        return text

    def take_loud(self) -> bytes:
        self.pump()
        loud, self.loud = self.loud, b""
        return loud

    def say(self, words: str) -> None:
        os.write(self.fd, f"<6>reviewbot: {words}\n".encode())
