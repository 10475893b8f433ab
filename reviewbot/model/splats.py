# SPDX-License-Identifier: GPL-2.0-or-later
"""What counts as a crash of the kernel: the shape of `qemu/splats.yaml`."""

import datetime
import re
from string import Formatter
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field, field_validator, model_validator

from reviewbot.model.base import Model

SplatClass = Literal[
    "oops",
    "bug",
    "warn",
    "lockdep",
    "kasan",
    "kfence",
    "ubsan",
    "kcsan",
    "kmemleak",
    "hung-task",
    "rcu-stall",
    "soft-lockup",
    "hard-lockup",
    "panic",
    "oom",
    "reboot",
]
CLASSES: tuple[SplatClass, ...] = get_args(SplatClass)
WAITS: SplatClass = "hung-task"
"""A task waited for so long that the kernel says so. A test that ended all the same is a CRASH, as with any splat; one
that did not end is a HANG, and a machine that was lost meanwhile was lost by other means."""


def _compiles(value: str) -> str:
    try:
        found = re.compile(value, re.MULTILINE)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    if found.match(""):
        raise ValueError("matches nothing at all")
    return value


Pattern = Annotated[str, AfterValidator(_compiles)]
"""A regular expression that does not match an empty line."""


Choice = Literal["innermost", "hang", "stall", "lockup", "overflow"]
"""Which function of a trace is told to be the place of a crash: see SplatPattern.choose."""


class SplatPattern(Model):
    """How one kind of splat begins, and where its place is found."""

    pattern: Pattern
    """Matched at the start of a message, after its time, caller and `rcu: `, `watchdog: ` or `kmemleak: `."""
    kind: SplatClass = Field(alias="class")
    why: str = Field(min_length=4)
    within: bool = False
    """True: also said in the course of a splat that began with other words."""
    traced: bool = False
    """True: programs and drivers say this, too. It is a splat only when a call trace follows."""
    listed: bool = False
    """True: it has no call trace and ends with a list of locks."""
    again: bool = False
    """True: the start of every kernel says this, too. It is a splat only after other messages of a kernel."""
    warns: bool = False
    """True: a WARN_ON() follows that is part of it."""
    title: str = ""
    """As syzbot has it, before ` in FUNCTION`; `{name}` is a named group of `pattern` or of `words`. Empty: the message
    itself, without what differs from one crash to the next."""
    words: str = ""
    """Regular expression, searched for in the report, for further named groups of the title."""
    place: bool = True
    """False: the title names no function."""
    at: tuple[str, ...] = ()
    """Regular expressions, searched for in the report, for the function at fault where the call trace may begin with
    another; `FUNC` stands for a function with its offset, `NAME` for one without. The first that is no noise counts."""
    after: str = ""
    """Regular expression: where `at` finds none, the function at fault is the first of the trace below this line."""
    skip: tuple[str, ...] = ()
    """Shell patterns: functions that are noise in this class only; of a hang, functions that are not at fault."""
    choose: Choice = "innermost"
    """innermost: the first function after noise. hang: of a task that waits, the same, or its bucket. lockup: of a CPU
    that loops, the last function before a dispatcher, for the loop goes through many; in what is tested, the innermost.
    stall: the same, of the trace that tells what the CPU was doing. overflow: as lockup, of a full stack."""

    @field_validator("words", "after")
    @classmethod
    def _searches(cls, value: str) -> str:
        return _compiles(value) if value else value

    @field_validator("at")
    @classmethod
    def _finds(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in value:
            _compiles(pattern)
            if pattern.count("FUNC") + pattern.count("NAME") != 1:
                raise ValueError(f"neither FUNC nor NAME in it: {pattern}")
        return value

    @model_validator(mode="after")
    def _has_groups(self) -> Self:
        known = {*re.compile(self.pattern).groupindex, *re.compile(self.words).groupindex}
        if missing := [name for _, name, _, _ in Formatter().parse(self.title) if name and name not in known]:
            raise ValueError(f"title: neither pattern nor words have a group {missing[0]}")
        return self


class Noise(Model):
    """Functions that have one thing in common: most often, that they say nothing of where a crash is."""

    functions: tuple[str, ...] = Field(min_length=1)
    """Shell patterns."""
    soft: bool = False
    """True: a crash in one of these, or with nothing else in its trace, is its own."""
    why: str = Field(min_length=4)


class Bucket(Model):
    """Functions in which tasks hang, or CPUs stall, whatever the cause; all of these are one."""

    functions: tuple[str, ...] = Field(min_length=1)
    """Shell patterns."""
    name: str = Field(min_length=1)
    of: Literal["hang", "stall"]
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
    dispatchers: tuple[Noise, ...] = ()
    """Functions that call what the kernel is asked for: entries of system calls, file operations, work, timers."""
    tested: tuple[Noise, ...] = ()
    """Functions that are the place of a stall when it is near them."""
    buckets: tuple[Bucket, ...] = ()
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
