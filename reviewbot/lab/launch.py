# SPDX-License-Identifier: GPL-2.0-or-later
"""Start QEMU in a box: a guest that takes it over is a user that owns nothing and sees no file of ours."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from reviewbot.host.limits import Limits
from reviewbot.host.process import ToolMissing
from reviewbot.host.sandbox import Bind, Running, Sandbox
from reviewbot.lab.machine import QEMU, RESULTS_BYTES
from reviewbot.lab.wires import Wires, release
from reviewbot.model.lab import Disk

ADDRESSES, OVERHEAD = 16 << 30, 3 << 30
"""Bytes of address space, and of memory, that QEMU may have beyond its guest's memory. Of memory it needs some 700 MiB,
most of it translated code; what it has read and written of its disks counts as well, until the host wants it back."""
ROOM = 16 << 20
"""Bytes of the box's /tmp, which QEMU does not need."""
KVM = Path("/dev/kvm")
_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/alternatives")
"""Where a distribution keeps QEMU, its firmware and its libraries; nothing in them is secret."""


@contextlib.contextmanager
def launched(argv: Sequence[str], wires: Wires, memory: int, disks: Sequence[Disk] = ()) -> Iterator[Running]:
    """QEMU, for as long as the block lasts: only its descriptors, the system's programs, no network, own namespaces.

    memory: of its guest, MiB. disks: no file that QEMU has may grow beyond the largest.
    Raises ToolMissing, WallMissing, BoxBroken.
    """
    program = qemu()
    devices = [str(KVM)] if any("accel=kvm" in word for word in argv) else []
    inherited = [number for name, number in wires.numbers.items() if name != "said"]
    guest, largest = memory << 20, max(RESULTS_BYTES, *(disk.size for disk in disks), 0)
    with contextlib.ExitStack() as stack:
        nothing = stack.enter_context(tempfile.TemporaryDirectory(prefix="reviewbot-"))
        with os.fdopen(os.dup(wires.numbers["said"]), "wb") as said:
            box = Sandbox(Path(nothing)).background(
                [str(program), *argv[1:]],
                binds=visible(program),
                log=said,
                pass_fds=inherited,
                devices=devices,
                memory=guest + ADDRESSES,
                file_size=largest,
                limits=Limits(memory=guest + OVERHEAD, room=ROOM),
            )
            running = stack.enter_context(box)
        release(wires)
        yield running


def qemu() -> Path:
    """The program, behind all links. Raises ToolMissing."""
    if (found := shutil.which(QEMU)) is None:
        raise ToolMissing(QEMU)
    return Path(found).resolve()


def visible(program: Path) -> Mapping[str, Bind]:
    """Folders that QEMU sees, all read-only: the system's, and where it is installed itself."""
    seen = {path: Bind(Path(path).resolve()) for path in _SYSTEM if Path(path).exists()}
    if not program.is_relative_to("/usr"):
        seen[str(program.parents[1])] = Bind(program.parents[1])
    return seen
