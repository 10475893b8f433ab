# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests said."""

import datetime
from collections.abc import Sequence
from enum import StrEnum
from typing import Literal, Self

from pydantic import AwareDatetime, model_validator

from reviewbot.model.artifacts import Fact
from reviewbot.model.base import Model
from reviewbot.model.bench import BenchRow
from reviewbot.model.deaths import Death, ServerError
from reviewbot.model.figures import Cost, ServerFigures
from reviewbot.model.splats import SplatClass
from reviewbot.model.worker import Kind


class Outcome(StrEnum):
    """Outcome of one test. Every planned test starts as MISS."""

    PASS = "PASS"
    FAIL = "FAIL"
    NOTRUN = "NOTRUN"
    KNOWN = "KNOWN"
    """It failed in a way that the unpatched server is known for."""
    CRASH = "CRASH"
    HANG = "HANG"
    MISS = "MISS"
    INFRA = "INFRA"

    @property
    def broken(self) -> bool:
        """Whether it is the tested code's doing."""
        return self in (Outcome.FAIL, Outcome.CRASH, Outcome.HANG)

    @property
    def unknown(self) -> bool:
        """Whether it says nothing about the tested code."""
        return self in (Outcome.INFRA, Outcome.MISS)


class Fsck(Model):
    """What e2fsck, which changed nothing, said of a device after a test."""

    device: Literal["TEST_DEV", "SCRATCH_DEV"]
    status: int
    """Its exit status: 0 clean, else a sum: 4 inconsistent, 8 it gave up, …"""
    said: str = ""
    """Its complaints, at most 2 KiB."""
    clean_after: str = ""
    """Of an inconsistent one: the test after which it was last found clean, if others ran in between."""


class Filesystem(Model):
    """A filesystem as the stack's mke2fs makes it with the options of the leg, by the words of the stack's dumpe2fs; or
    what kernel and server agree on.
    """

    features: tuple[str, ...]
    """In the superblock: `metadata_csum`, `64bit`, …; of FUSE_INIT: `kernel.ASYNC_READ`, `server.max_write-65536`, …"""
    mount_options: tuple[str, ...] = ()
    """Default ones: `user_xattr`, …"""
    inode_size: int | None = None
    """In bytes."""
    block_size: int | None = None
    """In bytes."""


class Known(Model):
    """Why a failure is no news."""

    reason: str
    """What the unpatched component gets wrong."""
    link: str
    components: tuple[str, ...]
    """Whose fault it is."""


class KernelLine(Model):
    """A kernel message."""

    level: int
    """0 emergency … 4 warning, as in `<linux/kern_levels.h>`."""
    text: str
    """At most 300 characters."""


class TestResult(Model):
    """One test in one leg."""

    __test__ = False  # pytest: not a test class

    suite: str
    test: str
    """`generic/001`, `rename`."""
    outcome: Outcome
    reason: str = ""
    """One line: why not run, what failed first, which fingerprint."""
    known: Known | None = None
    """Of a KNOWN; `reason` is what the test said."""
    learned: bool = False
    """Of a NOTRUN: it was not tried this time, for earlier runs proved that it cannot run; `excerpt` says which."""
    crash: SplatClass | Literal[""] = ""
    """Class of the kernel's splat during the test, or empty. `hung-task` and `oom` alone make no CRASH."""
    fingerprint: str = ""
    """First functions of its call trace, or else of the server's death, joined by `:`; the same for the same crash.
    Empty without a trace."""
    death: Death | None = None
    """A FUSE server that died during the test, or reported an error itself."""
    server_errors: tuple[ServerError, ...] = ()
    """Errors that servers told of in their log during the test. They alone change no outcome."""
    seconds: float = 0.0
    """Wall time inside the guest."""
    hang: str = ""
    """Of a HANG: what ended it, and what it hung in: FUSE connections, servers, blocked tasks and their stacks, with
    `(file:line)` as in `trace`; at most 4 KiB."""
    excerpt: str = ""
    """The last lines of the test's own output, at most 4 KiB."""
    dmesg: str = ""
    """The kernel's splat, or the last of its messages, at most 4 KiB (the rest is in the log)."""
    loud: tuple[KernelLine, ...] = ()
    """smoke: what the kernel said of level warning and above, each once, at most 50."""
    trace: str = ""
    """Of a kernel that splatted: what tells of the splat, with `(file:line)` after each function whose line is known;
    at most 4 KiB. Empty when none is."""
    diff: str = ""
    """fstests: golden output against out.bad, unified, at most 4 KiB."""
    fsck: tuple[Fsck, ...] = ()
    """fstests: the devices that were checked after the test. Empty: none was."""
    server: ServerFigures | None = None
    """Of a FUSE leg: what its servers took and were asked."""
    costs: dict[str, Cost] = {}
    """Of smoke's check of costs: kind of operation -> what it took."""
    made: Filesystem | None = None
    """Of smoke's check of mke2fs: what it made; of its `negotiation`: what kernel and server agree on in FUSE_INIT."""
    bench: dict[str, BenchRow] = {}
    """Of the bench suite: row -> what was measured."""
    log: str = ""
    """Folder of all it left, relative to the run's folder."""
    machine: Kind = ""
    """Kind of host that ran it, when another one did."""


class Twice(Model):
    """What a second host said of a test that had an outcome by then: another one."""

    suite: str
    test: str
    outcome: Outcome
    reason: str = ""
    host: str = ""


