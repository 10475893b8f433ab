# SPDX-License-Identifier: GPL-2.0-or-later
"""A bag of mails in, the posting's parts out.

b4 keys a thread by revision number and mixes the parts of such a posting, so this is ours: the tree comes from
In-Reply-To, each cover makes one part, each part must have 1..N exactly once, each patch must be placed.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from reviewbot.intake.copies import conflicting_copies, merged, one_of, troubles, unnumbered
from reviewbot.intake.errors import NoPatches, SeveralPostings, UnknownMessageId
from reviewbot.intake.mail import Mail, parse_mail
from reviewbot.intake.mbox import Mailbag
from reviewbot.intake.patches import identify, patch_of
from reviewbot.intake.pull import PullRequest
from reviewbot.intake.routing import Routed, route
from reviewbot.intake.tree import Tree
from reviewbot.model.posting import Declared, Part, Posting, Prerequisite, Problem, Pull
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


@dataclass(frozen=True, slots=True)
class _Group:
    """Patches that hang below one cover (or below none)."""

    cover: Mail | None
    patches: tuple[Mail, ...]


def read_mails(bag: Mailbag) -> tuple[dict[str, Mail], int]:
    """The mails by Message-ID, each once, and how many could not be read."""
    copies: dict[str, list[Mail]] = defaultdict(list)
    unreadable = 0
    for raw in dict.fromkeys(bag.mails):
        mail = parse_mail(raw)
        if mail is None:
            unreadable += 1
        else:
            copies[mail.id].append(mail)
    return {message_id: merged(same) for message_id, same in copies.items()}, unreadable


def pieces(
    bag: Mailbag, message_ids: Sequence[str], stack: Stack, *, part_only: bool = False, component: str = ""
) -> list[Piece]:  # fmt: skip
    """One piece per posting that has one of these mails, in the order of the ids; all of the bag's if there are none.

    part_only: only the parts that hold the named mails. component: where they belong, if the user says so.
    What is merely wrong with a posting becomes a Problem. Raises UnknownMessageId, NoPatches, SeveralPostings.
    """
    mails, unreadable = read_mails(bag)
    unknown = next((i for i in message_ids if i not in mails), None)
    if unknown is not None:
        raise UnknownMessageId(unknown, bag.source)
    tree = Tree(mails)
    named: dict[str, list[str]] = {}
    for message_id in message_ids:
        top = tree.top(message_id)
        if top is None:
            raise NoPatches(message_id, len(bag.mails))
        named.setdefault(top.id, []).append(message_id)
    if not message_ids:
        several = _all(tree, bag)
        named = {top.id: [top.id] if len(several) > 1 else [] for top in several}
    found = [_piece(mails[top], ids, tree, bag, stack, part_only, component) for top, ids in named.items()]
    lost = _unplaced(tree, found)
    if len(found) > 1 and not message_ids:
        names = _listed([f"“{piece.subject}”" for piece in found])
        text = f"{bag.source} holds {len(found)} threads of one author, all taken as one posting: {names}"
        lost.append(Problem(kind="several-threads", message=text, message_ids=tuple(piece.top for piece in found)))
    if unreadable:
        text = f"{counted(unreadable, 'mail')} without a Message-ID were left out"
        lost.append(Problem(kind="not-decodable", message=text))
    return [replace(found[0], problems=(*found[0].problems, *lost)), *found[1:]]


def tops(bag: Mailbag) -> list[Mail]:
    """What begins each posting in the bag, the largest first."""
    return Tree(read_mails(bag)[0]).tops()


def _all(tree: Tree, bag: Mailbag) -> list[Mail]:
    tops = tree.tops()
    if not tops:
        some = next((m for m in tree.mails.values() if m.is_series), None)
        raise NoPatches(some.id if some else bag.source, len(bag.mails))
    # What lost its cover is reported with the posting that it may belong to.
    whole = [tops[0], *(top for top in tops[1:] if not (top.address == tops[0].address and tree.is_orphan(top)))]
    if len({top.address for top in whole}) > 1:
        raise SeveralPostings(bag.source, tuple((top.id, top.subject.text) for top in whole))
    return whole


def _piece(
    top: Mail, named: Sequence[str], tree: Tree, bag: Mailbag, stack: Stack, part_only: bool, component: str
) -> Piece:  # fmt: skip
    inside, others = tree.posting(top)
    groups, problems = _groups(top, inside, tree)
    if not any(group.patches or _pull_of(group) for group in groups):
        raise NoPatches(top.id, len(inside))
    problems += [_other_version(other) for other in others]
    groups, ignored = _without_repeated_pulls(groups, tree)
    problems += ignored
    kept = [group for group in groups if _holds(group, named, tree)] if part_only and named else groups
    picked = len(kept) < len(groups)
    if picked:
        problems = [_part_only(kept, [group for group in groups if group not in kept])]
    ids = identify(mail for group in kept for mail in group.patches)
    problems += conflicting_copies(inside)
    parts: list[Part] = []
    for group in kept:
        part, wrong = _part(group, stack, ids, component)
        problems += wrong
        if part is not None:
            parts.append(part)
    return Piece(
        top=top.id, subject=top.subject.text, author=top.author, source=bag.source, parts=tuple(parts),
        problems=tuple(problems), mails={mail.id: mail.raw for mail in inside},
        asked=tuple(named), alone=bool(top.is_cover and top.subject.number), picked=picked,
    )  # fmt: skip


def _holds(group: _Group, named: Sequence[str], tree: Tree) -> bool:
    """Whether one of the named mails is of the group, answers one of its mails, or is a letter above it."""
    own = {mail.id for mail in (group.cover, *group.patches) if mail}
    head = group.cover or group.patches[0]
    above = {mail.id for mail in tree.up(head)}
    for message_id in named:
        mail = tree.mails[message_id]
        line = [m.id for m in (mail, *tree.up(mail)) if m.is_series]
        nearest = next((i for i in line if i in own or i in above), "")
        if nearest in own or (mail.is_series and message_id in above):
            return True
    return False


def _part_only(kept: Sequence[_Group], left: Sequence[_Group]) -> Problem:
    places = {(g.cover.subject.total, g.cover.subject.number or 0) for g in kept if g.cover}
    before = [
        (group.cover.subject.number, _name(group))
        for group in left
        if group.cover
        and any((group.cover.subject.number or 0) < n and group.cover.subject.total == t for t, n in places)
    ]
    text = f"only a part of the posting was asked for; {counted(len(left), 'other')} left out"
    if before:
        text += f", though these come before it: {_listed([name for _, name in sorted(before)])}"
    return Problem(kind="part-only", message=text)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _other_version(head: Mail) -> Problem:
    text = f"“{head.subject.text}” answers this posting and is one of its own: left out"
    return Problem(kind="other-posting", message=text, message_ids=(head.id,))


def _groups(top: Mail, inside: list[Mail], tree: Tree) -> tuple[list[_Group], list[Problem]]:
    """Patches by their nearest cover; those of other people are problems, not patches."""
    problems: list[Problem] = []
    by_cover: dict[str, list[Mail]] = defaultdict(list)
    covers = {m.id: m for m in inside if m.is_cover and m.address == top.address}
    for mail in inside:
        if not mail.is_patch:
            continue
        if mail.address != top.address:
            problems.append(
                Problem(kind="stray-patch", message=f"“{mail.subject.text}” is by {mail.author}: left out",
                        message_ids=(mail.id,))
            )  # fmt: skip
            continue
        cover = next((above.id for above in tree.up(mail) if above.id in covers), "")
        by_cover[cover].append(mail)
    groups = [_Group(cover, tuple(by_cover.pop(cover.id, ()))) for cover in covers.values()]
    if "" in by_cover:
        groups.append(_Group(None, tuple(by_cover.pop(""))))
    nested = {tree.parent.get(cover) for cover in covers}
    # A cover above other covers, without patches of its own, is the posting's letter and no part.
    return [g for g in groups if g.patches or g.cover is None or g.cover.id not in nested], problems


def _without_repeated_pulls(groups: list[_Group], tree: Tree) -> tuple[list[_Group], list[Problem]]:
    """A request to pull that answers the cover of mailed patches asks for these patches."""
    mailed = {group.cover.id for group in groups if group.cover and group.patches}
    kept: list[_Group] = []
    problems = []
    for group in groups:
        if _pull_of(group) and group.cover and mailed & {mail.id for mail in tree.up(group.cover)}:
            problems.append(_pull_ignored(group.cover))
        else:
            kept.append(group)
    return kept, problems


def _pull_ignored(mail: Mail) -> Problem:
    text = f"“{mail.subject.text}”: the mailed patches are taken; what it asks to pull is not"
    return Problem(kind="pull-ignored", message=text, message_ids=(mail.id,))


def _part(
    group: _Group, stack: Stack, ids: Mapping[str, str], component: str = ""
) -> tuple[Part | None, list[Problem]]:
    name = _name(group)
    patches, problems = _numbered(group, name)
    pull = _pull_of(group)
    if not patches and pull is None:
        return None, [*problems, _nothing_arrived(group, name)]
    if pull is None and group.cover and group.cover.pull:
        problems.append(_pull_ignored(group.cover))
    head = group.cover or patches[0]
    if pull is not None and pull.refused:
        problems.append(
            Problem(kind="refused-pull", message=f"{name}: {pull.refused}", blocking=True, message_ids=(head.id,))
        )
    problems += troubles(patches)
    routed = _routed(group, patches, pull, stack, component)
    if not routed.component:
        kind = "no-component" if "no component" in routed.why else "ambiguous-component"
        problems.append(
            Problem(kind=kind, message=f"{name}: {routed.why}", blocking=True,
                    message_ids=tuple(m.id for m in routed.culprits))
        )  # fmt: skip
    sets = head is group.cover and head.subject.number not in (None, 0)
    part = Part(
        component=routed.component or "unknown",
        counter=f"{head.subject.number}/{head.subject.total}" if sets else "1/1",
        version=head.subject.version,
        rfc=any(mail.subject.rfc for mail in (head, *patches)),
        subject=head.subject.title,
        cover=group.cover.id if group.cover else None,
        base_commit=next((m.trailers.base_commit for m in (head, *patches) if m.trailers.base_commit), None),
        change_id=next((m.trailers.change_id for m in (head, *patches) if m.trailers.change_id), None),
        date=head.date,
        prerequisites=tuple(
            Prerequisite(declared=declared, status="missing", why="not looked for")
            for declared in _declared(head, patches)
        ),
        pull=Pull(url=pull.url, ref=pull.ref or pull.tip, base=pull.base, tip=pull.tip, message_id=head.id)
        if pull
        else None,
        routed_by=routed.why,
        patches=tuple(patch_of(mail, ids[mail.id]) for mail in patches),
    )
    return part, problems


def _pull_of(group: _Group) -> PullRequest | None:
    """What to pull, when there is no patch and the cover asks for it."""
    return group.cover.pull if group.cover and group.cover.is_pull and not group.patches else None


def _nothing_arrived(group: _Group, name: str) -> Problem:
    ids = (group.cover.id,) if group.cover else ()
    if group.cover and "PULL" in group.cover.subject.kinds:
        text = f"{name}: it does not say where to pull from"
        return Problem(kind="no-pull", message=text, blocking=True, message_ids=ids)
    text = f"{name}: none of its patches arrived"
    return Problem(kind="missing-patches", message=text, blocking=True, message_ids=ids)


def _routed(
    group: _Group, patches: tuple[Mail, ...], pull: PullRequest | None, stack: Stack, component: str
) -> Routed:  # fmt: skip
    if pull is None or group.cover is None:
        routed = route(patches, group.cover, stack)
    else:
        routed = route((replace(group.cover, paths=pull.paths),), group.cover, stack)
    if not component or routed.component == component:
        return routed
    if routed.component and "paths" in routed.why.split(",")[0]:
        return Routed("", f"the manifest says {component}, but the paths say {routed.component}", patches)
    return Routed(component, "the manifest says so")


def _declared(head: Mail, patches: Iterable[Mail]) -> tuple[Declared, ...]:
    """What cover and patches say they stand on, each once."""
    return tuple({(d.kind, d.value): d for m in (head, *patches) for d in m.trailers.declared}.values())


def _name(group: _Group) -> str:
    mail = group.cover or group.patches[0]
    return f"“{mail.subject.text}”"


def _numbered(group: _Group, name: str) -> tuple[tuple[Mail, ...], list[Problem]]:
    """The patches in order 1..N, and every reason why they are not exactly that."""
    problems: list[Problem] = []
    counted = [m for m in group.patches if m.subject.total is not None]
    if not counted:
        if len(group.patches) <= 1:
            return group.patches, problems
        ids = tuple(m.id for m in group.patches)
        problems.append(Problem(kind="no-numbers", message=f"{name}: {len(ids)} patches without numbers: their order "
                                "is not known", blocking=True, message_ids=ids))  # fmt: skip
        return group.patches, problems
    problems += [unnumbered(mail, counted, name) for mail in group.patches if mail.subject.total is None]
    total = _total(group, counted)
    by_number: dict[int, list[Mail]] = defaultdict(list)
    for mail in counted:
        if mail.subject.total == total:
            by_number[mail.subject.number or 0].append(mail)
        else:
            problems.append(Problem(kind="stray-patch", message=f"{name}: “{mail.subject.text}” is not one of {total}",
                                    blocking=True, message_ids=(mail.id,)))  # fmt: skip
    missing = [n for n in range(1, total + 1) if n not in by_number]
    if missing:
        text = f"{name}: {len(missing)} of {total} patches are missing: {ranges(missing)}"
        head = group.cover or group.patches[0]
        problems.append(Problem(kind="missing-patches", message=text, blocking=True, message_ids=(head.id,)))
    chosen = []
    for number, several in sorted(by_number.items()):
        mail, problem = one_of(several, name)
        if problem is None and number > total:
            text = f"{name}: “{mail.subject.text}” is one too many"
            problem = Problem(kind="duplicate-number", message=text, blocking=True, message_ids=(mail.id,))
        chosen.append(mail)
        problems += [problem] if problem else []
    return tuple(chosen), problems


def _total(group: _Group, counted: list[Mail]) -> int:
    cover = group.cover.subject if group.cover else None
    if cover is not None and cover.number == 0 and cover.total:
        return cover.total
    return Counter(m.subject.total or 0 for m in counted).most_common(1)[0][0]


def ranges(numbers: list[int]) -> str:
    """`3, 5-7`."""
    words: list[str] = []
    start = last = numbers[0]
    for number in [*numbers[1:], -1]:
        if number == last + 1:
            last = number
            continue
        words.append(str(start) if start == last else f"{start}-{last}")
        start = last = number
    return ", ".join(words)


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
    text = f"{counted(len(lost), 'patch')} answer a mail that is not here, e.g. “{lost[0].subject.text}”"
    return [Problem(kind="unplaced-patches", message=text, blocking=True, message_ids=tuple(m.id for m in lost))]
