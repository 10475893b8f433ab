# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be wrong with sources, bases and patches."""

from reviewbot.model.errors import InfraError, SeriesAtFault, UsageError
from reviewbot.model.verdict import VerdictKind


class SourceUnreachable(InfraError):
    """A component's source cannot be had here."""

    def __init__(self, component: str, what: str, why: str) -> None:
        super().__init__(
            f"{component}: {what} cannot be had: {why}",
            hint=f"give another source for {component} in the site file, see docs/site-file.md",
        )
        self.component, self.what, self.why = component, what, why


class WrongBase(UsageError):
    """`--base` names something the source does not have."""

    def __init__(self, component: str, ref: str, source: str, near: tuple[str, ...] = ()) -> None:
        hint = f"did you mean {', '.join(near)}?" if near else "give a commit, tag or branch of that source"
        super().__init__(f"--base {component}={ref}: {source} has no such commit", hint=hint)
        self.component, self.ref, self.near = component, ref, near


class DoesNotApply(SeriesAtFault):
    """`git am` refused a patch."""

    verdict = VerdictKind.DOES_NOT_APPLY

    def __init__(
        self, *, component: str, part: str, number: int, total: int, message_id: str, subject: str, file: str,
        hunk: str, words: str, base: str,
    ) -> None:  # fmt: skip
        where = f" at {file}" if file else ""
        super().__init__(
            f"{component} part {part}, patch {number}/{total} “{subject}” does not apply{where}",
            hint=f"applied on {base}; name another base with --base {component}=REF",
        )
        self.component, self.part, self.message_id, self.subject = component, part, message_id, subject
        self.number, self.total, self.file, self.hunk, self.words, self.base = number, total, file, hunk, words, base

    @property
    def details(self) -> tuple[str, ...]:
        """Evidence, one line each: git's own words, then the hunk."""
        return (*self.words.splitlines(), *self.hunk.splitlines())
