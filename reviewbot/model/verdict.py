# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run says in the end."""

from enum import IntEnum, StrEnum

from reviewbot.model.base import Model


class ExitStatus(IntEnum):
    """Exit status of the command line."""

    PASS = 0
    SERIES = 1
    USAGE = 2
    BLOCKED = 3
    INFRA = 4
    INTERRUPTED = 130


class VerdictKind(StrEnum):
    """The one word of a run."""

    PASS = "PASS"
    REGRESSION = "REGRESSION"
    DOES_NOT_APPLY = "DOES-NOT-APPLY"
    BUILD_FAILS = "BUILD-FAILS"
    REVIEW_ERRORS = "REVIEW-ERRORS"
    BLOCKED = "BLOCKED"
    INFRA = "INFRA"

    @property
    def exit_status(self) -> ExitStatus:
        match self:
            case VerdictKind.PASS:
                return ExitStatus.PASS
            case VerdictKind.BLOCKED:
                return ExitStatus.BLOCKED
            case VerdictKind.INFRA:
                return ExitStatus.INFRA
            case _:
                return ExitStatus.SERIES


class Finding(Model):
    """One thing the verdict rests on."""

    what: str
    """One line: `fuse2fs smoke/rename FAIL: …`, `libfuse part 2/6 patch 3/5 does not apply`."""
    where: str = ""
    """`leg/suite/test`, `component:file:line` or a Message-ID."""
    detail: str = ""
    """Some lines of evidence (git's own words, a compiler error, a diff)."""
    log: str = ""
    """Path of the full log relative to the run's folder, or empty."""


class Verdict(Model):
    """The judgement of one run."""

    schema_version: int = 2
    run: str
    kind: VerdictKind
    summary: str
    """One sentence for a human."""
    compared_with: str | None = None
    """What head was compared with; None: with nothing, a FAIL on head may be older than the series."""
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    """What a reader must know to trust this: legs unavailable, results reused, accelerator."""
