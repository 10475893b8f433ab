# SPDX-License-Identifier: GPL-2.0-or-later
"""Mails as their author meant them: a letter without a tag, a series without threading, a set sent twice.

Mails in, the same mails out, with the tags and parents that a careful sender would have given them. Nothing is taken
from one author and given to another.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from reviewbot.intake.mail import Mail, as_patch

_SAME_SENDING = 2 * 86400
"""Seconds between a cover and its patches, which a slow mailer sends one by one."""
_SHORTLOG = re.compile(r"^\S[^\n]*\(\d+\):\n  \S", re.MULTILINE)

Kin = Callable[[Mail], str]
"""The repository that a mail alone is surely for; empty if it does not tell."""


def understood(mails: Mapping[str, Mail], kin: Kin) -> dict[str, Mail]:
    """The mails by Message-ID, in their order. kin: sets for different repositories are different sets."""
    return _threaded(_with_letters(_with_untagged_patches(mails)), kin)


def parent_of(mail: Mail, mails: Mapping[str, Mail]) -> Mail | None:
    """The nearest of a mail's ancestors that is here."""
    return next((mails[key] for key in mail.parents if key in mails), None)


def _with_untagged_patches(mails: Mapping[str, Mail]) -> dict[str, Mail]:
    """A mail with a diff below no series was sent as a patch, whatever its subject lacks."""
    return {
        key: as_patch(mail)
        if mail.has_diff and not (mail.subject.is_reply or mail.subject.kinds) and not _below_series(mail, mails)
        else mail
        for key, mail in mails.items()
    }


def _below_series(mail: Mail, mails: Mapping[str, Mail]) -> bool:
    seen = {mail.id}
    while (above := parent_of(mail, mails)) and above.id not in seen:
        if above.is_series:
            return True
        seen.add(above.id)
        mail = above
    return False


def _with_letters(mails: Mapping[str, Mail]) -> dict[str, Mail]:
    """An untagged mail above patches of the same author is their cover, and above several covers their letter."""
    below: dict[str, list[Mail]] = defaultdict(list)
    for mail in mails.values():
        above = parent_of(mail, mails)
        if above and mail.is_series and above.address == mail.address and _may_be_letter(above):
            below[above.id].append(mail)
    found = dict(mails)
    for key, children in below.items():
        patches = [mail for mail in children if mail.is_patch]
        covers = [mail for mail in children if mail.is_cover]
        if patches and not covers:
            found[key] = _as_cover(mails[key], patches)
        elif len(covers) > 1 or (covers and patches):
            found[key] = replace(mails[key], subject=replace(mails[key].subject, kinds=frozenset({"PATCHSET"})))
    return found


def _may_be_letter(mail: Mail) -> bool:
    return not (mail.subject.is_reply or mail.subject.kinds or mail.has_diff)


def _as_cover(mail: Mail, patches: Sequence[Mail]) -> Mail:
    said = Counter((p.subject.total, p.subject.version, p.subject.says_version) for p in patches)
    total, version, says_version = max(said, key=lambda key: (key[0] is not None, said[key]))
    kinds = frozenset({"PATCH"} | ({"RFC"} if all(p.subject.rfc for p in patches) else set()))
    subject = replace(
        mail.subject,
        kinds=kinds,
        version=version,
        says_version=says_version,
        number=None if total is None else 0,
        total=total,
    )
    return replace(mail, subject=subject)


@dataclass(slots=True)
class _Run:
    """Patches of one set, each number once."""

    by_number: dict[int, Mail] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        total = next(iter(self.by_number.values())).subject.total or 0
        return self.by_number.keys() == set(range(1, total + 1))

    @property
    def patches(self) -> list[Mail]:
        return [self.by_number[number] for number in sorted(self.by_number)]

    @property
    def date(self) -> int:
        return min(mail.date for mail in self.by_number.values())


def _threaded(mails: dict[str, Mail], kin: Kin) -> dict[str, Mail]:
    """Patches of a set below its first mail, wherever each of them was sent to."""
    found = dict(mails)
    covers = _covers_alone(mails)
    for group in _groups(mails):
        runs = _runs(group, mails)
        if len(runs) > 1:
            by_kin: dict[str, list[Mail]] = defaultdict(list)
            for mail in group:
                by_kin[kin(mail)].append(mail)
            runs = [run for same in by_kin.values() for run in _runs(same, mails)]
        runs.sort(key=lambda run: run.date)
        whole = Counter(kin(run.patches[0]) for run in runs if run.complete)
        first: set[str] = set()
        for run in runs:
            own = kin(run.patches[0])
            cover = _cover_for(run, covers, mails, kin)
            if cover is not None:
                covers.remove(cover)
                _hang(found, run, cover)
            elif whole[own] > 1 and run.complete and (own in first or not _below_cover(run, mails)):
                _hang(found, run, run.patches[0])
            first.add(own)
    return found


