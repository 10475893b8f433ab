# SPDX-License-Identifier: GPL-2.0-or-later
"""A bag of mails in, the posting's parts out.

b4 keys a thread by revision number and mixes the parts of such a posting, so this is ours: the tree comes from
In-Reply-To, each cover makes one part, each part must have 1..N exactly once, each patch must be placed.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from reviewbot.intake.errors import NoPatches, UnknownMessageId
from reviewbot.intake.mail import Mail, parse_mail
from reviewbot.intake.mbox import Mailbag
from reviewbot.intake.routing import route
from reviewbot.model.posting import Part, Patch, Posting, Problem
from reviewbot.model.stack import Stack


@dataclass(frozen=True, slots=True)
class Intake:
    """A posting, and the bytes of its mails (replies too) by Message-ID, in thread order."""

    posting: Posting
    mails: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class _Group:
    """Patches that hang below one cover (or below none)."""

    cover: Mail | None
    patches: tuple[Mail, ...]


def split(bag: Mailbag, message_id: str | None, stack: Stack) -> Intake:
    """Raises UnknownMessageId, NoPatches. What is merely wrong with the posting becomes a Problem.

    message_id: any mail of the thread; None takes the largest thread in the bag.
    """
    mails: dict[str, Mail] = {}
    unreadable = 0
    for raw in bag.mails:
        mail = parse_mail(raw)
        if mail is None:
            unreadable += 1
        else:
            mails.setdefault(mail.id, mail)
    if message_id is not None and message_id not in mails:
        raise UnknownMessageId(message_id, bag.source)
    tree = _Tree(mails)
    top = tree.top(message_id)
    if top is None:
        raise NoPatches(message_id or bag.source, len(bag.mails))
    inside = tree.below(top)
    groups, problems = _groups(top, inside, tree)
    if not any(group.patches for group in groups):
        raise NoPatches(top.id, len(inside))
    parts: list[Part] = []
    for group in groups:
        part, found = _part(group, stack)
        problems += found
        if part is not None:
            parts.append(part)
    problems += _missing_parts(parts, groups)
    problems += _unplaced(top, mails, inside)
    if unreadable:
        problems.append(Problem(kind="not-decodable", message=f"{unreadable} mails without a Message-ID were left out"))
    order = {component.name: place for place, component in enumerate(stack.components)}
    parts.sort(key=lambda part: (order.get(part.component, 99), *_counter(part.counter)))
    posting = Posting(
        top=top.id, subject=top.subject.text, author=top.author, source=bag.source, parts=tuple(parts),
        problems=tuple(problems),
    )  # fmt: skip
    return Intake(posting, {mail.id: mail.raw for mail in inside})


def _counter(counter: str) -> tuple[int, int]:
    number, _, total = counter.partition("/")
    return int(number), int(total)


class _Tree:
    """Who answers whom. A mail's parent is the nearest of its ancestors that is here; loops are cut."""

    def __init__(self, mails: Mapping[str, Mail]) -> None:
        self.mails = mails
        self.parent: dict[str, str] = {}
        for mail in mails.values():
            here = next((p for p in mail.parents if p in mails), None)
            if here is not None and not self._reaches(here, mail.id):
                self.parent[mail.id] = here
        self.children: dict[str, list[Mail]] = defaultdict(list)
        for child, parent in self.parent.items():
            self.children[parent].append(mails[child])

    def _reaches(self, start: str, goal: str) -> bool:
        while start in self.parent and start != goal:
            start = self.parent[start]
        return start == goal

    def up(self, mail: Mail) -> list[Mail]:
        """Ancestors from the nearest on."""
        found = []
        here = mail.id
        while here in self.parent:
            here = self.parent[here]
            found.append(self.mails[here])
        return found

    def below(self, top: Mail) -> list[Mail]:
        """The mail and all that hangs below it, parents first."""
        found, waiting = [], [top]
        while waiting:
            mail = waiting.pop()
            found.append(mail)
            waiting += reversed(self.children[mail.id])
        return found

    def top(self, message_id: str | None) -> Mail | None:
        """The outermost patch or cover above `message_id`, or of the thread with the most patches."""
        if message_id is not None:
            here = self.mails[message_id]
            line = [here, *self.up(here)]
            return next((m for m in reversed(line) if m.is_cover or m.is_patch), None)
        roots = [m for m in self.mails.values() if m.id not in self.parent]
        best = max(roots, key=lambda m: sum(x.is_patch for x in self.below(m)), default=None)
        if best is None or best.is_cover or best.is_patch:
            return best
        return next((m for m in self.below(best) if m.is_cover or m.is_patch), None)


