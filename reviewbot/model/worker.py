# SPDX-License-Identifier: GPL-2.0-or-later
"""Whoever ran a shard, in its own words, and how its kind of machine is called."""

import re
from typing import Annotated, Literal

from pydantic import Field

from reviewbot.model.base import Model

Kind = Annotated[str, Field(pattern=r"^([a-z]{3}@[a-z0-9-]{1,60})?$")]
"""`tcg@intel-xeon-gold-6330-cpu-2-00ghz`: machines whose times may be compared; empty: not told."""


class Worker(Model):
    """The host of a shard's machines."""

    host: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    tool: str = Field(default="", max_length=100)
    """`reviewbot 0.1.0`."""
    accelerator: Literal["kvm", "tcg"]
    cpu: str = Field(default="", max_length=100)
    """Model of the CPU, as the kernel names it."""
    cores: int = Field(default=1, ge=1, le=1 << 16)
    slow: float = Field(default=0.0, ge=0.0, le=1000.0, allow_inf_nan=False)
    """Slow factor that its machines measured, the least of all; 0: none was started."""

    @property
    def kind(self) -> str:
        return kind_of(self.accelerator, self.cpu)


def kind_of(accelerator: str, cpu: str) -> str:
    """One word for hosts with this accelerator and model of CPU."""
    slug = re.sub(r"[^a-z0-9]+", "-", cpu.lower()).strip("-")[:60].strip("-")
    return f"{accelerator}@{slug or 'unknown'}"


class Beat(Model):
    """How far a worker is: what it says while it works."""

    host: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    kind: Kind
    done: int = Field(ge=0, le=1 << 20)
    total: int = Field(ge=0, le=1 << 20)
