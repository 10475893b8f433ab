# SPDX-License-Identifier: GPL-2.0-or-later
"""What became of a FUSE server, and what its log says: the shapes of both, and of `qemu/servers.yaml`."""

from typing import Literal, get_args

from pydantic import Field, field_validator

from reviewbot.model.base import Model
from reviewbot.model.splats import Noise, Pattern, SplatClass

Sanitizer = Literal["asan", "ubsan", "lsan", "msan", "tsan"]
SANITIZERS: tuple[Sanitizer, ...] = get_args(Sanitizer)
ServerErrorClass = Literal["internal", "corruption", "resources"]


class ServerReport(Model):
    """What a sanitiser, or the kernel that lklfuse embeds, says of a fault inside a server."""

    kind: Sanitizer | SplatClass
    title: str
    """Without addresses, numbers of bytes and process numbers; one line."""
    fingerprint: str = ""
    """First functions of its trace after noise, joined by `:`; empty without a trace."""
    text: str = ""
    """The report, first 4 KiB."""


class Death(Model):
    """A FUSE server that died or hung during a test, or lived on and reported an error itself."""

    server: str = ""
    """`fuse2fs`; empty: a report that names no server."""
    device: str = ""
    pid: int = 0
    status: int | None = None
    """Exit status as a shell tells it: 128 and the number of the signal that killed it. None: it lived on."""
    signal: str = ""
    """`SIGSEGV`; empty: it ended by itself."""
    by: str = ""
    """Who sent the signal, where that is known: `the kernel's OOM killer`."""
    hung: bool = False
    """It did not exit after it was unmounted; its stacks were kept, and the lab killed it."""
    mounted: bool = False
    """Whether its filesystem was left mounted, useless."""
    backtrace: str = ""
    """gdb's, of the thread that died, at most 4 KiB; empty without a core."""
    fingerprint: str = ""
    """First functions of the backtrace, or of the report, after noise, joined by `:`."""
    report: ServerReport | None = None
    log: str = ""
    """The last lines that servers said before, at most 4 KiB."""
    others: tuple[str, ...] = ()
    """Of the same test: other deaths and reports, one line each."""


def in_words(death: Death) -> str:
    """`fuse2fs (pid 123) was killed by SIGSEGV: op_read:fuse_lib_read (asan: heap-use-after-free, READ)`."""
    who = death.server or "a server"
    who += f" (pid {death.pid})" if death.pid else ""
    if death.hung:
        how = "did not exit after it was unmounted"
    elif death.status is None:
        how = "reported an error itself"
    elif death.signal:
        how = f"was killed by {death.signal}" + (f" from {death.by}" if death.by else "")
    else:
        how = f"exited with status {death.status}" + (", still mounted" if death.mounted else " after the unmount")
    where = f": {death.fingerprint}" if death.fingerprint else ""
    said = f" ({death.report.kind}: {death.report.title})" if death.report else ""
    more = f"; and {len(death.others)} more" if death.others else ""
    return f"{who} {how}{where}{said}{more}"


def evidence(death: Death) -> str:
    """What tells most of a death: the sanitiser's report, else the backtrace, else the log; at most 4 KiB."""
    return death.report.text if death.report else death.backtrace or death.log


class ServerError(Model):
    """A line of a server's log that tells of an error."""

    kind: ServerErrorClass
    line: str
    count: int = 1
    """How many lines of the test's log matched the same entry; `line` is the first."""
    reason: str
    link: str


class ServerErrorPattern(Model):
    """What a server prints when it finds an error."""

    pattern: Pattern
    """Searched for in a line of the log."""
    kind: ServerErrorClass = Field(alias="class")
    reason: str = Field(min_length=10)
    link: str = Field(pattern=r"^https?://")


class ServerRules(Model):
    """The file. Without patterns a log would say nothing, so that is an error."""

    errors: tuple[ServerErrorPattern, ...] = Field(min_length=1)
    noise: tuple[Noise, ...] = Field(min_length=1)

    @field_validator("errors")
    @classmethod
    def _complete(cls, value: tuple[ServerErrorPattern, ...]) -> tuple[ServerErrorPattern, ...]:
        kinds: tuple[ServerErrorClass, ...] = get_args(ServerErrorClass)
        if missing := [kind for kind in kinds if kind not in {entry.kind for entry in value}]:
            raise ValueError(f"no pattern of class {', '.join(missing)}")
        patterns = [entry.pattern for entry in value]
        if twice := sorted({pattern for pattern in patterns if patterns.count(pattern) > 1}):
            raise ValueError(f"the same pattern twice: {twice[0]}")
        return value
