# SPDX-License-Identifier: GPL-2.0-or-later
"""A bag of mails in, the posting's parts out.

b4 keys a thread by revision number and mixes the parts of such a posting, so this is ours: the tree comes from
In-Reply-To, each cover makes one part, each part must have 1..N exactly once, each patch must be placed.
"""

import functools
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from reviewbot.intake.attached import attached_diffs, attached_mails
from reviewbot.intake.copies import conflicting_copies, merged
from reviewbot.intake.errors import NoPatches, SeveralPostings, UnknownMessageId
from reviewbot.intake.gitapply import PatchText
from reviewbot.intake.mail import Mail, parse_mail
from reviewbot.intake.mbox import Mailbag
from reviewbot.intake.parts import Setting, name_of, parts_of, pull_ignored, pull_of
from reviewbot.intake.patches import identify
from reviewbot.intake.rethread import understood
from reviewbot.intake.routing import Exists, kin_of
from reviewbot.intake.sets import Group, sets_of
from reviewbot.intake.tree import Tree
from reviewbot.model.posting import Part, Posting, Problem
from reviewbot.model.stack import Stack
from reviewbot.model.words import counted


@dataclass(frozen=True, slots=True)
class Intake:
    """A posting, and the bytes of its mails (replies too) by Message-ID, in thread order."""

    posting: Posting
    mails: Mapping[str, bytes]
    bases: Mapping[str, str] = field(default_factory=dict)
    """Component -> base that a manifest names."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What one posting of a bag of mails gives; several may be joined."""

    top: str
    subject: str
    author: str
    source: str
    parts: tuple[Part, ...]
    problems: tuple[Problem, ...]
    mails: Mapping[str, bytes]
    asked: tuple[str, ...] = ()
    """Mails of it that were named."""
    alone: bool = False
    """True: it is one numbered sub-series that came without its letter."""
    picked: bool = False
    """True: it is not the whole of its posting, because only a part was asked for."""
    outside: tuple[Part, ...] = ()
    """Those of its parts that are for repositories which the stack does not have."""
    elsewheres: tuple[Problem, ...] = ()
    """What is wrong with these."""


def read_mails(bag: Mailbag) -> tuple[dict[str, Mail], int]:
    """The mails by Message-ID, each once, and how many could not be read."""
    copies: dict[str, list[Mail]] = defaultdict(list)
    unreadable = 0
    inside: dict[bytes, None] = {}
    for raw in dict.fromkeys(bag.mails):
        mail = parse_mail(raw)
        if mail is None:
            unreadable += 1
            continue
        attached = attached_mails(raw)
        inside |= dict.fromkeys(attached)
        # What is attached is no diff of the mail's own.
        copies[mail.id].append(replace(mail, patch=PatchText(), paths=()) if attached else mail)
    known = set(bag.mails)
    for mail in filter(None, map(parse_mail, (raw for raw in inside if raw not in known))):
        copies[mail.id].append(mail)
    return {message_id: merged(same) for message_id, same in copies.items()}, unreadable


def pieces(
    bag: Mailbag,
    message_ids: Sequence[str],
    stack: Stack,
    *,
    part_only: bool = False,
    component: str = "",
    exists: Exists | None = None,
    together: bool = False,
) -> list[Piece]:
    """One piece per posting that has one of these mails, in the order of the ids; all of the bag's if there are none.

    part_only: only the parts that hold the named mails. component: where they belong, if the user says so.
    exists: what is known of the components' trees. together: the user says that all of the bag is one posting.
    What is merely wrong with a posting becomes a Problem. Raises UnknownMessageId, NoPatches, SeveralPostings.
    """
    mails, unreadable = read_mails(bag)
    unknown = next((i for i in message_ids if i not in mails), None)
    if unknown is not None:
        raise UnknownMessageId(unknown, bag.source)
    tree = _tree(mails, stack)
    named: dict[str, list[str]] = {}
    for message_id in message_ids:
        top = tree.top(message_id)
        if top is None:
            raise _no_patches(mails[message_id], len(bag.mails))
        named.setdefault(top.id, []).append(message_id)
    if not message_ids:
        several = _all(tree, bag, together)
        named = {top.id: [top.id] if len(several) > 1 else [] for top in several}
    setting = Setting(stack, component, exists)
    found = [_piece(tree.mails[top], ids, tree, bag, setting, part_only) for top, ids in named.items()]
    found = [
        replace(piece, problems=tuple(p for p in piece.problems if not _taken_after_all(p, named))) for piece in found
    ]
    lost = _unplaced(tree, found)
    if len(found) > 1 and not message_ids and not together:
        names = _listed([f"“{piece.subject}”" for piece in found])
        text = f"{bag.source} holds {len(found)} threads of one author, all treated as one posting: {names}"
        lost.append(Problem(kind="several-threads", message=text, message_ids=tuple(piece.top for piece in found)))
    if unreadable:
        text = f"{counted(unreadable, 'mail')} without a Message-ID were left out"
        lost.append(Problem(kind="not-decodable", message=text))
    return [replace(found[0], problems=(*found[0].problems, *lost)), *found[1:]]


