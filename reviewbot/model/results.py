# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests said."""

from enum import StrEnum

from reviewbot.model.artifacts import Fact
from reviewbot.model.base import Model


class Outcome(StrEnum):
    """Outcome of one test. Every planned test starts as MISS."""

    PASS = "PASS"
    FAIL = "FAIL"
    NOTRUN = "NOTRUN"
    CRASH = "CRASH"
    HANG = "HANG"
    MISS = "MISS"
    INFRA = "INFRA"


class TestResult(Model):
    """One test in one leg."""

    __test__ = False  # pytest: not a test class

    suite: str
    test: str
    """`generic/001`, `rename`."""
    outcome: Outcome
    reason: str = ""
    """One line: why not run, what failed first, which fingerprint."""
    seconds: float = 0.0
    """Wall time inside the guest."""
    excerpt: str = ""
    """The last lines of the test's own output, at most 4 KiB."""
    dmesg: str = ""
    """Kernel messages of this test, at most 4 KiB (the rest is in the log)."""
    diff: str = ""
    """fstests: golden output against out.bad, unified, at most 4 KiB."""
    log: str = ""
    """Folder of all it left, relative to the run's folder."""


class LegResult(Model):
    """One leg of one run."""

    leg: str
    available: bool
    reason: str = ""
    """Why unavailable, or why it was stopped early."""
    tests: tuple[TestResult, ...] = ()
    proofs: dict[str, Fact] = {}
    """What the guest reported of itself: `kernel_release`, `sha256:/stack/bin/fuse2fs`, `slow_factor`."""
    accelerator: str = ""
    """`kvm` or `tcg`."""
    seconds: float = 0.0
    """Wall time from starting QEMU to its end."""
    agent_seconds: float = 0.0
    """Wall time from starting QEMU to the agent's first word."""
    reused: bool = False
    """True: same inputs were tested before; these are those results."""

    def count(self, outcome: Outcome) -> int:
        return sum(t.outcome is outcome for t in self.tests)


class Results(Model):
    """All legs of a run."""

    schema_version: int = 1
    run: str
    tool: str
    """`reviewbot 0.1.0`."""
    accelerator_why: str = ""
    """Why kvm or tcg was used."""
    legs: tuple[LegResult, ...]