class Exclusion(Model):
    """An entry of the excludes that left tests out."""

    by: Literal["test", "group"]
    """`test`: they are planned, and NOTRUN. `group`: they are not planned."""
    pattern: str
    """Shell pattern of tests or groups: `dangerous*`."""
    reason: str
    link: str
    when: str = ""
    """The condition that held: `kernel < 6.13`; empty: always."""
    expires: datetime.date | None = None
    """The last day it excludes; None: it does not end."""
    tests: tuple[str, ...]
    """What would have run without it."""


class LeftOut(Model):
    """A test that was selected and did not fit into the budget."""

    suite: str
    test: str
    seconds: float
    """How long it should take on this machine."""
    reason: str


class MachineUse(Model):
    """One machine of one leg: when it was started, and how long it lived."""

    name: str
    """Folder of its logs below the leg's."""
    started: AwareDatetime
    seconds: float
    restored: bool = False
    """It began where a machine of its kind was saved."""


class LegResult(Model):
    """One leg of one run."""

    leg: str
    available: bool
    reason: str = ""
    """Why unavailable, or why it was stopped early."""
    planned: int = 0
    """Tests that were to run. `tests` has one result for each of them, so this is the sum over all outcomes."""
    tests: tuple[TestResult, ...] = ()
    excluded: tuple[Exclusion, ...] = ()
    """Entries of the excludes that left tests out."""
    left_out: tuple[LeftOut, ...] = ()
    """Tests that did not fit into the budget: not planned, so in no count."""
    twice: tuple[Twice, ...] = ()
    """Outcomes of second hosts that differ from those that count."""
    notes: tuple[str, ...] = ()
    """What was odd and changed no outcome: words of the guest that nobody had asked for."""
    uncounted: tuple[str, ...] = ()
    """Of a variant with coverage counters: why those of a machine are missing, one line for each."""
    proofs: dict[str, Fact] = {}
    """What the guest reported of itself: `kernel_release`, `sha256:/stack/bin/fuse2fs`, `slow_factor`."""
    accelerator: str = ""
    """`kvm` or `tcg`; `kvm+tcg` when its shards ran on several hosts."""
    seconds: float = 0.0
    """Wall time from starting QEMU to its end, summed over all machines."""
    agent_seconds: float = 0.0
    """Wall time from starting QEMU to the agent's first word, the least of all machines."""
    machines: tuple[MachineUse, ...] = ()
    """In the order of their starts; of a reused result those that made it."""
    reused: bool = False
    """True: same inputs were tested before; these are those results."""

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if self.planned and self.planned != len(self.tests):
            raise ValueError(f"{self.planned} tests were planned and {len(self.tests)} have a result")
        return self

    def count(self, outcome: Outcome) -> int:
        return sum(t.outcome is outcome for t in self.tests)


def accounted(suite: str, planned: Sequence[str], results: Sequence[TestResult]) -> tuple[tuple[TestResult, ...], str]:
    """Exactly one result per planned test, in the order of the plan; and what did not add up, one line or empty.

    A test starts as MISS and stays so without a result. One with two results, or planned twice, is INFRA: neither is
    believed. Results of tests that were not planned are left out, and named.
    """
    found: dict[str, list[TestResult]] = {test: [] for test in planned}
    strange = [f"{r.suite}/{r.test}" for r in results if r.suite != suite or r.test not in found]
    for result in results:
        if result.suite == suite and result.test in found:
            found[result.test].append(result)
    twice = [test for test, answers in found.items() if len(answers) > 1 or planned.count(test) > 1]
    whole = []
    for test, answers in found.items():
        if test in twice:
            reason = "reviewbot miscounted: planned or answered more than once"
            whole.append(TestResult(suite=suite, test=test, outcome=Outcome.INFRA, reason=reason))
        else:
            whole += answers or [TestResult(suite=suite, test=test, outcome=Outcome.MISS, reason="it has no result")]
    problems = [f"{len(twice)} tests planned or answered more than once ({twice[0]}, …)"] if twice else []
    problems += [f"{len(strange)} results of tests that were not planned ({strange[0]}, …)"] if strange else []
    return tuple(whole), f"reviewbot miscounted: {'; '.join(problems)}"[:500] if problems else ""


class Difference(Model):
    """One test whose outcomes differ between legs, or between head and base."""

    suite: str
    test: str
    head: dict[str, Outcome]
    """Leg -> outcome."""
    base: dict[str, Outcome] = {}
    """The same of base, where it ran there."""


class Reported(Model):
    """A test of one leg that was reported of an earlier version of the posting."""

    leg: str
    suite: str
    test: str
    absent: bool = False
    """It could not run on head, and did on base."""


class Previous(Model):
    """What became of the failures that were reported of the last tested version before this one."""

    version: int
    run: str
    gone: tuple[Reported, ...] = ()
    stays: tuple[Reported, ...] = ()
    unknown: tuple[Reported, ...] = ()
    """Those that have no outcome now."""


class Results(Model):
    """All legs of a run."""

    schema_version: int = 7
    run: str
    tool: str
    """`reviewbot 0.1.0`."""
    accelerator_why: str = ""
    """Why kvm or tcg was used."""
    variant: str = ""
    """`kasan`, `asan-server,lockdep`: how the stack was built and run; empty: plainly."""
    legs: tuple[LegResult, ...]
    differential: tuple[Difference, ...] = ()
    """Tests whose outcomes differ between legs, or between head and base."""
    previous: Previous | None = None
    """None: no earlier version was tested here."""
