# SPDX-License-Identifier: GPL-2.0-or-later
"""A piece of a run that any machine can do, and what came of it."""

import hashlib
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from reviewbot.model.artifacts import Fact
from reviewbot.model.base import Model
from reviewbot.model.lab import Disk, GuestStep, JobReply, StepReply
from reviewbot.model.stack import LegSpec
from reviewbot.model.worker import Kind, Worker

_WORD = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
"""What becomes a file name on the host that runs a shard."""
_HEX = r"^[0-9a-f]*$"
Word = Annotated[str, Field(pattern=_WORD)]

IMAGES = {"kernel": "bzImage", "guest": "root.img", "payload": "payload.img"}
"""Kind of artifact -> its file that a machine boots from."""

MAX_LOSSES = 5
"""Machines that a shard may lose before it stops."""


class Need(Model):
    """An artifact that a shard's machines boot from."""

    kind: Literal["kernel", "guest", "payload"]
    key: Word
    """As in the store."""
    sha256: str = Field(default="", pattern=_HEX)
    """Of the image; empty: not told, the key is believed."""


class Shard(Model):
    """Some tests of one suite of one leg, with all that a machine needs to know to run them."""

    schema_version: Literal[2] = 2
    run: Word
    """The run that it is a piece of."""
    nonce: str = Field(default="", pattern=_HEX)
    """Hex digits that its result repeats; others of the same run have the same."""
    number: int = Field(default=1, ge=1)
    of: int = Field(default=1, ge=1)
    leg: LegSpec
    suite: Literal["smoke", "fstests", "bench"]
    steps: tuple[GuestStep, ...]
    """Those that set a machine up first (`gate`), then one per test."""
    last: GuestStep | None = None
    """What each machine is asked for after its tests; it is none. Its files go below the machine's own folder."""
    needs: tuple[Need, ...]
    release: str
    """Kernel release that uname must give."""
    expect: dict[str, Fact] = {}
    """`sha256:PATH` of programs in the guest -> what was built."""
    disks: tuple[Disk, ...] = ()
    memory: int = Field(ge=128, le=1 << 20)
    """MiB per machine."""
    cpus: int = Field(ge=1, le=1024)
    variant: str = Field(default="", pattern=r"^[a-z0-9,-]{0,200}$")
    """Of the stack that was built; empty: the plain one."""
    kernel_line: tuple[str, ...] = ()
    """Words of the kernel's command line that it wants."""
    renew: bool = False
    """A kernel that splatted no longer checks itself: the next test has a new machine."""
    slow: float = Field(default=1.0, ge=1.0, le=1000.0)
    """How many times slower than the plain stack it may be: multiplies limits."""
    max_losses: int = Field(default=MAX_LOSSES, ge=1, le=100)
    expected: float = 0.0
    """Seconds that its tests should take on a machine of slow factor 1, as far as anything is known."""
    kind: Kind = ""
    """Of the hosts that may run it; empty: any."""

    @model_validator(mode="after")
    def _safe(self) -> Self:
        """It may come from a stranger: its names become files."""
        names = [step.name for step in self.steps]
        if len(set(names)) != len(names):
            raise ValueError("two steps have the same name")
        for step in self.steps:
            suite, _, rest = step.name.partition("/")
            if not rest or suite != ("setup" if step.gate else self.suite):
                raise ValueError(f"step {step.name!r} does not belong to suite {self.suite}")
        last = [self.last.name] if self.last else []
        for name in (self.leg.name, *last, *(disk.serial for disk in self.disks), *names):
            if not is_plain(name):
                raise ValueError(f"{name!r} is not a plain name")
        if sorted(need.kind for need in self.needs) != sorted(IMAGES):
            raise ValueError(f"needs must name {', '.join(IMAGES)}, once each")
        return self

    @property
    def key(self) -> str:
        """Hex digest of all of it."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:32]

    @property
    def name(self) -> str:
        """`ext4 fstests`, `ext4 fstests 2/3`."""
        return f"{self.leg.name} {self.suite}" + (f" {self.number}/{self.of}" if self.of > 1 else "")

    @property
    def measured_as(self) -> str:
        """The leg's name for durations."""
        return measured_as(self.leg.name, self.variant)

    @property
    def setup(self) -> tuple[GuestStep, ...]:
        return tuple(step for step in self.steps if step.gate)

    @property
    def tests(self) -> tuple[GuestStep, ...]:
        return tuple(step for step in self.steps if not step.gate)


class ShardResult(Model):
    """What came of a shard."""

    schema_version: Literal[2] = 2
    shard: str
    """Its key."""
    run: str
    nonce: str = ""
    machines: tuple[JobReply, ...] = ()
    """All that were started for it, and what an earlier call had kept. No step is answered by two of them."""
    problem: str = ""
    """One line: why it ended before all of it was answered."""
    worker: Worker | None = None
    """None: it ran in the process that cut it."""
    ran: dict[Literal["kernel", "guest", "payload"], Annotated[str, Field(pattern=_HEX)]] = {}
    """Kind of image -> SHA-256 of the file that its machines booted from."""

    @property
    def replies(self) -> tuple[StepReply, ...]:
        return tuple(reply for machine in self.machines for reply in machine.replies)

    @property
    def tests(self) -> frozenset[str]:
        """Steps of tests that have an answer."""
        return frozenset(reply.name for reply in self.replies if not reply.name.startswith("setup/"))

    @property
    def losses(self) -> int:
        return sum(not machine.complete for machine in self.machines)


class ShardPlan(Model):
    """How a run was cut."""

    run: Word
    nonce: str = Field(pattern=_HEX)
    works: tuple[Shard, ...]
    """Each suite of a leg that was put off, in one piece."""
    shards: tuple[Shard, ...]


def merged(*groups: Iterable[ShardResult]) -> tuple[ShardResult, ...]:
    """All results of all groups, each once, in an order that depends on nothing but themselves.

    This is the union of sets: groups may be merged in any order, in any grouping, and again. Two different results of
    one shard both stay; `accounted` then believes neither.
    """
    found = {result.model_dump_json(): result for group in groups for result in group}
    return tuple(result for _, result in sorted(found.items(), key=lambda item: (item[1].shard, item[0])))


def measured_as(leg: str, variant: str) -> str:
    """`ext4`, `ext4[kasan]`: what a leg is called where durations are kept; each variant takes a time of its own."""
    return f"{leg}[{variant}]" if variant else leg


def is_plain(name: str) -> bool:
    """Whether it can be a path below a folder, and nowhere else: no `..`, no hidden or empty part, no odd letter."""
    parts = PurePosixPath(name).parts
    plain = all(part[:1] not in ".-" and all(c.isalnum() or c in "._+-" for c in part) for part in parts)
    return bool(parts) and plain and name.isascii() and "/".join(parts) == name and len(name) < 200
