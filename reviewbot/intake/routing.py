# SPDX-License-Identifier: GPL-2.0-or-later
"""Which component a part belongs to: by the paths its patches touch, then by To:, never by a subject."""

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reviewbot.intake.mail import Mail
from reviewbot.model.stack import Stack


@dataclass(frozen=True, slots=True)
class Routed:
    """Where a part goes and why, or why it cannot be told."""

    component: str
    """Empty if it cannot be told."""
    why: str
    culprits: tuple[Mail, ...] = ()
    """Patches that keep it from being told."""


@functools.cache
def _pattern(glob: str) -> re.Pattern[str]:
    """`**` crosses slashes, `*` and `?` do not."""
    words = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    pieces = re.split(r"(\*\*|\*|\?|\[[^]]+\])", glob)
    return re.compile("".join(words.get(p, p if p.startswith("[") else re.escape(p)) for p in pieces) + r"\Z")


def components_of(path: str, stack: Stack) -> frozenset[str]:
    """All components that claim this path."""
    return frozenset(
        component.name
        for component in stack.components
        if any(_pattern(route.path).match(path) for route in component.routes)
    )


def route(patches: Sequence[Mail], cover: Mail | None, stack: Stack) -> Routed:
    """The one component that claims a path of each patch, and whose paths no patch mixes with another's."""
    claims = [_claims(mail, stack) for mail in patches]
    mixed = tuple(mail for mail, claim in zip(patches, claims, strict=True) if claim is not None and not claim)
    if mixed:
        names = sorted({c for mail in mixed for path in mail.paths for c in components_of(path, stack)})
        return Routed("", f"“{mixed[0].subject.text}” touches more than one component: {', '.join(names)}", mixed)
    known = [claim for claim in claims if claim is not None]
    common = frozenset.intersection(*known) if known else frozenset()
    nowhere = tuple(mail for mail, claim in zip(patches, claims, strict=True) if claim is None)
    if known and not common:
        return Routed("", "its patches belong to different components", tuple(patches))
    if len(common) == 1:
        (component,) = common
        why = f"paths, e.g. {_example(patches, component, stack)}"
        # A repository has files that nobody listed. One that is not its own would not apply to it.
        return Routed(component, f"{why}; {len(nowhere)} of {len(patches)} touch nothing known" if nowhere else why)
    return _by_lists(patches, cover, common, nowhere, stack)


def _claims(mail: Mail, stack: Stack) -> frozenset[str] | None:
    """Components that claim all of the patch's paths that anybody claims; None if nobody claims any."""
    sets = [found for path in mail.paths if (found := components_of(path, stack))]
    return frozenset.intersection(*sets) if sets else None


def _by_lists(
    patches: Sequence[Mail], cover: Mail | None, common: frozenset[str], nowhere: tuple[Mail, ...], stack: Stack
) -> Routed:
    for mail in patches if cover is None else (cover, *patches):
        named = _named(mail.recipients[: mail.to_count], stack)
        named = named & common if common else named
        if len(named) == 1:
            (component,) = named
            return Routed(component, "To: of its mails; the paths do not tell")
    if nowhere:
        return Routed(
            "", f"“{nowhere[0].subject.text}” touches no component: {', '.join(nowhere[0].paths[:3])}", nowhere
        )
    return Routed("", f"its paths fit more than one component: {', '.join(sorted(common))}", tuple(patches))


def _named(addresses: Iterable[str], stack: Stack) -> frozenset[str]:
    wanted = set(addresses)
    return frozenset(c.name for c in stack.components if wanted & {address.lower() for address in c.lists})


def _example(patches: Sequence[Mail], component: str, stack: Stack) -> str:
    return next(path for mail in patches for path in mail.paths if component in components_of(path, stack))