def _hang(found: dict[str, Mail], run: _Run, head: Mail) -> None:
    for mail in run.patches:
        if mail is not head and mail.id != head.id:
            found[mail.id] = replace(
                found[mail.id], parents=(head.id, *(key for key in mail.parents if key != head.id))
            )


def _groups(mails: Mapping[str, Mail]) -> Iterable[list[Mail]]:
    """Numbered patches by author, total, version, and the mail that the whole set answers."""
    groups: dict[tuple[object, ...], list[Mail]] = defaultdict(list)
    for mail in mails.values():
        if mail.is_patch and mail.subject.number and mail.subject.total:
            key = (mail.address, mail.subject.total, mail.subject.version, mail.subject.says_version)
            groups[*key, _base(mail, mails)].append(mail)
    return groups.values()


def _base(mail: Mail, mails: Mapping[str, Mail]) -> str:
    """What a set answers: the nearest ancestor that is no patch of such a set; may be one that is not here."""
    here, seen = mail, {mail.id}
    while above := parent_of(here, mails):
        if above.id in seen or not (
            above.is_patch
            and above.address == mail.address
            and above.subject.total == mail.subject.total
            and above.subject.same_version(mail.subject)
        ):
            return above.id
        seen.add(above.id)
        here = above
    return here.parents[0] if here.parents else ""


def _runs(group: Sequence[Mail], mails: Mapping[str, Mail]) -> list[_Run]:
    """A set that was sent more than once, cut into the times it was sent; by threading, then by date."""
    runs: list[_Run] = []
    run_of: dict[str, _Run] = {}
    own = {mail.id for mail in group}
    waiting = sorted(group, key=lambda mail: (mail.date, mail.subject.number or 0))
    while waiting:
        ready = [m for m in waiting if not ((up := parent_of(m, mails)) and up.id in own and up.id not in run_of)]
        for mail in ready or waiting[:1]:
            above = parent_of(mail, mails)
            run = _run_for(mail, run_of.get(above.id) if above else None, runs, run_of, mails)
            run.by_number[mail.subject.number or 0] = mail
            run_of[mail.id] = run
        waiting = [mail for mail in waiting if mail.id not in run_of]
    return runs


def _run_for(
    mail: Mail, above: _Run | None, runs: list[_Run], run_of: Mapping[str, _Run], mails: Mapping[str, Mail]
) -> _Run:
    """above: the run that the mail answers. It belongs there, unless its number was taken already."""
    number = mail.subject.number or 0
    free = [run for run in runs if number not in run.by_number]
    if above is not None and above in free:
        return above
    if above is not None:  # an answer to its older self: it belongs to others that answer that set
        heads = ((run, parent_of(run.patches[0], mails)) for run in free)
        free = [run for run, head in heads if head is not None and run_of.get(head.id) is above]
    if free:
        return free[0]
    runs.append(_Run())
    return runs[-1]


def _below_cover(run: _Run, mails: Mapping[str, Mail]) -> bool:
    above = parent_of(run.patches[0], mails)
    return above is not None and above.is_cover and above.address == run.patches[0].address


def _covers_alone(mails: Mapping[str, Mail]) -> list[Mail]:
    """Covers `0/N` below which the author sent no patch."""
    above = [parent_of(mail, mails) for mail in mails.values() if mail.is_patch]
    busy = {mail.id for mail in above if mail is not None}
    return [m for m in mails.values() if m.is_cover and m.subject.number == 0 and m.subject.total and m.id not in busy]


def _cover_for(run: _Run, covers: Sequence[Mail], mails: Mapping[str, Mail], kin: Kin) -> Mail | None:
    """The cover of a set that was sent beside it, not above it."""
    first = run.patches[0]
    if _below_cover(run, mails) and (above := parent_of(first, mails)) and above.subject.same_version(first.subject):
        return None
    own, base = kin(first), _base(first, mails)
    fitting = [
        cover
        for cover in covers
        if cover.address == first.address
        and cover.subject.total == first.subject.total
        and cover.subject.same_version(first.subject)
        and kin(cover) in ("", own)
        and _base(cover, mails) == base
        and _may_head(cover, run)
    ]
    if not fitting:
        return None
    return max(fitting, key=lambda cover: (_named_in(cover, run), -abs(run.date - cover.date), cover.date <= run.date))


def _named_in(cover: Mail, run: _Run) -> int:
    """How many of the patches the cover names, as git's shortlog or b4's list does."""
    text = " ".join(cover.body.split())
    return sum(" ".join(mail.subject.title.split()) in text for mail in run.patches)


def _may_head(cover: Mail, run: _Run) -> bool:
    return bool(_named_in(cover, run)) or (
        abs(run.date - cover.date) <= _SAME_SENDING and not _SHORTLOG.search(cover.body)
    )
