# SPDX-License-Identifier: GPL-2.0-or-later
"""What all legs of a run share."""

from dataclasses import dataclass

from reviewbot.lab import Accelerator
from reviewbot.model.artifacts import Artifacts
from reviewbot.model.lab import Disk
from reviewbot.model.progress import Progress
from reviewbot.store import Durations, RunFolder, Store


@dataclass(frozen=True, slots=True)
class Bench:
    """Where tests are run, on what, and where their answers go."""

    artifacts: Artifacts
    accelerator: Accelerator
    store: Store
    run: RunFolder
    durations: Durations
    progress: Progress
    disks: tuple[Disk, ...]
    memory: int
    """MiB per machine."""
    cpus: int
    """Per machine."""
    selection: str
    """For fstests."""
    fresh: bool = False
    """True: run even what ran before."""
    machines: int = 1
    """How many may run at once. What they find does not depend on it."""
    saved: bool = True
    """True: machines may begin from a saved one; False: each is booted."""
