# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run says in the end: facts. `reviewbot.report.words` makes sentences of them."""

from enum import IntEnum, StrEnum
from typing import Literal

from reviewbot.model.base import Model
from reviewbot.model.comparison import Blame, Cell, Compared, FigureChange, NewMessage
from reviewbot.model.results import Outcome
from reviewbot.model.review import PatchRef, Severity


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
    REVIEWED = "REVIEWED"
    """Looked at only: by request nothing was built or tested."""
    FAILURES = "FAILURES"
    """Tests failed on head, and base could not be run: it is not known whether they fail there, too."""
    REGRESSION = "REGRESSION"
    """Something is worse on head than on base: tests, the set of tests that can run, what a server costs."""
    DOES_NOT_APPLY = "DOES-NOT-APPLY"
    BUILD_FAILS = "BUILD-FAILS"
    REVIEW_ERRORS = "REVIEW-ERRORS"
    BLOCKED = "BLOCKED"
    INFRA = "INFRA"

    @property
    def exit_status(self) -> ExitStatus:
        match self:
            case VerdictKind.PASS | VerdictKind.REVIEWED:
                return ExitStatus.PASS
            case VerdictKind.BLOCKED:
                return ExitStatus.BLOCKED
            case VerdictKind.INFRA:
                return ExitStatus.INFRA
            case _:
                return ExitStatus.SERIES


class FindingKind(StrEnum):
    """What a finding is about."""

    TEST = "test"
    """A test of a leg that did not pass, or has no result."""
    HEAD = "head"
    """A component that does not build with all patches; with side `base`, one that does not build without them."""
    PATCH = "patch"
    """A patch that does not build on those before it."""
    APPLY = "apply"
    """A patch that is refused."""
    FIGURE = "figure"
    """Something that costs a FUSE server much more on head than on base, though the tests pass."""
    SLOWER = "slower"
    """A row of the bench suite that takes longer on head than on base, beside the kernel's ext4."""
    FEATURE = "feature"
    """A feature that filesystems are made with on base and not on head, though the tests pass."""
    MESSAGE = "message"
    """A kernel message of level error or above that head brings and base does not, though the tests pass."""
    COMPAT = "compat"
    """A stack of which only some components are patched, and which fails though head and base do not."""
    REMARK = "remark"
    """An error that a reviewer found."""
    STOP = "stop"
    """What kept the run from going on: the posting is blocked, or something of ours or of this machine failed."""


class Finding(Model):
    """One thing the verdict rests on. What is empty does not apply, or is not known."""

    kind: FindingKind
    severity: Severity = Severity.ERROR
    component: str = ""
    side: Literal["head", "base"] = "head"
    patch: PatchRef | None = None
    """Of HEAD: the first patch from which on head does not build."""
    file: str = ""
    line: int = 0
    leg: str = ""
    variant: str = ""
    """Of a deep run: the variant of the stack that shows it; empty: the run's own."""
    suite: str = ""
    test: str = ""
    outcome: Outcome | None = None
    fingerprint: str = ""
    tool: str = ""
    """Who says so: `checkpatch`, a reviewer, the compiler of the build root."""
    said: str = ""
    """The tool's own words, one line: a compiler's error, a test's reason, a remark, why a patch is refused."""
    compared: Compared | None = None
    """Of TEST: its runs on head and base."""
    also: tuple[str, ...] = ()
    """Of TEST: other tests with the same cause, `fuse2fs smoke/rename`; of FEATURE: other features, `fuse2fs 64bit`."""
    change: FigureChange | None = None
    """Of FIGURE, SLOWER and FEATURE."""
    message: NewMessage | None = None
    """Of MESSAGE."""
    cell: Cell | None = None
    """Of COMPAT."""
    suspects: tuple[PatchRef, ...] = ()
    """Patches of which one brought it; of two components: one of each."""
    came_with: str = ""
    """Of PATCH: subject of the earlier patch that brought the error."""
    detail: str = ""
    """Some lines of evidence (git's own words, a compiler error, a diff)."""
    log: str = ""
    """Path of the full log relative to the run's folder, or empty."""

    @property
    def is_new(self) -> bool:
        """Whether head was compared with base, and this is worse on head."""
        return bool(self._basis)

    @property
    def blame(self) -> Blame | None:
        """Where it comes from; None: that was not looked for."""
        return self._basis.blame if self._basis else None

    @property
    def _basis(self) -> Compared | FigureChange | NewMessage | Cell | None:
        return self.compared or self.change or self.message or self.cell


class Verdict(Model):
    """The judgement of one run."""

    schema_version: int = 6
    run: str
    kind: VerdictKind
    compared_with: str | None = None
    """What head was compared with; None: with nothing, a FAIL on head may be older than the series."""
    findings: tuple[Finding, ...] = ()
    hint: str = ""
    """What whoever ran this can do about it."""
    lacks: dict[str, str] = {}
    """What could not be found out, and why: `review`, `blame` (the first bad patch), `coverage`."""


class SaidFinding(Finding):
    """A finding and its sentence."""

    what: str
    """One line: `fuse2fs smoke/rename FAIL: …`, `libfuse part 2/6 patch 3/5 does not apply`."""
    in_summary: bool = False
    """The summary says all of that line."""

    @property
    def evidence(self) -> str:
        """The detail, unless the line says all of it."""
        return "" if self.detail.strip() in self.what else self.detail


class SaidVerdict(Verdict):
    """A verdict and its sentences: verdict.json, and what is shown."""

    summary: str
    """One sentence for a human."""
    findings: tuple[SaidFinding, ...] = ()
    notes: tuple[str, ...] = ()
    """What a reader must know to trust this: legs unavailable, results reused, accelerator."""
