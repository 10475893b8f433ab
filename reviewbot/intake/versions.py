# SPDX-License-Identifier: GPL-2.0-or-later
"""Newer and older versions of a posting and of its parts, ordered by date.

Not by number: one real posting went v7, v8, and then v4 of the same work; another line of it was at v5 two months
after the first had been at v7. A version is recognised by its change-id, by a `Supersedes:`, by title and author of its
cover, and, when none of these finds any, by patches that did not change.
"""

import re
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from reviewbot.intake.archive import Archive
from reviewbot.intake.errors import ArchiveUnreachable
from reviewbot.intake.mail import Mail, parse_mail
from reviewbot.intake.mbox import Mailbag
from reviewbot.intake.patches import identify
from reviewbot.intake.split import Intake
from reviewbot.model.posting import Part, Problem, Version

How = Literal["change-id", "supersedes", "subject", "patch-id"]

_QUERY_LENGTH = 2500
"""Characters of one query; longer URLs are refused by some servers."""
_LOOK_BACK = 365 * 86400
"""Seconds before the posting in which older versions are looked for."""
_PROBES = 3
"""Patches of a part that are searched for by patch-id."""


@dataclass(frozen=True, slots=True)
class Line:
    """What is looked for: a part, or the posting as a whole, by the mail that stands for it."""

    head: Mail
    """Cover or first patch."""
    change_id: str | None
    probes: tuple[str, ...] = ()
    """Some of its patch-ids."""


def find_versions(found: Intake, archive: Archive, *, fresh: bool = False) -> Intake:
    """Fills `versions` of the posting and of its parts; a newer one becomes a Problem that does not block.

    Asks the archive a handful of combined questions, however many parts there are. When it cannot be reached, a note
    says so. fresh: do not use answers of a moment ago.
    """
    lines, whole = _lines(found)
    own = frozenset(found.mails)
    everything = [*lines.values(), *([whole] if whole else ())]
    try:
        mails = _search(archive, _named_terms(everything), _since(everything), fresh)
        versions = {line.head.id: versions_of(line, mails, own, everything) for line in everything}
        lost = [line for line in lines.values() if not versions[line.head.id]]
        versions |= _by_patches(lost, own, archive, fresh)
    except ArchiveUnreachable as error:
        note = Problem(kind="versions-unknown", message=f"could not check for newer versions: {error}")
        return replace(found, posting=found.posting.model_copy(update={"problems": (*found.posting.problems, note)}))
    parts = tuple(
        part.model_copy(update={"versions": versions[lines[part_head(part)].head.id]})
        if part_head(part) in lines
        else part
        for part in found.posting.parts
    )
    # A plain series is its only part.
    alone = found.posting.top in lines and len(found.posting.parts) == 1
    of_whole = versions.get(found.posting.top, ()) if whole is not None or alone else ()
    problems = [_newer_problem(f"“{p.subject}”", p.date, p.version, p.versions) for p in parts]
    newer = [problem for problem in problems if problem is not None]
    if whole is not None and newest_of(of_whole):
        # Its parts were sent again with it; nobody wants to read that twenty times.
        said = _newer_problem("the posting", whole.head.date, whole.head.subject.version, of_whole)
        newer = [said] if said else newer
    update = {"parts": parts, "versions": of_whole, "problems": (*found.posting.problems, *newer)}
    return replace(found, posting=found.posting.model_copy(update=update))


def part_head(part: Part) -> str:
    """Message-ID of the mail that stands for a part: its cover, or its first patch; empty if git brought it."""
    if part.cover is not None:
        return part.cover
    return part.patches[0].message_id if part.patches else ""


def versions_of(
    line: Line, mails: Iterable[Mail], own: Collection[str], rivals: Sequence[Line] = ()
) -> tuple[Version, ...]:
    """Those of `mails` that stand for another version of `line`, oldest first. A reply never does.

    own: Message-IDs of the posting itself. rivals: lines of the same posting; of several with one title, the
    addresses in To: tell whose version a mail is.
    """
    found: dict[str, tuple[Mail, How]] = {}
    for mail in mails:
        if mail.id not in own and _heads(mail, covered=line.head.is_cover) and (how := _how(line, mail, rivals)):
            found.setdefault(mail.id, (mail, how))
    # A cover and the first patch below it are one version.
    heads = {key: value for key, value in found.items() if not any(parent in found for parent in value[0].parents)}
    return _ordered(heads.values(), line.head)


def _heads(mail: Mail, *, covered: bool) -> bool:
    """Whether a mail can stand for a series: no reply, and no patch in its middle."""
    if mail.is_cover:
        return True
    lone = mail.subject.number is None or mail.subject.total == 1
    return mail.is_patch and (lone or (not covered and mail.subject.number == 1))


def _how(line: Line, mail: Mail, rivals: Sequence[Line]) -> How | None:
    if line.change_id and mail.trailers.change_id == line.change_id:
        return "change-id"
    if mail.address != line.head.address:
        return None
    if mail.id in line.head.trailers.supersedes or line.head.id in mail.trailers.supersedes:
        return "supersedes"
    if _folded(mail.subject.title) != _folded(line.head.subject.title) or not _folded(mail.subject.title):
        return None
    if line.change_id and mail.trailers.change_id:
        return None  # both say who they are, and they are not the same
    same = [rival for rival in rivals if _folded(rival.head.subject.title) == _folded(line.head.subject.title)]
    best = max((_shared(rival.head, mail) for rival in same), default=0)
    return "subject" if _shared(line.head, mail) >= best else None


def _shared(one: Mail, other: Mail) -> int:
    """Addresses that both were sent To:."""
    return len(set(one.recipients[: one.to_count]) & set(other.recipients[: other.to_count]))


