# SPDX-License-Identifier: GPL-2.0-or-later
"""A leg in, GuestSteps out; StepReplies in, TestResults out.

One module per suite: `smoke`, `fstests`. Must not know: QEMU, or how a step reached the guest.
"""

from reviewbot.suites.counters import counters_step
from reviewbot.suites.rules import rules_digest
from reviewbot.suites.setup import Setup, disks, leg_env, read_setup, setup_result, setup_steps
from reviewbot.suites.typical import durations_in, load_typical

__all__ = [
    "Setup", "counters_step", "disks", "durations_in", "leg_env", "load_typical", "read_setup", "rules_digest",
    "setup_result", "setup_steps",
]  # fmt: skip