def _taken_after_all(problem: Problem, named: Collection[str]) -> bool:
    """Whether it says of a posting in the same thread that it is left out, which was named, too."""
    return problem.kind == "other-posting" and any(message_id in named for message_id in problem.message_ids)


def tops(bag: Mailbag, stack: Stack) -> list[Mail]:
    """What begins each posting in the bag, the largest first."""
    return _tree(read_mails(bag)[0], stack).tops()


def _tree(mails: Mapping[str, Mail], stack: Stack) -> Tree:
    kin = functools.partial(kin_of, stack=stack)
    return Tree(understood(mails, kin), kin)


def _all(tree: Tree, bag: Mailbag, together: bool) -> list[Mail]:
    tops = tree.tops()
    if not tops:
        some = next((m for m in tree.mails.values() if m.is_series), None) or next(iter(tree.mails.values()), None)
        if some and (some.is_series or attached_diffs(some.raw)):
            raise _no_patches(some, len(bag.mails))
        raise NoPatches(bag.source, len(bag.mails))
    # What lost its cover is reported with the posting that it may belong to.
    whole = [tops[0], *(top for top in tops[1:] if not (top.address == tops[0].address and tree.is_orphan(top)))]
    if len({top.address for top in whole}) > 1 and not together:
        raise SeveralPostings(bag.source, tuple((top.id, top.subject.text) for top in whole))
    return whole


def _piece(top: Mail, named: Sequence[str], tree: Tree, bag: Mailbag, setting: Setting, part_only: bool) -> Piece:
    inside, others = tree.posting(top)
    groups, problems = _groups(top, inside, tree)
    groups = [own for group in groups for own in sets_of(group, setting.stack)]
    if not any(group.patches or pull_of(group) for group in groups):
        raise _no_patches(top, len(inside))
    if top.is_patch and tree.is_orphan(top):
        problems.append(_cover_lost(top))
    problems += [_other_version(other, top) for other in others]
    groups, ignored = _without_repeated_pulls(groups, tree)
    problems += ignored
    kept = [group for group in groups if _holds(group, named, tree, groups)] if part_only and named else groups
    picked = len(kept) < len(groups)
    if picked:
        problems = [_part_only(kept, [group for group in groups if group not in kept])]
    ids = identify(mail for group in kept for mail in group.patches)
    problems += conflicting_copies(inside)
    parts: list[Part] = []
    outside: list[Part] = []
    elsewheres: list[Problem] = []
    for group in kept:
        made = parts_of(group, setting, ids)
        problems += made.problems
        parts += made.parts
        outside += made.outside
        elsewheres += made.elsewheres
    return Piece(
        top=top.id,
        subject=top.subject.text,
        author=top.author,
        source=bag.source,
        parts=tuple(parts),
        problems=tuple(problems),
        mails={mail.id: mail.raw for mail in inside},
        asked=tuple(named),
        alone=bool(top.is_cover and top.subject.number),
        picked=picked,
        outside=tuple(outside),
        elsewheres=tuple(elsewheres),
    )


def _no_patches(mail: Mail, count: int) -> NoPatches:
    asks = "PULL" in mail.subject.kinds and not mail.subject.is_reply
    return NoPatches(mail.id, count, diffs=attached_diffs(mail.raw), answer=mail.subject.is_reply, pull=asks)


def _cover_lost(top: Mail) -> Problem:
    text = (
        f"“{top.subject.text}” answers <{top.parents[0]}>, which is not here: "
        "if that is the cover letter, the base and the prerequisites that it names are not known"
    )
    return Problem(kind="cover-lost", message=text, message_ids=(top.id,))


