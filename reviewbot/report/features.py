# SPDX-License-Identifier: GPL-2.0-or-later
"""Features that one side lacks: of filesystems that mke2fs makes, and of what kernel and server negotiate."""

from collections.abc import Iterator, Sequence

from reviewbot.model.comparison import FigureChange
from reviewbot.model.words import listed


def lost(change: FigureChange, also: Sequence[str]) -> str:
    """`ext4 smoke/mkfs: mke2fs makes filesystems without 64bit (2/2 on head, 0/2 on base)`."""
    head, base = (f"{side.count(0.0)}/{len(side)}" for side in (change.head, change.base))
    more = f"; also without {listed([name.removeprefix(f'{change.leg} ') for name in also])}" if also else ""
    where = f"{change.leg} {change.suite}/{change.test}"
    return f"{where}: {without(change.feature)} ({head} on head, {base} on base{more})"


def without(feature: str) -> str:
    """What is no longer there: of new filesystems, or of what kernel and server negotiate (`kernel.ASYNC_READ`)."""
    who, dot, name = feature.partition(".")
    if who not in ("kernel", "server") or not dot:
        return f"mke2fs makes filesystems without {feature}"
    what, dash, number = name.partition("-")
    if dash and what != "bit":
        return f"the {who}'s {what} in FUSE_INIT is less than {number}"
    flag = f"bit {number}" if dash else f"FUSE_{name}"
    return f"the {who} no longer {'offers' if who == 'kernel' else 'takes'} {flag} in FUSE_INIT"


def feature_notes(figures: Sequence[FigureChange]) -> Iterator[str]:
    """Of mke2fs, kernel and server: features that the posting says to drop, one line per sentence, and new ones."""
    told: dict[str, list[str]] = {}
    for one in (one for one in figures if one.feature and not one.counts):
        told.setdefault(one.announced, []).append(f"{one.leg} {one.feature}")
    for sentence, names in told.items():
        if sentence:
            yield f"features that base has are gone, as announced by the posting: {', '.join(names)}: “{sentence}”"
        else:
            yield f"features that base does not have: {', '.join(names)}"
