# SPDX-License-Identifier: GPL-2.0-or-later
"""Patches below one cover, cut into the sets that were numbered together. Mails in, groups out.

A cover may have patches for several repositories below it: each with numbers of its own (`[PATCH v3 1/2]` and
`[PATCH libfuse 1/2]`), a single one without a number (`[PATCH fstests]`), or all numbered through (1/4 to 4/4).
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from reviewbot.intake.diff import preimage_blobs
from reviewbot.intake.mail import Mail
from reviewbot.intake.routing import claims_of, components_of, fits, is_generic, kin_of
from reviewbot.model.stack import Stack


@dataclass(frozen=True, slots=True)
class Group:
    """Patches that were numbered together, and the cover that speaks for them."""

    cover: Mail | None
    patches: tuple[Mail, ...]
    total: int | None = None
    """How many patches there should be, where the cover counts those of other groups too."""


def sets_of(group: Group, stack: Stack) -> list[Group]:
    """The sets among patches below one cover; the first one that is returned is the cover's own."""
    numbered = [mail for mail in group.patches if mail.subject.total is not None]
    alone = [mail for mail in group.patches if mail.subject.total is None]
    numbers = Counter((mail.subject.number, mail.subject.total) for mail in numbered)
    kins = {mail.id: _kin(mail, stack) for mail in group.patches}
    if max(numbers.values(), default=1) == 1 and len({total for _, total in numbers}) <= 1:
        sets = [numbered] if numbered else []
    else:
        sets = _by_kin(numbered, kins)
    if len(sets) > 1:
        sets.sort(key=lambda mails: _fitness(mails, group.cover, stack), reverse=True)
    known = {kins[mail.id] for mails in sets for mail in mails}
    apart: dict[str, list[Mail]] = defaultdict(list)
    for mail in alone:
        name = kins[mail.id]
        if sets and not _stands_alone(mail, name, known, stack):
            next((mails for mails in sets if name and name in {kins[m.id] for m in mails}), sets[0]).append(mail)
        else:
            apart[name].append(mail)
    sets += apart.values()
    if not sets:
        return [group]
    totals = [next((mail.subject.total for mail in mails if mail.subject.total), len(mails)) for mails in sets]
    own = totals[0] if len(sets) > 1 and group.cover and group.cover.subject.total == sum(totals) else None
    return [replace(group, patches=tuple(sets[0]), total=own), *(Group(None, tuple(mails)) for mails in sets[1:])]


def by_component(patches: Sequence[Mail], stack: Stack) -> list[tuple[Mail, ...]]:
    """A set that is numbered through several repositories, cut into what belongs to each, in the order of the stack.

    What does not tell its repository goes with the patch before it.
    """
    kins = [kin_of(mail, stack) for mail in patches]
    ours = set(kins) - {""}
    kins = [kin or ("?" if _is_strange(mail, ours, stack) else "") for mail, kin in zip(patches, kins, strict=True)]
    if len(set(kins) - {""}) < 2:
        return [tuple(patches)]
    found: dict[str, list[Mail]] = defaultdict(list)
    last = next(kin for kin in kins if kin)
    for mail, kin in zip(patches, kins, strict=True):
        last = kin or _weakly(mail, found, stack) or last
        found[last].append(mail)
    order = {component.name: place for place, component in enumerate(stack.components)}
    return [tuple(found[name]) for name in sorted(found, key=lambda name: order.get(name, len(order)))]


def _is_strange(mail: Mail, names: set[str], stack: Stack) -> bool:
    """Whether it changes files where none of these components has any: it is for a repository outside the stack."""
    old = tuple(preimage_blobs(mail.patch.text))
    return bool(names and old) and not any(fits(name, [path], stack) for name in names for path in old)


def _weakly(mail: Mail, found: dict[str, list[Mail]], stack: Stack) -> str:
    """The one of these components that may have all paths of a patch; empty if several or none may."""
    possible = [name for name in found if all(name in claims_of(path, stack).shared for path in mail.paths)]
    return possible[0] if len(possible) == 1 else ""


def _kin(mail: Mail, stack: Stack) -> str:
    """What tells a patch from those of other sets: its repository, else a word in its brackets."""
    words = [word for word in mail.subject.words if not is_generic(word)]
    return kin_of(mail, stack) or (f"?{words[0]}" if words else "")


def _by_kin(mails: Sequence[Mail], kins: dict[str, str]) -> list[list[Mail]]:
    """By repository; patches that do not tell it go where their numbers are missing, if that is one place."""
    sets: dict[str, list[Mail]] = defaultdict(list)
    for mail in mails:
        sets[kins[mail.id]].append(mail)
    for mail in sets.pop("", []):
        fitting = [
            name
            for name, others in sets.items()
            if name
            and any((o.subject.total, o.subject.version) == (mail.subject.total, mail.subject.version) for o in others)
            and all(other.subject.number != mail.subject.number for other in others)
        ]
        sets[fitting[0] if len(fitting) == 1 else ""].append(mail)
    return list(sets.values())


def _fitness(mails: Sequence[Mail], cover: Mail | None, stack: Stack) -> tuple[object, ...]:
    """How well a cover speaks for a set."""
    said = cover.subject if cover else None
    text = " ".join(cover.body.split()) if cover else ""
    order = {component.name: -place for place, component in enumerate(stack.components)}
    return (
        said is not None and all(mail.subject.same_version(said) for mail in mails),
        said is not None and {mail.subject.total for mail in mails} == {said.total},
        sum(" ".join(mail.subject.title.split()) in text for mail in mails),
        not any(mail.subject.words for mail in mails),
        order.get(kin_of(mails[0], stack), -len(order)),
        -min(mail.date for mail in mails),
    )


def _stands_alone(mail: Mail, kin: str, known: set[str], stack: Stack) -> bool:
    """Whether an unnumbered patch below a numbered set is a part of its own, and not an afterthought to the set."""
    if kin:
        return kin not in known
    owners = {name for path in mail.paths for name in components_of(path, stack)}
    return bool(owners or mail.paths) and not owners & known and bool(known - {""})
