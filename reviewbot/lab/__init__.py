# SPDX-License-Identifier: GPL-2.0-or-later
"""GuestJob in, JobReply out: QEMU machine, guest channels, accelerator policy.

Must not know: what a step means; suites give steps and read replies.
"""

from reviewbot.lab.accel import Accelerator, choose_accelerator, confirm, qemu_version
from reviewbot.lab.job import run_job
from reviewbot.lab.saved import starts_here
from reviewbot.lab.traces import NAMED, telling_lines

__all__ = [
    "NAMED",
    "Accelerator",
    "choose_accelerator",
    "confirm",
    "qemu_version",
    "run_job",
    "starts_here",
    "telling_lines",
]