def _folded(title: str) -> str:
    return " ".join(title.split()).casefold()


def _ordered(found: Iterable[tuple[Mail, How]], head: Mail) -> tuple[Version, ...]:
    versions = [
        Version(
            message_id=mail.id,
            subject=mail.subject.text,
            version=mail.subject.version,
            date=mail.date,
            how=how,
            newer=mail.date > head.date,
        )
        for mail, how in found
    ]
    return tuple(sorted(versions, key=lambda version: (version.date, version.version, version.message_id)))


def newest_of(versions: Sequence[Version]) -> Version | None:
    """The newest of those that are newer."""
    return next((version for version in reversed(versions) if version.newer), None)


def day(date: int) -> str:
    """`2026-04-29`."""
    return time.strftime("%Y-%m-%d", time.gmtime(date))


def described(version: Version, number: int) -> str:
    """`v8 of 2026-04-29, <id>`; says when it is the same version `number`, sent again."""
    again = f"v{version.version}, sent again on" if version.version == number else f"v{version.version} of"
    return f"{again} {day(version.date)}, <{version.message_id}>"


def _newer_problem(name: str, date: int, number: int, versions: Sequence[Version]) -> Problem | None:
    newest = newest_of(versions)
    if newest is None:
        return None
    text = f"{name}: a newer version exists: {described(newest, number)} (this one is v{number} of {day(date)})"
    return Problem(kind="newer-version", message=text, message_ids=(newest.message_id,))


def _lines(found: Intake) -> tuple[dict[str, Line], Line | None]:
    """Lines of the parts by head, and of the posting if its top is not itself the head of a part."""
    heads = {
        mail.id: mail
        for key in (found.posting.top, *(part_head(part) for part in found.posting.parts))
        if (mail := parse_mail(found.mails.get(key, b""))) is not None
    }
    lines = {
        key: Line(heads[key], part.change_id, tuple(p.patch_id for p in part.patches if p.patch_id)[:_PROBES])
        for part in found.posting.parts
        if (key := part_head(part)) in heads
    }
    top = heads.get(found.posting.top)
    # Several threads that the user put together have no versions as a whole.
    one = top is not None and all(top.id in line.head.parents for line in lines.values())
    return lines, Line(top, top.trailers.change_id) if top is not None and lines and one else None


def _since(lines: Sequence[Line]) -> str:
    dates = [line.head.date for line in lines if line.head.date]
    return time.strftime("d:%Y%m%d..", time.gmtime(max(min(dates) - _LOOK_BACK, 0))) if dates else ""


def _named_terms(lines: Iterable[Line]) -> list[str]:
    terms: dict[str, None] = {}
    for line in lines:
        if line.change_id:
            terms[f'nq:"change-id: {line.change_id}"'] = None
        terms |= dict.fromkeys(mid_term(old) for old in line.head.trailers.supersedes)
        title = " ".join(re.sub(r"[^\w\s:/.,+-]", " ", line.head.subject.title).split())[:150]
        address = re.sub(r"[^\w.@+-]", "", line.head.address)
        if title and address:
            terms[f'(s:"{title}" AND f:{address})'] = None
    return list(terms)


def mid_term(message_id: str) -> str:
    """Matches exactly this mail."""
    return 'mid:"{}"'.format(message_id.replace('"', ""))


def _search(archive: Archive, terms: Sequence[str], since: str, fresh: bool) -> list[Mail]:
    """Every mail that matches one of the terms, each once, by as few queries as their length allows."""
    mails: dict[str, Mail] = {}
    for query in combined(terms):
        bag = archive.search(f"({query}) AND {since}" if since else query, fresh=fresh)
        mails |= {mail.id: mail for mail in _mails(bag)}
    return list(mails.values())


def combined(terms: Sequence[str]) -> list[str]:
    """The terms joined by OR, in queries of bearable length."""
    queries: list[str] = []
    for term in terms:
        if queries and len(queries[-1]) + len(term) < _QUERY_LENGTH:
            queries[-1] += f" OR {term}"
        else:
            queries.append(term)
    return queries


def _mails(bag: Mailbag) -> list[Mail]:
    return [mail for mail in map(parse_mail, bag.mails) if mail is not None]


def _by_patches(
    lines: Sequence[Line], own: Collection[str], archive: Archive, fresh: bool
) -> Mapping[str, tuple[Version, ...]]:
    """Versions under another title: series of the same author that hold at least half of the patches asked for."""
    terms = [f"patchid:{probe}" for line in lines for probe in line.probes]
    patches = [m for m in _search(archive, terms, "", fresh) if m.is_patch and m.id not in own]
    if not patches:
        return {}
    ids = identify(patches)
    parents = [mid_term(parent) for parent in dict.fromkeys(m.parents[0] for m in patches if m.parents)]
    covers = {mail.id: mail for mail in _search(archive, parents, "", fresh) if mail.is_cover} if parents else {}
    found = {}
    for line in lines:
        series: dict[str, list[Mail]] = defaultdict(list)
        for mail in patches:
            if ids[mail.id] in line.probes and mail.address == line.head.address:
                cover = covers.get(mail.parents[0]) if mail.parents else None
                series[cover.id if cover else next(iter(mail.parents), mail.id)].append(mail)
        heads: list[tuple[Mail, How]] = [
            (covers.get(head) or min(several, key=lambda m: m.subject.number or 1), "patch-id")
            for head, several in series.items()
            if head not in own and 2 * len({ids[m.id] for m in several}) >= len(line.probes)
        ]
        found[line.head.id] = _ordered(heads, line.head)
    return found