def _groups(top: Mail, inside: list[Mail], tree: _Tree) -> tuple[list[_Group], list[Problem]]:
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


def _part(group: _Group, stack: Stack) -> tuple[Part | None, list[Problem]]:
    name = _name(group)
    patches, problems = _numbered(group, name)
    if not patches:
        missing = Problem(kind="missing-patches", message=f"{name}: none of its patches arrived", blocking=True,
                          message_ids=(group.cover.id,) if group.cover else ())  # fmt: skip
        return None, [*problems, missing]
    routed = route(patches, group.cover, stack)
    if not routed.component:
        kind = "no-component" if "no component" in routed.why else "ambiguous-component"
        problems.append(
            Problem(kind=kind, message=f"{name}: {routed.why}", blocking=True,
                    message_ids=tuple(m.id for m in routed.culprits))
        )  # fmt: skip
    head = group.cover or patches[0]
    sets = head is group.cover and head.subject.number not in (None, 0)
    part = Part(
        component=routed.component or "unknown",
        counter=f"{head.subject.number}/{head.subject.total}" if sets else "1/1",
        version=head.subject.version,
        rfc=any(mail.subject.rfc for mail in (head, *patches)),
        subject=head.subject.title,
        cover=group.cover.id if group.cover else None,
        base_commit=next((m.base_commit for m in (head, *patches) if m.base_commit), None),
        routed_by=routed.why,
        patches=tuple(
            Patch(message_id=m.id, subject=m.subject.text, author=m.author, number=m.subject.number or 1, paths=m.paths)
            for m in patches
        ),
    )
    return part, problems


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
    for mail in group.patches:
        if mail.subject.total is None:
            problems.append(Problem(kind="stray-patch", message=f"{name}: “{mail.subject.text}” has no number",
                                    message_ids=(mail.id,)))  # fmt: skip
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
        text = f"{name}: {len(missing)} of {total} patches are missing: {_ranges(missing)}"
        problems.append(Problem(kind="missing-patches", message=text, blocking=True))
    for number, several in sorted(by_number.items()):
        if len(several) > 1 or number > total:
            text = f"{name}: {len(several)} mails are patch {number}/{total}"
            problems.append(Problem(kind="duplicate-number", message=text, blocking=True,
                                    message_ids=tuple(m.id for m in several)))  # fmt: skip
    return tuple(by_number[n][0] for n in sorted(by_number)), problems


def _total(group: _Group, counted: list[Mail]) -> int:
    cover = group.cover.subject if group.cover else None
    if cover is not None and cover.number == 0 and cover.total:
        return cover.total
    return Counter(m.subject.total or 0 for m in counted).most_common(1)[0][0]


def _ranges(numbers: list[int]) -> str:
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


def _missing_parts(parts: list[Part], groups: list[_Group]) -> list[Problem]:
    """A posting that says `n/m` on its covers must have all of 1..m per component."""
    seen: dict[tuple[str, int], set[int]] = defaultdict(set)
    for part in parts:
        number, total = _counter(part.counter)
        seen[part.component, total].add(number)
    problems = []
    for (component, total), numbers in seen.items():
        missing = [n for n in range(1, total + 1) if n not in numbers]
        if missing and total <= 200:
            text = f"{component}: {len(missing)} of {total} parts are missing: {_ranges(missing)}"
            problems.append(Problem(kind="missing-part", message=text, blocking=True))
    doubled = [k for k, n in Counter((p.component, p.counter) for p in parts if p.counter != "1/1").items() if n > 1]
    for component, counter in doubled:
        text = f"{component}: more than one part calls itself {counter}"
        problems.append(Problem(kind="duplicate-part", message=text, blocking=True))
    return problems


def _unplaced(top: Mail, mails: Mapping[str, Mail], inside: list[Mail]) -> list[Problem]:
    """Patches of the same author in the bag that hang below something which did not arrive."""
    placed = {mail.id for mail in inside}
    lost = [m for m in mails.values() if m.id not in placed and m.is_patch and m.address == top.address and m.parents]
    if not lost:
        return []
    text = f"{len(lost)} patches answer a mail that is not here, e.g. “{lost[0].subject.text}”"
    return [Problem(kind="unplaced-patches", message=text, blocking=True, message_ids=tuple(m.id for m in lost))]
