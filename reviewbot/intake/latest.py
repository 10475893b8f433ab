# SPDX-License-Identifier: GPL-2.0-or-later
"""`--latest`: a posting, or some of its parts, in their newest versions."""

from collections import Counter
from dataclasses import dataclass, replace

from reviewbot.intake.archive import Archive
from reviewbot.intake.errors import NoPatches, UnknownMessageId
from reviewbot.intake.join import join, split
from reviewbot.intake.split import Intake, pieces
from reviewbot.intake.versions import described, find_versions, newest_of, part_head
from reviewbot.model.posting import Part, Posting, Problem, Version
from reviewbot.model.stack import Stack

_ROUNDS = 3
"""A newest version whose own newest version is still another one: as often as this."""
_AS_ASKED = frozenset({"part-only", "missing-part"})
"""Notes on what a part was taken out of, or on neighbours that its counter (2/6) promises."""


@dataclass(frozen=True, slots=True)
class _Newest:
    """What is to replace a part, or why nothing can."""

    part: Part | None
    mails: dict[str, bytes]
    problems: tuple[Problem, ...]


def take_latest(found: Intake, archive: Archive, stack: Stack, *, fresh: bool = False) -> Intake:
    """The posting by its newest version, then each part by its newest; notes say what was replaced.

    found: after `find_versions`. A newest part that is not one part, or is one of another component, is not taken:
    a blocking problem says so. Raises UnknownMessageId, NoPatches, ArchiveUnreachable.
    """
    replaced: tuple[Problem, ...] = ()
    picked = any(problem.kind == "part-only" for problem in found.posting.problems)
    for _ in range(0 if picked else _ROUNDS):
        newest = newest_of(found.posting.versions)
        if newest is None:
            break
        old = found.posting
        bag = archive.thread(newest.message_id, fresh=fresh)
        found = find_versions(split(bag, newest.message_id, stack), archive, fresh=fresh)
        text = f"the posting <{old.top}> was replaced by {described(newest, -1)}"
        replaced += (Problem(kind="replaced", message=text, message_ids=(old.top, newest.message_id)),)
    found = _with_problems(found, replaced)
    return _latest_parts(found, archive, stack, fresh=fresh)


def _latest_parts(found: Intake, archive: Archive, stack: Stack, *, fresh: bool) -> Intake:
    wanted = {part_head(part): version for part in found.posting.parts if (version := newest_of(part.versions))}
    claimed = Counter(version.message_id for version in wanted.values())
    parts: list[Part] = []
    mails = dict(found.mails)
    problems: list[Problem] = []
    gone: set[str] = set()
    for part in found.posting.parts:
        version = wanted.get(part_head(part))
        if version is None:
            parts.append(part)
            continue
        if claimed[version.message_id] > 1:
            problems.append(_refused(part, version, "it could be the newest version of more than one part"))
            parts.append(part)
            continue
        newest = _newest_part(part, version, archive, stack, fresh)
        problems += newest.problems
        parts.append(newest.part or part)
        if newest.part is not None:
            mails |= newest.mails
            # With it goes what was wrong with it.
            gone |= {version.message_id, part_head(part), *(patch.message_id for patch in part.patches)}
    kept = (p for p in found.posting.problems if not p.message_ids or not set(p.message_ids) <= gone)
    stay = {key: raw for key, raw in mails.items() if key not in gone or key in _heads_and_patches(parts)}
    posting = found.posting.model_copy(update={"parts": tuple(parts), "problems": (*kept, *problems)})
    return replace(found, posting=posting, mails=stay)


def _heads_and_patches(parts: list[Part]) -> frozenset[str]:
    return frozenset(key for part in parts for key in (part_head(part), *(p.message_id for p in part.patches)))


def _newest_part(part: Part, version: Version, archive: Archive, stack: Stack, fresh: bool) -> _Newest:
    """The part that hangs below the version's head, if that is one part of the same component."""
    try:
        bag = archive.thread(version.message_id, fresh=fresh)
        new = join(pieces(bag, (version.message_id,), stack, part_only=True), stack)
    except (UnknownMessageId, NoPatches) as error:
        return _Newest(None, {}, (_refused(part, version, str(error)),))
    several = new.posting.parts
    if len(several) != 1:
        return _Newest(None, {}, (_refused(part, version, f"it has {len(several)} parts"),))
    (one,) = several
    if one.component != part.component:
        why = f"it is for {one.component}, this part is for {part.component}"
        return _Newest(None, {}, (_refused(part, version, why),))
    text = f"“{part.subject}” v{part.version} was replaced by {described(version, part.version)}"
    note = Problem(kind="replaced", message=text, message_ids=(part_head(part), version.message_id))
    mails = {key: new.mails[key] for key in _heads_and_patches([one]) if key in new.mails}
    return _Newest(one, mails, (note, *(p for p in new.posting.problems if p.kind not in _AS_ASKED)))


def _refused(part: Part, version: Version, why: str) -> Problem:
    text = f"“{part.subject}”: its newest version, {described(version, part.version)}, cannot be used: {why}"
    return Problem(kind="ambiguous-latest", message=text, blocking=True, message_ids=(version.message_id,))


def _with_problems(found: Intake, more: tuple[Problem, ...]) -> Intake:
    posting: Posting = found.posting.model_copy(update={"problems": (*found.posting.problems, *more)})
    return replace(found, posting=posting)
