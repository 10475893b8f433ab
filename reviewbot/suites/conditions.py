# SPDX-License-Identifier: GPL-2.0-or-later
"""When an exclude holds: a small language over what is under test.

`kernel < 6.13 and e2fsprogs.version >= 1.47.2 and accelerator == tcg`: comparisons joined by `and`. Names are `kernel`
(its version), `accelerator`, `variant`, `memory` (MiB), `cpus`, `scratch_gib`, and `component.fact` of an artifact.
`<`, `<=`, `>` and `>=` compare versions and numbers; `==` and `!=` take a word or a shell pattern, `true` and `false`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import zip_longest

from reviewbot.model.artifacts import Fact

FactOf = Callable[[str], Fact | None]
"""Value of a name; None: there is no such."""
NUMBERS = frozenset({"memory", "cpus", "scratch_gib"})
WORDS = frozenset({"accelerator", "variant"})
_ACCELERATORS = ("kvm", "tcg")
_COMPARISON = re.compile(r"(?P<name>[a-z][\w:/.-]*)\s*(?P<sign><=|>=|==|!=|<|>)\s*(?P<value>[^\s<>=!]+)")
_VERSION = re.compile(r"v?(\d+(?:\.\d+)*)")


@dataclass(frozen=True, slots=True)
class Comparison:
    """`kernel < 6.13`."""

    name: str
    sign: str
    value: str

    def holds(self, fact: FactOf) -> bool:
        """A name without a value compares with nothing: it does not hold."""
        found = fact("kernel.release" if self.name == "kernel" else self.name)
        if found is None:
            return False
        if self.sign in ("==", "!="):
            text = str(found).lower() if isinstance(found, bool) else str(found)
            return fnmatchcase(text, self.value) == (self.sign == "==")
        ours, theirs = _version(str(found)), _version(self.value)
        if not ours or not theirs:
            return False
        order = _order(ours, theirs)
        return {"<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[self.sign]


def parse_when(text: str) -> tuple[Comparison, ...]:
    """Raises ValueError that says what is not understood."""
    return tuple(_comparison(part.strip()) for part in re.split(r"\band\b", text)) if text.strip() else ()


def _comparison(text: str) -> Comparison:
    match = _COMPARISON.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a comparison like `kernel < 6.13`")
    found = Comparison(match["name"], match["sign"], match["value"])
    ordered = found.sign not in ("==", "!=")
    if "." not in found.name and found.name not in NUMBERS | WORDS | {"kernel"}:
        known = ", ".join(sorted(NUMBERS | WORDS | {"kernel"}))
        raise ValueError(f"{found.name}: no such name (there are {known}, and component.fact)")
    if found.name in WORDS and ordered:
        raise ValueError(f"{found.name} cannot be ordered: use == or !=")
    if found.name == "accelerator" and found.value not in _ACCELERATORS:
        raise ValueError(f"accelerator is one of {', '.join(_ACCELERATORS)}, not {found.value}")
    if found.name in NUMBERS and not found.value.isdigit():
        raise ValueError(f"{found.name} is a number, not {found.value}")
    if ordered and not _VERSION.fullmatch(found.value):
        raise ValueError(f"{found.value} is not a version or number")
    return found


def holds(when: str, fact: FactOf) -> bool:
    """Whether all of a valid condition is true; an empty one is."""
    return all(comparison.holds(fact) for comparison in parse_when(when))


def unknown_names(when: str, fact: FactOf) -> tuple[str, ...]:
    """Names of a valid condition that have no value here."""
    names = ("kernel.release" if one.name == "kernel" else one.name for one in parse_when(when))
    return tuple(name for name in names if fact(name) is None)


def _version(text: str) -> tuple[int, ...]:
    """`6.13.0-rc3-rb-1234` -> (6, 13, 0): a feature that is in a release is in its -rc, too."""
    match = _VERSION.match(text)
    return tuple(int(part) for part in match[1].split(".")) if match else ()


def _order(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    for left, right in zip_longest(one, other, fillvalue=0):
        if left != right:
            return -1 if left < right else 1
    return 0
