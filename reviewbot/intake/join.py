# SPDX-License-Identifier: GPL-2.0-or-later
"""Pieces of postings in, one posting out: order, parts that are missing, parts that came twice."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from reviewbot.intake.mbox import Mailbag
from reviewbot.intake.parts import UNKNOWN, missing_words
from reviewbot.intake.split import Intake, Piece, pieces
from reviewbot.model.errors import UsageError
from reviewbot.model.posting import Part, Posting, Problem
from reviewbot.model.stack import Stack
from reviewbot.model.words import counted

_Placed = tuple[int, Part]
"""A part and the place of its piece."""


def split(bag: Mailbag, message_id: str | None, stack: Stack) -> Intake:
    """The one posting that has this mail; None takes whatever the bag has. Raises what `pieces` raises."""
    return join(pieces(bag, () if message_id is None else (message_id,), stack), stack)


def join(
    found: Sequence[Piece],
    stack: Stack,
    *,
    title: str = "",
    author: str = "",
    manifest: str = "",
    bases: Mapping[str, str] | None = None,
) -> Intake:
    """One posting: per component the parts in the order of the pieces, within one as their covers count them.

    manifest: its path, when the user listed each part, so that others of the same set are none of his concern.
    """
    chosen = bool(manifest)
    placed: list[_Placed] = []
    for place, piece in enumerate(found):
        known = {_mails(part) for _, part in placed}
        placed += [(place, part) for part in piece.parts if not _mails(part) or _mails(part) not in known]
    outside = [(place, part) for place, piece in enumerate(found) for part in piece.outside]
    # Who lists the parts knows that he lists parts.
    problems = [p for piece in found for p in piece.problems if not (chosen and p.kind == "part-only")]
    problems += _missing_parts([*placed, *outside], found, chosen)
    problems += _duplicates(placed)
    problems += [_elsewhere(part, alone=not placed) for _, part in outside]
    problems += [] if placed else [problem for piece in found for problem in piece.elsewheres]
    placed = placed or outside
    order = {component.name: place for place, component in enumerate(stack.components)}
    placed.sort(key=lambda row: (order.get(row[1].component, 99), row[0], *_counter(row[1].counter)))
    mails: dict[str, bytes] = {}
    for piece in found:
        for message_id, raw in piece.mails.items():
            mails.setdefault(message_id, raw)
    first = next((piece for piece in found if piece.top), found[0])
    posting = Posting(
        top=first.top,
        subject=title or first.subject,
        author=author or first.author,
        source=", ".join(dict.fromkeys(piece.source for piece in found)),
        parts=tuple(part for _, part in placed),
        problems=tuple(dict.fromkeys(problems)),
        asked=() if chosen else tuple(dict.fromkeys(i for piece in found for i in piece.asked if i != first.top)),
        manifest=manifest,
    )
    return Intake(posting, mails, bases or {})


def leave_out_rfc(found: Intake) -> Intake:
    """What is wrong with an RFC part hinders nobody who leaves it out. Raises UsageError if there is nothing else."""
    parts = found.posting.parts
    if parts and all(part.rfc for part in parts):
        raise UsageError("all of this posting is RFC, which is left out by default", hint="--rfc includes it")
    own = {i for part in parts if part.rfc for i in (part.cover, *(patch.message_id for patch in part.patches)) if i}
    problems = tuple(
        problem.model_copy(update={"blocking": False})
        if problem.message_ids and own.issuperset(problem.message_ids)
        else problem
        for problem in found.posting.problems
    )
    return replace(found, posting=found.posting.model_copy(update={"problems": problems}))


def _mails(part: Part) -> tuple[str, ...]:
    """Two parts of the same mails are one part."""
    if part.pull:
        return (part.pull.message_id, part.pull.url, part.pull.ref) if part.pull.message_id else ()
    return tuple(patch.message_id for patch in part.patches)


def _counter(counter: str) -> tuple[int, int]:
    number, _, total = counter.partition("/")
    return int(number), int(total)


def _elsewhere(part: Part, *, alone: bool) -> Problem:
    """A part for a repository outside the stack hinders nobody, unless there is nothing else."""
    paths = list(dict.fromkeys(path for patch in part.patches for path in patch.paths))
    named = f", {part.routed_by}" if part.routed_by else ""
    text = f"“{part.subject}” is for a repository that this stack does not have{named}"
    text += f": it touches {', '.join(paths[:3]) or 'no known paths'}"
    if alone:
        text += "; no component is left to test"
    else:
        text += f"; {counted(len(part.patches), 'patch')} left out" if part.patches else "; left out"
    ids = tuple(key for key in (part.cover, *(patch.message_id for patch in part.patches)) if key)
    return Problem(kind="no-component" if alone else "elsewhere", message=text, blocking=alone, message_ids=ids)


def _missing_parts(placed: Sequence[_Placed], found: Sequence[Piece], chosen: bool) -> list[Problem]:
    """A posting that says `n/m` on its covers must have all of 1..m: through all components, or of each one."""
    seen: dict[tuple[int, int], dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for place, part in placed:
        number, total = _counter(part.counter)
        # Sub-series that came one by one are counted together.
        alone = found[place].alone
        if not (found[place].picked or (alone and chosen)) and 1 < total <= 200:
            seen[-1 if alone else place, total][part.component].add(number)
    problems = []
    for (_, total), numbers in seen.items():
        for name, missing in _missing(numbers, total):
            text = f"{name}{missing_words(missing, total, 'parts')}"
            problems.append(Problem(kind="missing-part", message=text, blocking=True))
    return problems


def _missing(numbers: Mapping[str, set[int]], total: int) -> list[tuple[str, list[int]]]:
    """What is missing of parts that say `n/total`: whose (`kernel: `), and which numbers."""

    def of(there: Collection[int]) -> list[int]:
        return [n for n in range(1, total + 1) if n not in there]

    everywhere = frozenset().union(*numbers.values())
    # No number twice: they are numbered through the whole posting.
    through = len(numbers) > 1 and sum(map(len, numbers.values())) == len(everywhere)
    if through:
        return [("", of(everywhere))] if of(everywhere) else []
    return [(f"{name}: ", of(there)) for name, there in numbers.items() if name != UNKNOWN and of(there)]


def _duplicates(placed: Sequence[_Placed]) -> list[Problem]:
    problems = []
    counters = Counter((place, p.component, p.counter) for place, p in placed if p.counter != "1/1")
    for (_, component, counter), count in counters.items():
        if count > 1:
            text = f"{component}: more than one part calls itself {counter}"
            problems.append(Problem(kind="duplicate-part", message=text, blocking=True))
    for number, (place, part) in enumerate(placed):
        for other_place, other in placed[number + 1 :]:
            if part.component != other.component:
                continue
            if _alike(part, other) and (place != other_place or part.counter == other.counter == "1/1"):
                problems.append(_duplicate(part, other))
            elif place == other_place and bool(part.pull) != bool(other.pull) and not _complement(part, other):
                problems.append(_both_ways(part, other))
    return problems


def _duplicate(part: Part, other: Part) -> Problem:
    def name(one: Part) -> str:
        return f"v{one.version} <{one.cover or (one.patches[0].message_id if one.patches else one.counter)}>"

    text = (
        f"{part.component}: “{part.subject}” is there twice, {name(part)} and {name(other)}: "
        "name only the one to be tested"
    )
    ids = tuple(i for i in (part.cover, other.cover) if i)
    return Problem(kind="duplicate-part", message=text, blocking=True, message_ids=ids)


def _complement(one: Part, other: Part) -> bool:
    """Whether they count themselves as different parts of one set."""
    (mine, my_total), (theirs, their_total) = _counter(one.counter), _counter(other.counter)
    return my_total == their_total and mine != theirs


def _both_ways(one: Part, other: Part) -> Problem:
    text = (
        f"{one.component}: there are mailed patches (“{(other if one.pull else one).subject}”) and a request to pull "
        f"(“{(one if one.pull else other).subject}”): pick one with --part-only, or list both in a manifest"
    )
    ids = tuple(i for i in (one.cover, other.cover) if i)
    return Problem(kind="duplicate-part", message=text, blocking=True, message_ids=ids)


def _alike(one: Part, other: Part) -> bool:
    """Whether these are two versions of one part: the same name, change-id or mails, or half of the patches' titles."""
    if one.change_id and other.change_id:
        return one.change_id == other.change_id
    mine, theirs = _titles(one), _titles(other)
    shared = len(mine & theirs)
    if mine and theirs:
        return 2 * shared >= min(len(mine), len(theirs))
    if one.pull and other.pull:
        return (one.pull.url, one.pull.ref) == (other.pull.url, other.pull.ref) and bool(one.pull.ref)
    return _plain(one.subject) == _plain(other.subject)


def _titles(part: Part) -> set[str]:
    return {_plain(patch.subject.rpartition("]")[2]) for patch in part.patches}


def _plain(title: str) -> str:
    return " ".join(title.lower().split())
