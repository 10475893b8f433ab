# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be wrong with sources, bases and patches."""

import re
from collections.abc import Sequence

from reviewbot.model.errors import Blocked, InfraError, SeriesAtFault, UsageError
from reviewbot.model.review import PatchRef
from reviewbot.model.trees import Attempt
from reviewbot.model.verdict import Finding, FindingKind, VerdictKind
from reviewbot.model.words import split_place

# What git says after the cause: the other side has gone, whatever the reason.
_CONSEQUENCES = re.compile(
    r"died with error|early EOF|protocol error|hung up unexpectedly|invalid index-pack output|unpack-objects failed"
    r"|disconnect|RPC failed|index-pack failed|fetch-pack: "
)
_WORDS = 12
"""Lines of a command that are kept as evidence."""


def telling(said: str) -> str:
    """The line of git or apt that tells the cause: a fatal one before errors, and consequences last; empty if none."""
    lines = [line.strip() for line in said.splitlines()]
    fatal = [line for line in lines if line.startswith("fatal:")]
    errors = [line for line in lines if line.startswith(("error:", "E:"))]
    remote = [line for line in lines if re.match(r"remote: (?:fatal|error|aborting)", line)]
    found = (*fatal, *errors, *remote)
    return next((line for line in found if not _CONSEQUENCES.search(line)), next(iter(found), ""))


class SourceUnreachable(InfraError):
    """A component's source cannot be had here. said: all that the command said."""

    def __init__(self, component: str, what: str, why: str, *, said: str = "") -> None:
        super().__init__(
            f"{component}: {what} is unavailable: {why}",
            hint=f"set another source for {component} in the site file, see `reviewbot docs site-file`",
        )
        self.component, self.what, self.why, self.said = component, what, why, said

    @property
    def details(self) -> tuple[str, ...]:
        """What the command said beside what is told anyway."""
        return tuple(line for line in self.said.strip().splitlines()[-_WORDS:] if line not in self.why)


class WrongBase(UsageError):
    """`--base` or a manifest names something the source does not have."""

    def __init__(
        self, component: str, ref: str, source: str, near: tuple[str, ...] = (), *, manifest: bool = False
    ) -> None:
        hint = f"did you mean {', '.join(near)}?" if near else "give a commit, tag or branch of that source"
        named = f"the manifest's base of {component}, {ref}" if manifest else f"--base {component}={ref}"
        super().__init__(f"{named}: {source} has no such commit", hint=hint)
        self.component, self.ref, self.near = component, ref, near


class DoesNotApply(SeriesAtFault):
    """`git am` refused a patch."""

    verdict = VerdictKind.DOES_NOT_APPLY

    def __init__(
        self,
        *,
        component: str,
        part: str,
        number: int,
        total: int,
        message_id: str,
        subject: str,
        file: str,
        hunk: str,
        words: str,
        base: str,
        commit: str = "",
        prerequisite: bool = False,
        reason: str = "",
        evidence: Sequence[str] = (),
        attempts: Sequence[Attempt] = (),
    ) -> None:
        where = f" at {file}" if file else ""
        what = f"is refused: {reason}" if reason else f"does not apply{where}"
        self.patch = PatchRef(
            component=component,
            part=part,
            number=number,
            total=total,
            message_id=message_id,
            subject=subject,
            prerequisite=prerequisite,
        )
        super().__init__(
            f"{self.patch.name} “{subject}” {what}",
            hint="" if reason else f"name another base with --base {component}=REF",
        )
        self.component, self.part, self.message_id, self.subject = component, part, message_id, subject
        self.number, self.total, self.file, self.hunk, self.words, self.base = number, total, file, hunk, words, base
        self.commit = commit  # of the base; empty if none was chosen
        self.base_why = ""
        self.reason, self.evidence, self.attempts = reason, tuple(evidence), tuple(attempts)

    @property
    def details(self) -> tuple[str, ...]:
        """Evidence, one line each: git's own words, what base has there, the bases that were tried, the hunk."""
        tried = [f"tried {attempt.what}: {attempt.result}" for attempt in self.attempts]
        why = f", {self.base_why}" if self.base_why else ""
        on = () if self.reason else (f"applied on {self.base}{why}",)
        return (*on, *self.words.splitlines(), *self.evidence, *tried, *self.hunk.splitlines())

    def findings(self) -> tuple[Finding, ...]:
        file, line = split_place(self.file)
        return (
            Finding(
                kind=FindingKind.APPLY,
                component=self.component,
                patch=self.patch,
                file=file,
                line=line,
                said=self.reason,
                detail="\n".join(self.details),
            ),
        )


class RefusedPatch(DoesNotApply):
    """A patch that we do not apply whatever git thinks of it: it leaves the tree, or is too large."""


class PullGone(Blocked):
    """A pull request names something that its repository does not have, or no longer has."""

    def __init__(self, component: str, url: str, ref: str, *, wanted: str = "", found: str) -> None:
        want = f", wanted {wanted[:12]}" if wanted else ""
        super().__init__(
            f"{component}: pull of {ref} from {url}{want}: {found}",
            hint="ask the author to push it again, or name another ref in a manifest",
        )
        self.component, self.url, self.ref, self.wanted, self.found = component, url, ref, wanted, found


class UnusablePull(Blocked):
    """What was pulled cannot be put where the posting wants it."""

    def __init__(self, component: str, url: str, ref: str, why: str, *, hint: str = "") -> None:
        super().__init__(f"{component}: pull of {ref} from {url}: {why}", hint=hint)
        self.component, self.url, self.ref, self.why = component, url, ref, why
