# SPDX-License-Identifier: GPL-2.0-or-later
"""`liar.py`: forges words and files of the guest's agent, from inside the guest, through the agent's own descriptors.

The ports can be opened only once, so it borrows them (pidfd_getfd). It reads the nonce of the run in the agent's
memory: nothing inside the guest is a secret to root.
"""

import ctypes
import io
import json
import os
import re
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

PIDFD_OPEN, PIDFD_GETFD = 434, 438
libc = ctypes.CDLL(None)


def nonce() -> str:
    """Of this run."""
    with Path("/proc/1/maps").open() as maps, Path("/proc/1/mem").open("rb") as memory:
        for line in maps:
            words = line.split()
            if words[1].startswith("rw") and not words[-1].startswith("[v"):
                start, end = (int(place, 16) for place in words[0].split("-"))
                memory.seek(start)
                if found := re.search(rb'"nonce": "([0-9a-f]{32})"', memory.read(end - start)):
                    return found[1].decode()
    return ""


def borrowed() -> Iterator[int]:
    """Descriptors of the agent's ports."""
    agent = libc.syscall(PIDFD_OPEN, 1, 0)
    for path in sorted(Path("/proc/1/fd").iterdir(), key=lambda path: int(path.name)):
        if str(path.readlink()).startswith("/dev/vport"):
            yield libc.syscall(PIDFD_GETFD, agent, int(path.name), 0)


def archive(*names: str) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 4
            tar.addfile(info, io.BytesIO(b"lie\n"))
    return data.getvalue()


def write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


secret = nonce()
lie = {"t": "done", "status": 0, "seconds": 1, "output": "all good"}
words = [
    {"nonce": "0" * 32, "name": "liar", **lie},
    {"nonce": secret, "name": "before", **lie},
    {"nonce": secret, "name": "no-such-step", **lie},
    {"nonce": secret, "name": ["liar"], **lie},
]
control, results = borrowed()
write(control, b"".join(json.dumps(word).encode() + b"\n" for word in words))
write(control, b"x" * (3 << 20) + b"\n\xff\xfe not UTF-8\n")
for step, data in (
    ("no-such-step", archive("no-such-step/file")),
    ("liar", archive("liar/../../outside", "/tmp/absolute", "before/kept", "liar/output.txt", "liar/own")),
):
    write(results, json.dumps({"nonce": secret, "step": step, "size": len(data)}).encode() + b"\n" + data)
write(results, b"{\n" + json.dumps({"nonce": secret, "step": "liar", "size": 1 << 40}).encode() + b"\n")
sys.stdout.write("told\n" if secret else "found no nonce\n")
raise SystemExit(7)
