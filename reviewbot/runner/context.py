# SPDX-License-Identifier: GPL-2.0-or-later
"""What all legs of a run share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from reviewbot import suites
from reviewbot.config import Machine
from reviewbot.lab import Accelerator
from reviewbot.model.build import Build
from reviewbot.model.lock import Conditions
from reviewbot.model.plan import LegPlan
from reviewbot.model.progress import Progress
from reviewbot.model.stack import Stack
from reviewbot.runner.errand import Elsewhere
from reviewbot.store import Durations, NotRuns, RunFolder, Store

RERUNS = "reruns"
"""Folder of a run for all that is run again in it."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How long the tests of a run may take, and what helps to choose them."""

    seconds: float
    """Wall time for all legs, after the builds."""
    changed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Component -> paths that the posting touches; `*`: it is not known which."""
    machines: int = 0
    """How many will run at once; 0: those of the context."""

    @classmethod
    def of(cls, seconds: float, changed: Mapping[str, Sequence[str]], machines: int = 0) -> "Budget | None":
        """None for no seconds, which is no limit."""
        return cls(seconds, changed, machines) if seconds else None


@dataclass(frozen=True, slots=True)
class Tests:
    """Which tests of a suite run."""

    __test__ = False  # pytest: not a test class

    selection: str
    """For fstests."""
    fresh: bool = False
    """True: run even what ran before."""
    kept: bool = True
    """False: what comes of them is not for later runs."""
    budget: Budget | None = None
    first: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Leg -> fstests that run before all others, whatever the budget says."""
    added: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Leg -> fstests that run besides those of the selection."""
    checks: tuple[str, ...] = ()
    """Those of smoke or bench that run; empty: all."""
    rows: str = ""
    """Of bench: empty for those by default, `full`, or names."""
    rerun: str = ""
    """Which rerun it is, `base 2`: the outcome of another one is not reused for it; empty: it is none."""


@dataclass(frozen=True, slots=True)
class Context:
    """What is tested, on what, and where the answers go."""

    build: Build
    conditions: Conditions
    """Memory is with what the variant needs."""
    tests: Tests
    accelerator: Accelerator
    store: Store
    run: RunFolder
    durations: Durations
    progress: Progress
    machines: int = 1
    """How many may run at once. What they find does not depend on it."""
    notruns: NotRuns | None = None
    """Tests that cannot run, from earlier runs; None: all tests run, and nothing is recorded."""
    seconds: float = 24 * 3600.0
    """That all tests may take, from the start of the first machine."""
    snapshots: bool = True
    """True: machines may be restored from a snapshot; False: each is booted."""
    elsewhere: Elsewhere | None = None
    """Hosts that run all machines; None: this one does."""
    kind: str = ""
    """Kind of host that is wanted of them; empty: any."""

    def again(self, folder: str, tests: Tests, kind: str = "") -> "Context":
        """The same stack in fresh machines, with logs in this folder below the run's. Nothing is recorded of NOTRUN.

        kind: of the host whose word it is compared with.
        """
        run = RunFolder(self.run.id, self.run.path / RERUNS / folder)
        return replace(self, run=run, tests=tests, notruns=None, kind=kind)


def conditions(machine: Machine, stack: Stack, chosen: Sequence[LegPlan], soak: int) -> Conditions:
    """What the lock file records of machines and legs. soak: seconds that soak tests run."""
    return Conditions(
        legs=tuple(stack.leg(plan.leg) for plan in chosen),
        disks=suites.disks(machine.scratch_gib),
        memory=machine.memory,
        cpus=machine.cpus,
        soak=soak,
    )
