# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors a user can cause or must hear of: a type with facts, one line, a hint, an exit status.

Steps raise subclasses; only `reviewbot.cli` turns them into output and an exit status.
An exception that is not a `ReviewbotError` is a bug in reviewbot.
"""

from pathlib import Path
from typing import ClassVar

from reviewbot.model.verdict import ExitStatus, Finding, FindingKind, VerdictKind


class ReviewbotError(Exception):
    """Base of all expected errors. `str(error)` is one line; `hint` says what to do."""

    exit_status: ClassVar[ExitStatus] = ExitStatus.INFRA
    verdict: ClassVar[VerdictKind | None] = None
    log: Path | str | None = None
    """Where more is said."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    @property
    def details(self) -> tuple[str, ...]:
        """Evidence, one line each."""
        return ()

    def findings(self) -> tuple[Finding, ...]:
        """What the verdict of a run that ended with this error rests on; their logs are `log`."""
        detail = "\n".join(self.details)
        return (Finding(kind=FindingKind.STOP, said=str(self), detail=detail, log=str(self.log or "")),)


class UsageError(ReviewbotError):
    """The caller asked for something that does not exist or contradicts itself (exit status 2)."""

    exit_status = ExitStatus.USAGE


class ConfigError(UsageError):
    """A settings, stack or data file is wrong: names file, line (1-based, 0 if unknown) and key."""

    def __init__(self, file: str, line: int, key: str, problem: str, *, hint: str = "") -> None:
        where = f"{file}:{line}" if line else file
        super().__init__(f"{where}: {key + ': ' if key else ''}{problem}", hint=hint)
        self.file, self.line, self.key, self.problem = file, line, key, problem


class Blocked(ReviewbotError):
    """The posting cannot be tested yet: incomplete, or a prerequisite is missing (exit status 3)."""

    exit_status = ExitStatus.BLOCKED
    verdict = VerdictKind.BLOCKED


class InfraError(ReviewbotError):
    """Something of ours or of this machine failed: network, disk, QEMU (exit status 4)."""

    exit_status = ExitStatus.INFRA
    verdict = VerdictKind.INFRA


class DiskFull(InfraError):
    """No room, or no quota, was left for a file of ours."""

    def __init__(self, where: str = "") -> None:
        super().__init__(
            f"the disk is full{f' ({where})' if where else ''}",
            hint="free some space and run the command again to resume",
        )


class FolderUnusable(InfraError):
    """A folder of ours cannot be read or written: read-only, no folder, another user's."""

    def __init__(self, path: str, why: str, variable: str) -> None:
        super().__init__(f"{path}: {why}", hint=f"make it writable, or name another folder with {variable}")
        self.path, self.why, self.variable = path, why, variable


class Unexpected(InfraError):
    """An exception that nobody foresaw: a bug in reviewbot, or damage to its files. It says nothing of the series."""

    def __init__(self, error: BaseException, place: str, trace: str) -> None:
        words = " ".join(str(error).split())[:300]
        where = f" at {place}" if place else ""
        super().__init__(
            f"internal error{where}: {type(error).__name__}{f': {words}' if words else ''}",
            hint=f"please report it with {trace}" if trace else "the trace could not be saved",
        )
        self.kind, self.words, self.place, self.log = type(error).__name__, words, place, trace


class SeriesAtFault(ReviewbotError):
    """The series itself is the reason (exit status 1); subclasses set `verdict`."""

    exit_status = ExitStatus.SERIES
