# SPDX-License-Identifier: GPL-2.0-or-later
"""What a reviewer finds without booting anything."""

from enum import StrEnum
from typing import Literal

from reviewbot.model.base import Model
from reviewbot.model.words import counted, untagged


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

    def words(self) -> str:
        """`fs/fuse/file.c:12: message [tool]`, on one line."""
        place = f"{self.file}:{self.line}: " if self.line else f"{self.file}: " if self.file else ""
        return f"{place}{self.message} [{self.tool}]"


class BuildWarning(Model):
    """A warning of the compiler, sparse or kernel-doc that the patch before did not have."""

    tool: Literal["gcc", "sparse", "kernel-doc"]
    file: str
    line: int
    message: str

    def words(self) -> str:
        """`fs/fuse/file.c:12: message [gcc]`, on one line."""
        return f"{self.file}:{self.line}: {self.message} [{self.tool}]"


OF_BASE = "the state before the patches has this error, too"
"""In the `why` of a failed build whose error is older than the series."""


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

    @property
    def of_base(self) -> bool:
        """Whether the build failed as base does: nobody's fault."""
        return OF_BASE in self.why

    def first_error(self) -> str:
        """`fs/fuse/file.c:12: what the compiler said`, and what is known of where that comes from."""
        said = f"{self.place}: {self.error}" if self.place else self.error
        return f"{said} ({self.why})" if said and self.why else said or self.why


_OF_BUILD = ("build", "gcc", "sparse", "kernel-doc")


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

    @property
    def name(self) -> str:
        """`kernel patch 3/10`, `kernel part 4/9 patch 3/33`."""
        part = "" if self.part == "1/1" else f"part {self.part} "
        return f"{self.component} {part}patch {self.number}/{self.total}"

    @property
    def title(self) -> str:
        """The subject without its bracketed prefixes."""
        return untagged(self.subject)

    @property
    def remarks(self) -> tuple[ReviewFinding, ...]:
        """The findings without those that repeat what `build` says."""
        return tuple(f for f in self.findings if self.build is None or f.tool not in _OF_BUILD)

    @property
    def broken(self) -> bool:
        """Whether it does not build, and did so without the patches."""
        return self.build is not None and self.build.state == "failed" and not self.build.of_base


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

    @property
    def broken(self) -> tuple[PatchReview, ...]:
        """Patches that do not build, though base does."""
        return tuple(patch for patch in self.patches if patch.broken)

    def words(self) -> str:
        """`2 errors, 1 warning, 3 new compiler warnings`; `no errors, no warnings`. Failed builds are not in it."""
        said = [f.severity for f in (*self.findings, *(f for p in self.patches for f in p.remarks))]
        errors, warnings = said.count(Severity.ERROR), said.count(Severity.WARNING)
        new = sum(len(patch.build.warnings) for patch in self.patches if patch.build)
        words = [counted(errors, "error") if errors else "no errors"]
        words.append(counted(warnings, "warning") if warnings else "no warnings")
        return ", ".join((*words, *((counted(new, "new compiler warning"),) if new else ())))
