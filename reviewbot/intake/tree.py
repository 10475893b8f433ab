# SPDX-License-Identifier: GPL-2.0-or-later
"""Who answers whom, and where one posting ends and another begins.

A new version is often sent as an answer to the old one, and one letter as an answer to another; both are in the same
thread and are different postings.
"""

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence

from reviewbot.intake.mail import Mail
from reviewbot.intake.rethread import Kin
from reviewbot.intake.routing import is_generic


def _names(mail: Mail) -> set[str]:
    """Words in the brackets that may name a repository."""
    return {word for word in mail.subject.words if not is_generic(word)}


def _untold(mail: Mail) -> str:
    return ""


class Tree:
    """A thread. A mail's parent is the nearest of its ancestors that is here; loops are cut.

    kin: tells the repository that a mail alone is surely for; patches for another repository are no new version.
    """

    def __init__(self, mails: Mapping[str, Mail], kin: Kin = _untold) -> None:
        self.mails = mails
        self.kin = kin
        self.parent: dict[str, str] = {}
        for mail in mails.values():
            here = next((p for p in mail.parents if p in mails), None)
            if here is not None and not self._reaches(here, mail.id):
                self.parent[mail.id] = here
        self.children: dict[str, list[Mail]] = defaultdict(list)
        for child, parent in self.parent.items():
            self.children[parent].append(mails[child])
        self._order = {key: place for place, key in enumerate(mails)}
        self._kin_of: dict[str, str] = {}
        self._below: dict[str, list[Mail]] = {}
        self._opens: dict[str, bool] = {}
        self._head: dict[str, Mail | None] = {}
        self._families: dict[tuple[object, ...], list[Mail]] = {}
        self._sets: dict[tuple[object, ...], list[Mail]] = defaultdict(list)
        for mail in mails.values():
            if mail.is_series and mail.subject.number:
                self._sets[self._set(mail)].append(mail)

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

    def below(self, tops: Sequence[Mail]) -> list[Mail]:
        """These mails and all that hangs below them, parents first."""
        found, waiting = [], list(reversed(tops))
        while waiting:
            mail = waiting.pop()
            found.append(mail)
            waiting += reversed(self.children[mail.id])
        return found

    def opens(self, mail: Mail) -> bool:
        """Whether this cover or patch begins a posting: nothing is above it, or what is above is another posting's."""
        if mail.id not in self._opens:
            self._opens[mail.id] = self._begins(mail)
        return self._opens[mail.id]

    def _begins(self, mail: Mail) -> bool:
        line = [above for above in self.up(mail) if above.is_series]
        if not line or line[0].address != mail.address:
            return True
        if self._for_another_repository(mail, line):
            return False
        above = next((m for m in line if m.subject.says_version), None)
        if not mail.subject.says_version or mail.subject.version == (above.subject.version if above else 1):
            return self._sent_again(mail, line)
        if mail.is_patch and mail.subject.number:
            # A whole new set is a new version; a few of its patches are a correction of the old one.
            numbers = {brother.subject.number for brother in (*self._sets[self._set(mail)], *self._own_set(mail))}
            return numbers >= set(range(1, (mail.subject.total or 0) + 1))
        if mail.subject.number:
            # A letter may hold sub-series that count their versions for themselves, unless it has a set of its own.
            brothers = self.children[self.parent[mail.id]]
            return above is not None and any(m.is_cover and m.subject.same_version(above.subject) for m in brothers)
        return True

    def _own_set(self, head: Mail) -> list[Mail]:
        """Patches of one set that hang below its first mail, itself included if it is one."""
        found = [head] if head.is_patch else []
        numbers = {head.subject.number}
        waiting = list(self.children[head.id])
        while waiting:
            mail = waiting.pop(0)
            if not (mail.is_patch and mail.address == head.address and mail.subject.number not in numbers):
                continue
            if head.is_patch and mail.subject.total != head.subject.total:
                continue
            numbers.add(mail.subject.number)
            found.append(mail)
            waiting += self.children[mail.id]
        return found

    def _kin(self, mail: Mail) -> str:
        if mail.id not in self._kin_of:
            self._kin_of[mail.id] = self.kin(mail)
        return self._kin_of[mail.id]

    def _patches_below(self, head: Mail) -> list[Mail]:
        """All patches of the same author below a mail, and the mail itself."""
        if head.id not in self._below:
            found = [mail for mail in self.below([head]) if mail.address == head.address]
            self._below[head.id] = [mail for mail in found if mail.is_patch or mail is head]
        return self._below[head.id]

    def _for_another_repository(self, mail: Mail, line: Sequence[Mail]) -> bool:
        """Whether it begins a companion of what it answers: `[PATCH libfuse v2 0/3]` below a kernel series v5."""
        if mail.is_cover and mail.subject.number is None:
            return False  # a letter speaks for all that is below it
        brothers = self._sets[self._set(mail)] if mail.is_patch and mail.subject.number else []
        inside = {m.id: self._kin(m) for m in (*self._patches_below(mail), *brothers)}
        if not any(inside.values()):
            return False
        same = list(itertools.takewhile(lambda head: head.address == mail.address, line))
        heads = {head.id: head for head in (next((m for m in same if m.is_cover), same[0]), same[-1])}
        others = (m for head in heads.values() for m in self._patches_below(head) if m.id not in inside)
        above = {self._kin(other) for other in others} - {""}
        return bool(above) and not above & set(inside.values())

    def _posting_above(self, mail: Mail, line: Sequence[Mail]) -> Mail:
        """The nearest cover of the same author above a mail, or the first of the patches above it."""
        same = list(itertools.takewhile(lambda head: head.address == mail.address, line))
        return next((head for head in same if head.is_cover), same[-1])

    def _is_before(self, one: Mail, other: Mail) -> bool:
        return (one.date, self._order[one.id]) < (other.date, self._order[other.id])

    def _sent_again(self, mail: Mail, line: Sequence[Mail]) -> bool:
        """Whether it begins a whole set that answers an equal one, as a new version that does not say so."""
        above = [head for head in line if head.address == mail.address]
        subject = mail.subject
        if mail.is_patch and not subject.number:
            return any(m.is_patch and not m.subject.number and m.subject.title == subject.title for m in above)
        if mail.is_patch:
            equal = [
                m
                for m in self._patches_below(self._posting_above(mail, above))
                if m.is_patch
                and m.subject.number == subject.number
                and m.subject.same_version(subject)
                and (self._kin(m), _names(m)) == (self._kin(mail), _names(mail))
                and self._is_before(m, mail)
                and (m.subject.total == subject.total or m in above)
            ]
            numbers = {m.subject.number for m in self._own_set(mail)}
            whole = numbers >= set(range(1, (subject.total or 0) + 1))
            return bool(equal) and whole and subject.number == 1
        if subject.number != 0 or not (own := self._own_set(mail)):
            return False
        numbered = [m for m in above if self._own_set(m) and m.subject.total is not None]
        whole = {m.subject.number for m in own} >= set(range(1, (subject.total or 0) + 1))
        return whole and bool(numbered) and numbered[0].subject.same_version(subject)

    def top(self, message_id: str) -> Mail | None:
        """Where the posting begins that this mail belongs to, or talks about."""
        mail = self.mails[message_id]
        head = self._head_of(mail)
        if head is not None:
            return self._family(head)[0]
        # A letter without any tag, above one posting.
        heads = {self._family(m)[0].id: m for m in self.below([mail]) if m.is_series and self.opens(m)}
        return self._family(next(iter(heads.values())))[0] if len(heads) == 1 else None

    def _head_of(self, mail: Mail) -> Mail | None:
        """The nearest cover or patch, from this mail up, that begins a posting."""
        passed = []
        for here in (mail, *self.up(mail)):
            if here.id in self._head:
                found = self._head[here.id]
                break
            passed.append(here.id)
            if here.is_series and self.opens(here):
                found = here
                break
        else:
            found = None
        self._head.update(dict.fromkeys(passed, found))
        return found

    def posting(self, top: Mail) -> tuple[list[Mail], list[Mail]]:
        """All mails of the posting, parents first, and the heads of others by the same author that answer it."""
        family = self._family(top)
        own = {mail.id for mail in family}
        inside: list[Mail] = []
        others: list[Mail] = []
        waiting = list(reversed(family))
        while waiting:
            mail = waiting.pop()
            if mail.id not in own and mail.is_series and mail.address == top.address and self.opens(mail):
                others.append(mail)
                continue
            inside.append(mail)
            waiting += reversed(self.children[mail.id])
        return inside, others

    def tops(self) -> list[Mail]:
        """Every posting in the bag that has a patch or a pull request, the largest first.

        What somebody else answered to a posting is not one of them.
        """
        found: dict[str, Mail] = {}
        sizes: dict[str, int] = defaultdict(int)
        for mail in self.mails.values():
            if not (mail.is_patch or mail.is_pull):
                continue
            top = self.top(mail.id)
            above = next((m for m in self.up(top) if m.is_series), None) if top else None
            if top is not None and (above is None or above.address == top.address):
                found[top.id] = top
                sizes[top.id] += 1
        return sorted(found.values(), key=lambda top: -sizes[top.id])

    def is_orphan(self, top: Mail) -> bool:
        """Whether something that should be above it did not arrive."""
        return bool(top.parents) and top.id not in self.parent and bool(top.subject.number)

    def _family(self, head: Mail) -> list[Mail]:
        """What begins a posting together with it: patches of a series without cover, parts whose letter was lost."""
        if not head.subject.number:
            return [head]
        key = self._set(head)
        if key not in self._families:
            found = [mail for mail in self._sets[key] if self.opens(mail)]
            self._families[key] = sorted(found, key=lambda mail: mail.subject.number or 0)
        return self._families[key]

    def _set(self, mail: Mail) -> tuple[object, ...]:
        """What numbered mails of one set have in common: author, version, the total of patches, and a place."""
        subject = mail.subject
        common = (mail.address, subject.version, subject.says_version)
        above = self.up(mail)
        if mail.is_patch:
            # A first patch that is answered by the others is not one of a set that came without threading.
            alone = subject.number == 1 and any(
                child.is_patch and child.subject.total == subject.total for child in self.children[mail.id]
            )
            place: object = mail.id if alone else above[-1].id if above else mail.parents[:1]
            return (*common, subject.total, place)
        return (*common, above[0].id if above else mail.parents[:1] or mail.id)
