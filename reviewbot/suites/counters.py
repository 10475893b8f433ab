# SPDX-License-Identifier: GPL-2.0-or-later
"""The step that brings a machine's coverage counters back. It is no test: it has no outcome and is not planned."""

from reviewbot.model.lab import GuestStep
from reviewbot.model.stack import LegSpec
from reviewbot.suites.setup import PYTHON, leg_env

_TIMEOUT = 180.0
_NAME = "coverage"


def counters_step(leg: LegSpec) -> GuestStep:
    """For a machine's last step. Its files come back to the machine's own log folder, below `coverage/gcov/`."""
    return GuestStep(
        name=_NAME,
        argv=(*PYTHON, "coverage"),
        env=dict(leg_env(leg)),
        timeout=_TIMEOUT,
        collect=("/run/reviewbot/gcov",),
    )
