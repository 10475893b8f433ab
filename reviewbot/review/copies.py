# SPDX-License-Identifier: GPL-2.0-or-later
"""A header and its copy in another repository: do they still say the same?

Compared by meaning: values, members and their order. Comments, guards, layout and names of the same type do not count.
What differed at base already is no news; what the posting made differ is a finding with both lines.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from pydantic import Field

from reviewbot.config import load_yaml
from reviewbot.model.base import Model
from reviewbot.model.posting import Posting
from reviewbot.model.review import ReviewFinding, Severity
from reviewbot.model.trees import Tree, Trees
from reviewbot.review.blobs import path_fits, read
from reviewbot.review.expressions import Known, Unknown, value_of
from reviewbot.review.headers import Definition, Definitions, Member, definitions
from reviewbot.review.text import one_line, some_lines

RULES = Path(__file__).with_name("copies.yaml")
Origin = Callable[[str, str, int], str]
"""Component, path and line at head -> the patch that brought the line (`kernel 4/9 patch 12/33`), or nothing."""
_NAMED = 12
"""Most names in the list of old differences."""


def nobody(_component: str, _path: str, _line: int) -> str:
    """An Origin that knows no patches."""
    return ""


class Place(Model):
    """A file of a component."""

    component: str
    path: str

    def __str__(self) -> str:
        return f"{self.component} {self.path}"


class Reason(Model):
    """A name and why it is not reported."""

    name: str
    why: str = Field(min_length=10)


class Copy(Model):
    """A file and its copy."""

    master: Place
    copy_: Place = Field(alias="copy")
    why: str = Field(min_length=10)
    only: tuple[str, ...] = ()
    """Shell patterns of names that are compared where both files have them; empty: all names, of one file, too."""
    follows: tuple[Reason, ...] = ()


class Numbers(Model):
    """Files of a component whose ioctls and structs are compared with those of others."""

    component: str
    paths: tuple[str, ...] = Field(min_length=1)
    why: str = Field(min_length=10)


class Rules(Model):
    """`copies.yaml`."""

    copies: tuple[Copy, ...]
    numbers: tuple[Numbers, ...]
    known: tuple[Reason, ...] = ()


def load_rules(path: Path = RULES) -> Rules:
    """Raises ConfigError that names file, line and key."""
    return load_yaml(path, Rules)


def partners(posting: Posting, *, rfc: bool) -> frozenset[str]:
    """Components whose trees are needed to see whether what the posting changes stays in step with its copies.

    Only headers and files that have a copy count: a server's source that spells out an ioctl calls for no kernel.
    """
    rules = load_rules()
    touched = {
        (part.component, path)
        for part in posting.parts
        if rfc or not part.rfc
        for patch in part.patches
        for path in patch.paths
    }
    found: set[str] = set()
    for entry in rules.copies:
        sides = (entry.master, entry.copy_)
        if any((side.component, side.path) in touched for side in sides):
            found |= {side.component for side in sides}
    for numbers in rules.numbers:
        headers = [path for component, path in touched if component == numbers.component and path.endswith(".h")]
        if any(path_fits(path, numbers.paths) for path in headers):
            found |= {other.component for other in rules.numbers}
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class Side:
    """One file's word on a name; `text` is empty where the file has nothing."""

    text: str = ""
    """As a reader wants to see it."""
    line: int = 0
    meaning: str = ""
    """Without layout and comments."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A name on which a file and its copy do not agree."""

    name: str
    kind: Literal["value", "layout", "master-only", "copy-only"]
    master: Side
    copy: Side

    @property
    def key(self) -> tuple[str, str, str]:
        """The same at base and head if nothing changed but line numbers."""
        return self.name, self.master.meaning, self.copy.meaning


def compare(master: Definitions, copy: Definitions, only: Sequence[str] = ()) -> tuple[Difference, ...]:
    """All differences, in the order of the master, then what only the copy has. only: as of a Copy."""
    values = Known(master), Known(copy)
    found = []
    for name in (*master, *(name for name in copy if name not in master)):
        left, right = master.get(name), copy.get(name)
        if only and (left is None or right is None or not any(fnmatchcase(name, pattern) for pattern in only)):
            continue
        if left is None or right is None:
            kind: Literal["master-only", "copy-only"] = "copy-only" if left is None else "master-only"
            found.append(Difference(name, kind, _side(left), _side(right)))
        elif left.kind == "struct" and right.kind == "struct":
            if left.members and right.members and (pair := _first_difference(left, right)):
                found.append(Difference(name, "layout", *pair))
        elif left.value != right.value and not _equal(name, *values):
            found.append(Difference(name, "value", _side(left), _side(right)))
    return tuple(found)


def _side(definition: Definition | None) -> Side:
    if definition is None:
        return Side()
    meaning = definition.text if definition.kind == "struct" else definition.value
    return Side(definition.text, definition.line, meaning)


def _equal(name: str, left: Known, right: Known) -> bool:
    """Whether both evaluate to the same; what cannot be evaluated is equal to nothing."""
    try:
        return value_of(name, left) == value_of(name, right)
    except Unknown:
        return False


def _first_difference(left: Definition, right: Definition) -> tuple[Side, Side] | None:
    """The first members that are not the same; where one struct ends earlier, its own line stands."""
    for number in range(max(len(left.members), len(right.members))):
        one, other = (_member(definition, number) for definition in (left, right))
        if (one.text if one else "") != (other.text if other else ""):
            return _of_member(left, one), _of_member(right, other)
    return None


