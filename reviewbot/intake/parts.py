# SPDX-License-Identifier: GPL-2.0-or-later
"""One group of patches in, the parts that it is out: numbered 1..N, each for one repository."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from reviewbot.intake.copies import one_of, troubles, unnumbered
from reviewbot.intake.mail import Mail
from reviewbot.intake.patches import patch_of
from reviewbot.intake.pull import PullRequest
from reviewbot.intake.routing import Exists, Routed, route, route_pull
from reviewbot.intake.sets import Group, by_component
from reviewbot.model.posting import Declared, Part, Prerequisite, Problem, Pull
from reviewbot.model.stack import Stack

UNKNOWN = "unknown"
"""Component of a part that no component of the stack is for."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What parts are made for."""

    stack: Stack
    component: str = ""
    """Where they belong, if the user says so."""
    exists: Exists | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """What a group is."""

    parts: tuple[Part, ...]
    outside: tuple[Part, ...]
    """For repositories that the stack does not have; `routed_by` has the name, as far as it can be guessed."""
    problems: tuple[Problem, ...]
    elsewheres: tuple[Problem, ...] = ()
    """What is wrong with parts for other repositories: of interest only where there are no others."""


def pull_ignored(mail: Mail) -> Problem:
    text = f"“{mail.subject.text}”: the mailed patches are used; the pull request is ignored"
    return Problem(kind="pull-ignored", message=text, message_ids=(mail.id,))


def parts_of(group: Group, setting: Setting, ids: Mapping[str, str]) -> Made:
    """The parts that a group of patches is; several if they are numbered through several repositories.

    ids: Message-ID -> `git patch-id --stable`.
    """
    name = name_of(group)
    patches, problems = _numbered(group, name)
    pull = pull_of(group)
    if not patches and pull is None:
        return Made((), (), (*problems, _nothing_arrived(group, name)))
    if pull is None and group.cover and group.cover.pull:
        problems.append(pull_ignored(group.cover))
    head = group.cover or patches[0]
    if pull is not None and pull.refused:
        problems.append(
            Problem(kind="refused-pull", message=f"{name}: {pull.refused}", blocking=True, message_ids=(head.id,))
        )
    problems += troubles(patches)
    if pull is not None or setting.component:
        return _made(group, patches, pull, setting, ids, problems)
    sets = by_component(patches, setting.stack)
    several = [
        _made(replace(group, cover=None if place else group.cover, patches=own), own, None, setting, ids, [])
        for place, own in enumerate(sets)
    ]
    parts = tuple(part for made in several for part in made.parts)
    outside = tuple(part for made in several for part in made.outside)
    if not parts and (_known(outside, setting.stack) or not any(p.kind == "missing-patches" for p in problems)):
        return Made((), outside, (), tuple(problems))
    return Made(
        parts,
        outside,
        (*problems, *(problem for made in several for problem in made.problems)),
    )


def _known(outside: tuple[Part, ...], stack: Stack) -> bool:
    """Whether it is certain where these belong, so that what did not arrive yet cannot bring them back to us."""
    return all(part.routed_by in {spec.name for spec in stack.elsewhere} for part in outside)


def _made(
    group: Group,
    patches: tuple[Mail, ...],
    pull: PullRequest | None,
    setting: Setting,
    ids: Mapping[str, str],
    problems: list[Problem],
) -> Made:
    """One part, and what is wrong with it."""
    routed = _routed(group, patches, pull, setting)
    part = _part(group, patches, pull, routed, ids)
    if routed.component:
        return Made((part,), (), tuple(problems))
    if routed.outside:
        return Made((), (part,), (), tuple(problems))
    culprits = tuple(mail.id for mail in routed.culprits)
    text = f"{name_of(group)}: {routed.why}"
    wrong = Problem(kind="ambiguous-component", message=text, blocking=True, message_ids=culprits)
    return Made((part,), (), (*problems, wrong))


