# SPDX-License-Identifier: GPL-2.0-or-later
"""What a reviewer finds without booting anything."""

from enum import StrEnum
from typing import Literal

from reviewbot.model.base import Model


class Severity(StrEnum):
    """How bad a finding is. An ERROR makes `reviewbot review` end with status 1."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class ReviewFinding(Model):
    """One remark of one tool."""

    tool: str
    """`checkpatch`, `message`, `whitespace`, `build`, `gcc`, `sparse`, `kernel-doc`, `copies`,
    or an external reviewer's own name."""
    severity: Severity
    message: str
    """One line."""
    file: str = ""
    """Path in the tree; empty: the commit message or the patch as a whole."""
    line: int = 0
    """1-based line of `file` after the patch; 0: unknown."""
    detail: str = ""
    """Some lines of evidence."""
    url: str = ""


class BuildWarning(Model):
    """A warning of the compiler, sparse or kernel-doc that the patch before did not have."""

    tool: Literal["gcc", "sparse", "kernel-doc"]
    file: str
    line: int
    message: str


class PatchBuild(Model):
    """One patch built on top of those before it."""

    commit: str
    state: Literal["built", "failed", "not-affected", "skipped"]
    """not-affected: nothing that is built with this configuration can change; skipped: `why` says so."""
    why: str = ""
    seconds: float = 0.0
    compiled: int = 0
    """Objects that were compiled."""
    warnings: tuple[BuildWarning, ...] = ()
    """New with this patch."""
    error: str = ""
    """The compiler's first error, one line."""
    place: str = ""
    """`file:line` of the error."""
    detail: str = ""
    """Lines around the error."""
    log: str = ""
    """Path of the whole log relative to the run's folder, or empty."""


class PatchReview(Model):
    """Everything said about one patch."""

    component: str
    message_id: str
    """Empty when the patch was fetched with git."""
    commit: str
    subject: str
    part: str
    """Counter of its part, `1/9`."""
    number: int
    total: int
    build: PatchBuild | None = None
    findings: tuple[ReviewFinding, ...] = ()


class Review(Model):
    """The review of a whole posting."""

    schema_version: int = 1
    run: str
    tool: str
    patches: tuple[PatchReview, ...] = ()
    findings: tuple[ReviewFinding, ...] = ()
    """About the series as a whole: copies in step, what the last build said."""
    skipped: dict[str, str] = {}
    """Tool -> why it did not run."""
    seconds: float = 0.0

    def count(self, severity: Severity) -> int:
        """Findings of this severity, of patches and series."""
        return sum(f.severity is severity for f in (*self.findings, *(f for p in self.patches for f in p.findings)))