def _member(definition: Definition, number: int) -> Member | None:
    return definition.members[number] if number < len(definition.members) else None


def _of_member(definition: Definition, member: Member | None) -> Side:
    if member is None:
        return Side(f"{definition.name} ends", definition.line, definition.text)
    return Side(f"{member.text};", member.line, definition.text)


def check_copies(
    trees: Trees,
    posted: Iterable[str],
    rules: Rules,
    skip: Callable[[str], None],
    origin: Origin = nobody,
) -> list[ReviewFinding]:
    """Findings about all copies. posted: components that the posting patches. skip: told why something was left out."""
    found: list[ReviewFinding] = []
    sides = frozenset(posted)
    for entry in rules.copies:
        master, copy = trees.get(entry.master.component), trees.get(entry.copy_.component)
        if not sides & {entry.master.component, entry.copy_.component}:
            continue
        missing = [p.component for p, t in ((entry.master, master), (entry.copy_, copy)) if t is None]
        if master is None or copy is None:
            texts: tuple[_Pair, _Pair] | str = (
                f"{entry.master} and {entry.copy_} are not compared, "
                f"for the source of {' and '.join(missing)} is not here"
            )
        else:
            texts = _texts(entry, master, copy)
        if isinstance(texts, str):
            if not entry.only:  # a tree may have these names nowhere, and what is missing is said for all names
                skip(texts)
            continue
        before, after = texts
        found += judge(entry, compare(*before, entry.only), compare(*after, entry.only), sides, origin)
    return found


_Pair = tuple[Definitions, Definitions]


def _texts(entry: Copy, master: Tree, copy: Tree) -> tuple[_Pair, _Pair] | str:
    """Definitions of both files at base and at head, or why there are none."""
    pairs = []
    for commits in ((master.base_commit, copy.base_commit), (master.head_commit, copy.head_commit)):
        both = []
        for tree, place, commit in zip((master, copy), (entry.master, entry.copy_), commits, strict=True):
            content = read(Path(tree.repository), commit, [place.path]).get(place.path)
            if content is None:
                return f"{place} is not in the tree of {commit[:12]}"
            both.append(definitions(content.decode(errors="replace")))
        pairs.append((both[0], both[1]))
    return pairs[0], pairs[1]


def judge(
    entry: Copy,
    before: Sequence[Difference],
    after: Sequence[Difference],
    posted: frozenset[str],
    origin: Origin = nobody,
) -> list[ReviewFinding]:
    """What the posting made differ, each by itself; what differed before, in one note."""
    old = {difference.key for difference in before}
    fresh = [difference for difference in after if difference.key not in old]
    found = [_finding(entry, difference, posted, origin) for difference in fresh]
    known = [difference for difference in after if difference.key in old]
    if known:
        names = [difference.name for difference in known]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        differ = "definition differs" if len(known) == 1 else "definitions differ"
        found.append(
            ReviewFinding(
                tool="copies",
                severity=Severity.NOTE,
                message=one_line(
                    f"{len(known)} {differ} between {entry.master} and {entry.copy_} without this posting"
                ),
                file=entry.master.path,
                line=next((d.master.line for d in known if d.master.line), 0),
                detail=some_lines(
                    "\n".join([*(_both_lines(entry, d) for d in known[:_NAMED]), more]).strip(), _NAMED + 1
                ),
            )
        )
    return found


def _finding(entry: Copy, difference: Difference, posted: frozenset[str], origin: Origin) -> ReviewFinding:
    master, copy, name = entry.master, entry.copy_, difference.name
    both = {master.component, copy.component} <= posted
    left, right = f"{master}:{difference.master.line}", f"{copy}:{difference.copy.line}"
    follows = any(reason.name == name for reason in entry.follows)
    match difference.kind:
        case "value":
            severity = Severity.ERROR if not follows else Severity.WARNING if both else Severity.NOTE
            values = [s.meaning.replace("( ", "(").replace(" )", ")") for s in (difference.master, difference.copy)]
            told = f": {values[0]} and {values[1]}" if all(0 < len(value) <= 40 for value in values) else ""
            message = f"{name} has different values in {left} and {right}{told}"
        case "layout":
            severity = Severity.ERROR if both else Severity.WARNING
            message = f"{name} has different members in {left} and {right}"
        case "master-only":
            severity = Severity.WARNING if both else Severity.NOTE
            message = f"{name} is in {left} but not in {copy}"
        case _:
            severity = Severity.WARNING
            message = f"{name} is in {right} but not in {master}"
    here = master if difference.master.line else copy
    return ReviewFinding(
        tool="copies",
        severity=severity,
        message=one_line(message),
        file=here.path,
        line=difference.master.line or difference.copy.line,
        detail=some_lines(_both_lines(entry, difference, origin)),
    )


def _both_lines(entry: Copy, difference: Difference, origin: Origin = nobody) -> str:
    sides = ((entry.master, difference.master), (entry.copy_, difference.copy))
    return "\n".join(
        quoted(place.component, place.path, side.line, side.text, origin) for place, side in sides if side.line
    )


def quoted(component: str, path: str, line: int, text: str, origin: Origin) -> str:
    """`path:line: text`, and the patch that brought the line."""
    whose = origin(component, path, line)
    return f"{path}:{line}: {one_line(text, 160)}" + (f" ({whose})" if whose else "")
