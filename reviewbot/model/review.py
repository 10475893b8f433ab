# SPDX-License-Identifier: GPL-2.0-or-later
"""What a reviewer finds without booting anything."""

from enum import StrEnum
from typing import Literal

from reviewbot.model.base import Model
from reviewbot.model.words import counted, patch_name, untagged


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


class PatchBuild(Model):
    """One patch built on top of those before it."""

    commit: str
    state: Literal["built", "failed", "not-affected", "head-only", "skipped"]
    """not-affected: nothing that is built with this configuration can change; head-only: components like this are built
    once, with all patches; skipped: it could not be built, `why` says so."""
    why: str = ""
    of_base: bool = False
    """Of a failed build: the state before the patches has this error, too: nobody's fault."""
    came_with: str = ""
    """Of a failed build: subject of the earlier patch that brought this error."""
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
    def own_error(self) -> bool:
        """Whether the build failed and the error came with this very patch."""
        return self.state == "failed" and not (self.of_base or self.came_with)

    def first_error(self) -> str:
        """`fs/fuse/file.c:12: what the compiler said`, and what is known of where that comes from."""
        said = f"{self.place}: {self.error}" if self.place else self.error
        known = [self.why] if self.why else []
        known += ["the state before the patches has the same error"] if self.of_base else []
        known += [f"the error came with “{self.came_with}”"] if self.came_with else []
        return f"{said} ({'; '.join(known)})" if said and known else said or "; ".join(known)


_OF_BUILD = ("build", "gcc", "sparse", "kernel-doc")


class PatchRef(Model):
    """Which patch of a posting."""

    component: str
    message_id: str = ""
    """Empty when the patch was fetched with git."""
    commit: str = ""
    subject: str = ""
    part: str = "1/1"
    """Counter of its part, `1/9`."""
    number: int
    total: int
    prerequisite: bool = False
    """It is none of the posting's own: the posting stands on it."""

    @property
    def name(self) -> str:
        """`kernel patch 3/10`, `kernel part 4/9 patch 3/33`."""
        kind = "prerequisite patch" if self.prerequisite else "patch" if self.message_id else "commit"
        return patch_name(self.component, self.part, self.number, self.total, kind)

    @property
    def key(self) -> str:
        """Its Message-ID, or its commit when it was fetched with git."""
        return self.message_id or self.commit


class PatchReview(PatchRef):
    """Everything said about one patch."""

    build: PatchBuild | None = None
    findings: tuple[ReviewFinding, ...] = ()

    @property
    def ref(self) -> PatchRef:
        """The patch alone."""
        return PatchRef.model_validate(self.model_dump(include=set(PatchRef.model_fields)))

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

    schema_version: int = 2
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
