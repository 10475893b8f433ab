# SPDX-License-Identifier: GPL-2.0-or-later
"""What is applied to one component, in order: prerequisites, mailed parts, pulls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from reviewbot.host.git import patch_ids
from reviewbot.model.errors import Blocked
from reviewbot.model.posting import Part, Patch
from reviewbot.trees.diffs import files_of, mail_diff
from reviewbot.trees.errors import RefusedPatch
from reviewbot.trees.line_ends import without_quoted_cr
from reviewbot.trees.safety import MAX_PATCH, MAX_SERIES, unsafe_file


@dataclass(frozen=True, slots=True)
class Queued:
    """One mailed patch that waits to be applied."""

    patch: Patch
    part: Part
    total: int
    """Patches in its part, or in its prerequisite."""
    prerequisite: bool
    mail: bytes
    diff: bytes
    patch_id: str
    crlf: bool = False
    """Carriage returns that it lost on its way were put back."""


Segment = Part | tuple[Queued, ...]
"""A part that is pulled, or patches that follow each other."""


def segments(component: str, parts: Sequence[Part], mails: Mapping[str, bytes]) -> tuple[Segment, ...]:
    """In the order of application; a prerequisite that several parts name comes once, below the first of them.

    A prerequisite that the posting itself brings is left to the posting. Raises RefusedPatch, Blocked.
    """
    found: list[Segment] = []
    open_: list[Queued] = []
    own = {patch.message_id for part in parts for patch in part.patches}
    own_ids = {patch.patch_id for part in parts for patch in part.patches if patch.patch_id}
    seen: set[str] = set()
    budget = MAX_SERIES
    for part in parts:
        wanted = [
            (patch, len(p.patches), True) for p in part.prerequisites if p.status == "found" for patch in p.patches
        ]
        wanted = [w for w in wanted if w[0].message_id not in own and w[0].patch_id not in own_ids]
        wanted += [(patch, len(part.patches), False) for patch in part.patches]
        entries: list[Queued] = []
        for patch, total, prerequisite in wanted:
            if prerequisite and seen & {patch.message_id, patch.patch_id or patch.message_id}:
                continue
            seen |= {patch.message_id, patch.patch_id or patch.message_id}
            mail = mails.get(patch.message_id)
            if mail is None:
                raise Blocked(f"{component}: the mail of “{patch.subject}” <{patch.message_id}> is not here")
            mail = without_quoted_cr(mail)
            budget -= len(mail)
            entries.append(_queued(component, part, patch, total, prerequisite, mail, budget))
        open_ += [entry for entry in entries if entry.prerequisite]
        if part.pull:
            found += [tuple(open_)] if open_ else []
            found.append(part)
            open_ = []
        open_ += [entry for entry in entries if not entry.prerequisite]
    found += [tuple(open_)] if open_ else []
    return tuple(_with_patch_ids(segment) if isinstance(segment, tuple) else segment for segment in found)


def _queued(
    component: str, part: Part, patch: Patch, total: int, prerequisite: bool, mail: bytes, budget: int
) -> Queued:
    entry = Queued(patch, part, total, prerequisite, mail, b"", patch.patch_id)
    if len(mail) > MAX_PATCH:
        raise refused(component, entry, f"it has {_mib(len(mail))} MiB, the limit is {_mib(MAX_PATCH)} MiB")
    if budget < 0:
        raise refused(component, entry, f"with it the series has more than {_mib(MAX_SERIES)} MiB, the limit")
    diff = mail_diff(mail)
    entry = replace(entry, diff=diff)
    for file in files_of(diff):
        if why := unsafe_file(file):
            raise refused(component, entry, why)
        if file.binary == "missing":
            raise refused(
                component, entry, f"its diff of the binary file {file.new or file.old} has no data (git diff --binary)"
            )
    return entry


def refused(component: str, entry: Queued, why: str) -> RefusedPatch:
    """The error that says that this patch will not be applied."""
    return RefusedPatch(
        component=component,
        part=entry.part.counter,
        number=entry.patch.number,
        total=entry.total,
        message_id=entry.patch.message_id,
        subject=entry.patch.subject,
        file="",
        hunk="",
        words=why,
        base="",
        prerequisite=entry.prerequisite,
        reason=why.encode(errors="replace").decode(),
    )


def _mib(count: int) -> str:
    return f"{count / (1 << 20):.0f}"


def _with_patch_ids(entries: tuple[Queued, ...]) -> tuple[Queued, ...]:
    unknown = [entry for entry in entries if not entry.patch_id]
    ids = dict(zip((e.patch.message_id for e in unknown), patch_ids([e.diff for e in unknown]), strict=True))
    return tuple(replace(e, patch_id=e.patch_id or ids[e.patch.message_id]) for e in entries)


def pre_images(entries: Sequence[Queued]) -> dict[str, str]:
    """Path -> abbreviated id of the content that the first patch of that path wants there.

    Of the mails themselves; what an earlier patch makes or moves there says nothing of the base.
    """
    wanted: dict[str, str] = {}
    touched: set[str] = set()
    for entry in entries:
        files = files_of(entry.diff)
        for file in files:
            if file.old and file.blob and file.old not in touched:
                wanted.setdefault(file.old, file.blob)
        touched |= {path for file in files for path in file.paths}
    return wanted
