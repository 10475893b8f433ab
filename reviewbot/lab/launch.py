# SPDX-License-Identifier: GPL-2.0-or-later
"""Start QEMU with its ends of the wires."""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence

from reviewbot.host.process import background
from reviewbot.lab.machine import expendable
from reviewbot.lab.wires import Wires, release


@contextlib.contextmanager
def launched(argv: Sequence[str], wires: Wires) -> Iterator["subprocess.Popen[bytes]"]:
    """QEMU, for as long as the block lasts. Raises ToolMissing."""
    inherited = [number for name, number in wires.numbers.items() if name != "said"]
    with contextlib.ExitStack() as stack:
        with os.fdopen(os.dup(wires.numbers["said"]), "wb") as said:
            process = stack.enter_context(background(argv, log=said, pass_fds=inherited))
        release(wires)
        expendable(process.pid)
        yield process