def _part(
    group: Group, patches: tuple[Mail, ...], pull: PullRequest | None, routed: Routed, ids: Mapping[str, str]
) -> Part:
    head = group.cover or patches[0]
    sets = head is group.cover and head.subject.number not in (None, 0)
    return Part(
        component=routed.component or UNKNOWN,
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
        routed_by=routed.elsewhere if routed.outside else routed.why,
        patches=tuple(patch_of(mail, ids[mail.id]) for mail in patches),
    )


def pull_of(group: Group) -> PullRequest | None:
    """What to pull, when there is no patch and the cover asks for it."""
    return group.cover.pull if group.cover and group.cover.is_pull and not group.patches else None


def _nothing_arrived(group: Group, name: str) -> Problem:
    ids = (group.cover.id,) if group.cover else ()
    if group.cover and "PULL" in group.cover.subject.kinds:
        text = f"{name}: it does not say where to pull from"
        return Problem(kind="no-pull", message=text, blocking=True, message_ids=ids)
    text = f"{name}: none of its patches arrived"
    return Problem(kind="missing-patches", message=text, blocking=True, message_ids=ids)


def _routed(group: Group, patches: tuple[Mail, ...], pull: PullRequest | None, setting: Setting) -> Routed:
    component = setting.component
    if pull is None or group.cover is None:
        routed = route(patches, group.cover, setting.stack, exists=setting.exists)
    else:
        routed = route_pull(group.cover, pull, setting.stack, exists=setting.exists)
    if not component or routed.component == component:
        return routed
    if routed.component and "paths" in routed.why.split(",")[0]:
        return Routed("", f"the manifest says {component}, but the paths say {routed.component}", patches)
    return Routed(component, "the manifest says so")


def _declared(head: Mail, patches: Iterable[Mail]) -> tuple[Declared, ...]:
    """What cover and patches say they stand on, each once."""
    return tuple({(d.kind, d.value): d for m in (head, *patches) for d in m.trailers.declared}.values())


def name_of(group: Group) -> str:
    mail = group.cover or group.patches[0]
    return f"“{mail.subject.text}”"


def _numbered(group: Group, name: str) -> tuple[tuple[Mail, ...], list[Problem]]:
    """The patches in order 1..N, and every reason why they are not exactly that."""
    problems: list[Problem] = []
    counted = [m for m in group.patches if m.subject.total is not None]
    if not counted:
        if len(group.patches) <= 1:
            return group.patches, problems
        ids = tuple(m.id for m in group.patches)
        problems.append(
            Problem(
                kind="no-numbers",
                message=f"{name}: {len(ids)} patches without numbers: their order is not known",
                blocking=True,
                message_ids=ids,
            )
        )
        return group.patches, problems
    problems += [unnumbered(mail, counted, name) for mail in group.patches if mail.subject.total is None]
    total = group.total or _total(group, counted)
    by_number: dict[int, list[Mail]] = defaultdict(list)
    for mail in counted:
        if mail.subject.total == total:
            by_number[mail.subject.number or 0].append(mail)
        else:
            problems.append(
                Problem(
                    kind="stray-patch",
                    message=f"{name}: “{mail.subject.text}” is not one of {total}",
                    blocking=True,
                    message_ids=(mail.id,),
                )
            )
    missing = [n for n in range(1, total + 1) if n not in by_number]
    if missing:
        text = f"{name}: {missing_words(missing, total, 'patches')}"
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


def _total(group: Group, counted: list[Mail]) -> int:
    cover = group.cover.subject if group.cover else None
    if cover is not None and cover.number == 0 and cover.total:
        return cover.total
    return Counter(m.subject.total or 0 for m in counted).most_common(1)[0][0]


def missing_words(missing: list[int], total: int, noun: str) -> str:
    """`1 of 3 patches is missing: 2`. noun: a plural."""
    return f"{len(missing)} of {total} {noun} {'is' if len(missing) == 1 else 'are'} missing: {ranges(missing)}"


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
