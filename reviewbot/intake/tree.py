# SPDX-License-Identifier: GPL-2.0-or-later
"""Who answers whom, and where one posting ends and another begins.

A new version is often sent as an answer to the old one, and one letter as an answer to another; both are in the same
thread and are different postings.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from reviewbot.intake.mail import Mail


class Tree:
    """A thread. A mail's parent is the nearest of its ancestors that is here; loops are cut."""

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
        self._numbers: dict[tuple[object, ...], set[int]] = defaultdict(set)
        for mail in mails.values():
            if mail.is_patch and mail.subject.says_version and mail.subject.number:
                self._numbers[_set(mail)].add(mail.subject.number)

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
        line = [above for above in self.up(mail) if above.is_series]
        if not line or line[0].address != mail.address:
            return True
        if not mail.subject.says_version:
            return False
        above = next((m for m in line if m.subject.says_version), None)
        if mail.subject.version == (above.subject.version if above else 1):
            return False
        if mail.is_patch and mail.subject.number:
            # A whole new set is a new version; a few of its patches are a correction of the old one.
            return self._numbers[_set(mail)] >= set(range(1, (mail.subject.total or 0) + 1))
        if mail.subject.number:
            # A letter may hold sub-series that count their versions for themselves, unless it has a set of its own.
            brothers = self.children[self.parent[mail.id]]
            return above is not None and any(m.is_cover and m.subject.same_version(above.subject) for m in brothers)
        return True

    def top(self, message_id: str) -> Mail | None:
        """Where the posting begins that this mail belongs to, or talks about."""
        mail = self.mails[message_id]
        for above in (mail, *self.up(mail)):
            if above.is_series and self.opens(above):
                return self._family(above)[0]
        # A letter without any tag, above one posting.
        heads = {self._family(m)[0].id: m for m in self.below([mail]) if m.is_series and self.opens(m)}
        return self._family(next(iter(heads.values())))[0] if len(heads) == 1 else None

    def posting(self, top: Mail) -> tuple[list[Mail], list[Mail]]:
        """All mails of the posting, parents first, and the heads of others by the same author that answer it."""
        family = self._family(top)
        inside: list[Mail] = []
        others: list[Mail] = []
        waiting = list(reversed(family))
        while waiting:
            mail = waiting.pop()
            if mail not in family and mail.is_series and mail.address == top.address and self.opens(mail):
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
        """What begins a posting together with it: a series without cover whose patches do not answer its first."""
        if not head.subject.number:
            return [head]
        brothers = self.children[self.parent[head.id]] if head.id in self.parent else self._roots()
        found = [m for m in brothers if m == head or (_alike(m, head) and self.opens(m))]
        return sorted(found, key=lambda m: (m.subject.number or 0, m != head))

    def _roots(self) -> list[Mail]:
        return [m for m in self.mails.values() if m.id not in self.parent]


def _set(mail: Mail) -> tuple[object, ...]:
    return mail.address, mail.subject.version, mail.subject.says_version, mail.subject.total


def _alike(one: Mail, other: Mail) -> bool:
    """Whether they can be of one set: the same author, version and parent, patches of one total or numbered covers."""
    if one.address != other.address or not one.subject.same_version(other.subject) or not one.subject.number:
        return False
    if one.parents[:1] != other.parents[:1]:
        return False
    if one.is_patch and other.is_patch:
        return one.subject.total == other.subject.total
    return one.is_cover and other.is_cover and bool(one.parents)