def _holds(group: Group, named: Sequence[str], tree: Tree, groups: Sequence[Group]) -> bool:
    """Whether one of the named mails is of the group, answers one of its mails, or is a letter above it."""
    own = {mail.id for mail in (group.cover, *group.patches) if mail}
    owned = {mail.id for other in groups for mail in (other.cover, *other.patches) if mail}
    above = {mail.id for mail in tree.up(group.cover or group.patches[0])}
    for message_id in named:
        mail = tree.mails[message_id]
        line = [m.id for m in (mail, *tree.up(mail)) if m.is_series]
        nearest = next((i for i in line if i in owned or i in above), "")
        if nearest in own or (mail.is_cover and message_id in above):
            return True
    return False


def _part_only(kept: Sequence[Group], left: Sequence[Group]) -> Problem:
    places = {(g.cover.subject.total, g.cover.subject.number or 0) for g in kept if g.cover}
    before = [
        (group.cover.subject.number, name_of(group))
        for group in left
        if group.cover
        and any((group.cover.subject.number or 0) < n and group.cover.subject.total == t for t, n in places)
    ]
    text = f"only a part of the posting was requested; {counted(len(left), 'other')} left out"
    if before:
        text += f", though these come before it: {_listed([name for _, name in sorted(before)])}"
    return Problem(kind="part-only", message=text)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _other_version(head: Mail, top: Mail) -> Problem:
    newer = "a newer one that replies to it" if head.date > top.date else "another one in its thread"
    text = f"“{head.subject.text}” <{head.id}> is a separate posting, {newer}: left out"
    return Problem(kind="other-posting", message=text, message_ids=(head.id,))


def _groups(top: Mail, inside: list[Mail], tree: Tree) -> tuple[list[Group], list[Problem]]:
    """Patches by their nearest cover; those of other people are problems, not patches."""
    problems: list[Problem] = []
    by_cover: dict[str, list[Mail]] = defaultdict(list)
    covers = {m.id: m for m in inside if m.is_cover and m.address == top.address}
    for mail in inside:
        if not mail.is_patch:
            continue
        if mail.address != top.address:
            problems.append(
                Problem(
                    kind="stray-patch",
                    message=f"“{mail.subject.text}” is by {mail.author}: left out",
                    message_ids=(mail.id,),
                )
            )
            continue
        cover = next((above.id for above in tree.up(mail) if above.id in covers), "")
        by_cover[cover].append(mail)
    groups = [Group(cover, tuple(by_cover.pop(cover.id, ()))) for cover in covers.values()]
    if "" in by_cover:
        groups.append(Group(None, tuple(by_cover.pop(""))))
    nested = {tree.parent.get(cover) for cover in covers}
    # A cover above other covers, without patches of its own, is the posting's letter and no part.
    return [g for g in groups if g.patches or g.cover is None or g.cover.id not in nested], problems


def _without_repeated_pulls(groups: list[Group], tree: Tree) -> tuple[list[Group], list[Problem]]:
    """A request to pull that answers the cover of mailed patches asks for these patches."""
    mailed = {group.cover.id for group in groups if group.cover and group.patches}
    kept: list[Group] = []
    problems = []
    for group in groups:
        if pull_of(group) and group.cover and mailed & {mail.id for mail in tree.up(group.cover)}:
            problems.append(pull_ignored(group.cover))
        else:
            kept.append(group)
    return kept, problems


def _unplaced(tree: Tree, found: Sequence[Piece]) -> list[Problem]:
    """Patches of the same authors in the bag that hang below something which did not arrive."""
    placed = {message_id for piece in found for message_id in piece.mails}
    authors = {tree.mails[piece.top].address for piece in found}
    lost = []
    for mail in tree.mails.values():
        if mail.id in placed or not mail.is_patch or mail.address not in authors:
            continue
        top = tree.top(mail.id)
        if top is not None and top.id not in placed and tree.is_orphan(top):
            lost.append(mail)
    if not lost:
        return []
    verb = "answers" if len(lost) == 1 else "answer"
    text = f"{counted(len(lost), 'patch')} {verb} a mail that is not here, e.g. “{lost[0].subject.text}”"
    return [Problem(kind="unplaced-patches", message=text, blocking=True, message_ids=tuple(m.id for m in lost))]
