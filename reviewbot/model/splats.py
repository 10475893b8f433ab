# SPDX-License-Identifier: GPL-2.0-or-later
"""What counts as a crash of the kernel: the shape of `qemu/splats.yaml`."""

import datetime
import re
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, field_validator

from reviewbot.model.base import Model

SplatClass = Literal[
    "oops", "bug", "warn", "lockdep", "kasan", "kfence", "ubsan", "kcsan", "kmemleak", "hung-task", "rcu-stall",
    "soft-lockup", "hard-lockup", "panic", "oom", "reboot",
]  # fmt: skip
CLASSES: tuple[SplatClass, ...] = get_args(SplatClass)
WAITS: SplatClass = "hung-task"
"""A task waited for so long that the kernel says so. A test that ended all the same is a CRASH, as with any splat; one
that did not end is a HANG, and a machine that was lost meanwhile was lost by other means."""


def _compiles(value: str) -> str:
    try:
        found = re.compile(value, re.MULTILINE)
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from error
    if found.match(""):
        raise ValueError("matches nothing at all")
    return value


Pattern = Annotated[str, AfterValidator(_compiles)]
"""A regular expression that does not match an empty line."""


class SplatPattern(Model):
    """How one kind of splat begins."""

    pattern: Pattern
    """Matched at the start of a message, after its time, caller and `rcu: `, `watchdog: ` or `kmemleak: `."""
    kind: SplatClass = Field(alias="class")
    why: str = Field(min_length=4)
    within: bool = False
    """True: also said in the course of a splat that began with other words."""


class Noise(Model):
    """Functions that say nothing of where a crash is."""

    functions: tuple[str, ...] = Field(min_length=1)
    """Shell patterns."""
    why: str = Field(min_length=4)


class AllowedSplat(Model):
    """A splat that is known, and no CRASH until a day."""

    pattern: Pattern
    """Searched for in the splat's title and in its lines."""
    reason: str = Field(min_length=10)
    link: str = Field(pattern=r"^https?://")
    until: datetime.date
    """The last day it is allowed."""

    def expired(self, today: datetime.date) -> bool:
        return today > self.until


class SplatRules(Model):
    """The file. An empty or incomplete one is an error: no pattern, no check."""

    splats: tuple[SplatPattern, ...]
    noise: tuple[Noise, ...] = Field(min_length=1)
    allowed: tuple[AllowedSplat, ...] = ()

    @field_validator("splats")
    @classmethod
    def _complete(cls, value: tuple[SplatPattern, ...]) -> tuple[SplatPattern, ...]:
        if missing := [kind for kind in CLASSES if kind not in {splat.kind for splat in value}]:
            raise ValueError(f"no pattern of class {', '.join(missing)}")
        patterns = [splat.pattern for splat in value]
        if twice := sorted({pattern for pattern in patterns if patterns.count(pattern) > 1}):
            raise ValueError(f"the same pattern twice: {twice[0]}")
        return value
