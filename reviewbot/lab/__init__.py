# SPDX-License-Identifier: GPL-2.0-or-later
"""GuestJob in, JobReply out: QEMU machine, guest channels, accelerator policy.

Must not know: what a step means; suites give steps and read replies.
"""

from reviewbot.lab.accel import Accelerator, answered_before, choose_accelerator, confirm, qemu_version
from reviewbot.lab.job import run_job
from reviewbot.lab.machine import bare_command
from reviewbot.lab.room import OVERDUE, Bounds
from reviewbot.lab.session import SHELL, Ends, Left, run_session, shell_step
from reviewbot.lab.snapshot.saved import starts_here

__all__ = [
    "OVERDUE", "SHELL", "Accelerator", "Bounds", "Ends", "Left", "answered_before", "bare_command",
    "choose_accelerator", "confirm", "qemu_version", "run_job", "run_session", "shell_step", "starts_here",
]  # fmt: skip
