# SPDX-License-Identifier: GPL-2.0-or-later
"""The exact stack of one run."""

from reviewbot.model.artifacts import Artifacts
from reviewbot.model.base import Model
from reviewbot.model.lab import Disk
from reviewbot.model.stack import LegSpec
from reviewbot.model.trees import Trees


class Conditions(Model):
    """How the tests were run: what a machine and a leg were then, whatever settings say now."""

    legs: tuple[LegSpec, ...]
    disks: tuple[Disk, ...]
    memory: int
    """MiB per machine."""
    cpus: int
    soak: int = 0
    """Seconds that soak tests ran; 0: of a run before this was recorded."""


class Lock(Model):
    """What was tested: enough to say it again with the stored mails."""

    schema_version: int = 1
    run: str
    tool: str
    stack: str
    top: str
    """Message-ID of the posting."""
    mails_sha256: str
    """Of `mails.mbox` in the run's folder."""
    trees: Trees
    artifacts: Artifacts
    accelerator: str = ""
    accelerator_why: str = ""
    variant: str = ""
    """As in results.json."""
    conditions: Conditions | None = None
    """None: of a run before these were recorded."""
