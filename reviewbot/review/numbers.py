# SPDX-License-Identifier: GPL-2.0-or-later
"""Ioctl numbers and struct sizes: the same name must stand for the same number in every repository, and no number for
two ioctls.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reviewbot.model.review import ReviewFinding, Severity
from reviewbot.model.trees import Tree, Trees
from reviewbot.review.blobs import changed, listed, read
from reviewbot.review.copies import Numbers, Origin, Rules, nobody, quoted
from reviewbot.review.headers import Definition, Definitions, definitions
from reviewbot.review.text import one_line, some_lines

_IOCTL = re.compile(r"^_IO(?:R|W|WR)? \(")
_PARSED = re.compile(rb"\b_IO[RW]*\s*\(|\bstruct\s+\w+\s*\{")
Item = tuple[str, str, str, str]
"""Component, commit, path, name."""
Measure = Callable[[Mapping[Item, "Files"]], Mapping[Item, int]]
"""Values (ioctls) or sizes (structs) of items; what cannot be told is left out."""


@dataclass(frozen=True, slots=True)
class Files:
    """What a component's files define at one commit, by path."""

    component: str
    commit: str
    by_path: Mapping[str, Definitions]

    def find(self, name: str, path: str) -> Definition | None:
        """In this file, else in any other of the component."""
        own = self.by_path.get(path, {}).get(name)
        return own or next((found for d in self.by_path.values() if (found := d.get(name))), None)


def check_numbers(
    trees: Trees,
    posted: Iterable[str],
    rules: Rules,
    measure: Measure,
    skip: Callable[[str], None],
    origin: Origin = nobody,
) -> list[ReviewFinding]:
    """Findings about all files that `copies.yaml` names. skip: told what could not be compared."""
    sides = {e.component: tree for e in rules.numbers if (tree := trees.get(e.component)) is not None}
    mine = {name for name in posted if name in sides}
    if not mine:
        return []
    head = {name: _files(tree, tree.head_commit, _entry(rules, name)) for name, tree in sides.items()}
    base = {
        name: _files(tree, tree.base_commit, _entry(rules, name)) if name in mine else head[name]
        for name, tree in sides.items()
    }
    if missing := [entry.component for entry in rules.numbers if entry.component not in sides]:
        skip(f"ioctl numbers are not compared with those of {' and '.join(missing)}, whose source is not here")
    pairs = {frozenset((str(entry.master), str(entry.copy_))) for entry in rules.copies if not entry.only}
    shared = _shared(head, pairs, {reason.name for reason in rules.known})
    touched = {
        name: changed(Path(t.repository), t.base_commit, t.head_commit) for name, t in sides.items() if name in mine
    }
    own = [
        (files.component, files.commit, path, definition.name)
        for side in (head, base)
        for files in (side[name] for name in sorted(mine))
        for path, found in files.by_path.items()
        if path in touched[files.component]
        for definition in found.values()
        if is_ioctl(definition)
    ]
    wanted: dict[Item, Files] = {}
    for item in (*own, *(place for places in shared for place in _at(places, head)), *_before(shared, base)):
        wanted[item] = head[item[0]] if item[1] == head[item[0]].commit else base[item[0]]
    values = measure(wanted)
    if unknown := sorted({item[3] for item in wanted if item not in values}):
        skip(f"not evaluated: {', '.join(unknown[:8])}{f' and {len(unknown) - 8} more' if len(unknown) > 8 else ''}")
    found = [f for places in shared if (f := _mismatch(places, head, base, values, origin)) is not None]
    for component in sorted(mine):
        for path in sorted(touched[component].keys() & head[component].by_path.keys()):
            found += same_number(path, head[component], base[component], values, origin)
    return found


def is_ioctl(definition: Definition) -> bool:
    return definition.kind == "macro" and bool(_IOCTL.match(definition.value))


def _entry(rules: Rules, component: str) -> Numbers:
    return next(entry for entry in rules.numbers if entry.component == component)


def _files(tree: Tree, commit: str, entry: Numbers) -> Files:
    repository = Path(tree.repository)
    contents = read(repository, commit, listed(repository, commit, entry.paths))
    parsed = {
        path: definitions(content.decode(errors="replace"))
        for path, content in contents.items()
        if _PARSED.search(content)
    }
    return Files(tree.component, commit, parsed)


Places = tuple[str, tuple[tuple[str, str], ...]]
"""A name, and the (component, path) where it is defined."""


def _shared(head: Mapping[str, Files], pairs: set[frozenset[str]], known: set[str]) -> tuple[Places, ...]:
    """Names that two components define; files that are copies of each other count once."""
    where: dict[str, list[tuple[str, str]]] = {}
    for component, files in head.items():
        for path, found in files.by_path.items():
            for name, definition in found.items():
                if is_ioctl(definition) or (definition.kind == "struct" and definition.members):
                    where.setdefault(name, []).append((component, path))
    return tuple(
        (name, tuple(places))
        for name, places in sorted(where.items())
        if len({component for component, _ in places}) > 1
        and name not in known
        and frozenset(f"{component} {path}" for component, path in places) not in pairs
    )


def _at(places: Places, side: Mapping[str, Files]) -> list[Item]:
    return [(component, side[component].commit, path, places[0]) for component, path in places[1]]


def _before(shared: Sequence[Places], base: Mapping[str, Files]) -> list[Item]:
    """The same names at base, where they were there."""
    items = [item for places in shared for item in _at(places, base)]
    return [item for item in items if item[3] in base[item[0]].by_path.get(item[2], {})]


def _mismatch(
    places: Places,
    head: Mapping[str, Files],
    base: Mapping[str, Files],
    values: Mapping[Item, int],
    origin: Origin,
) -> ReviewFinding | None:
    """The first place is the yardstick; the first that disagrees is named, with both lines."""
    now = [(item, values[item]) for item in _at(places, head) if item in values]
    other = next(((item, value) for item, value in now if value != now[0][1] and item[0] != now[0][0][0]), None)
    if other is None:
        return None
    name = places[0]
    (first, one), (second, two) = now[0], other
    earlier = [values.get((c, base[c].commit, path, name)) for c, _, path, _ in (first, second)]
    old = None not in earlier and earlier == [one, two]
    lines = [_line(head, item) for item in (first, second)]
    is_struct = name.startswith(("struct ", "union "))
    what = (f"{one} bytes", f"{two} bytes") if is_struct else (hex(one), hex(two))
    verb = "is" if not old else "was and is"
    message = (
        f"{name} {verb} {what[0]} in {first[0]} {first[2]}:{lines[0].line} but {what[1]} in "
        f"{second[0]} {second[2]}:{lines[1].line}"
    )
    return ReviewFinding(
        tool="copies",
        severity=Severity.NOTE if old else Severity.ERROR,
        message=one_line(message),
        file=first[2],
        line=lines[0].line,
        detail="\n".join(
            quoted(item[0], item[2], d.line, d.text, origin) for item, d in zip((first, second), lines, strict=True)
        ),
    )


def _line(side: Mapping[str, Files], item: Item) -> Definition:
    return side[item[0]].by_path[item[2]][item[3]]


def same_number(path: str, head: Files, base: Files, values: Mapping[Item, int], origin: Origin) -> list[ReviewFinding]:
    """Ioctls of one file that share type and number, if the posting brought one of them.

    The kernel tells them apart by direction and size only if it looks at the whole word; a pair that gets and sets the
    same thing is custom.
    """
    groups: dict[tuple[int, int], list[Definition]] = {}
    before = {
        name: values.get((base.component, base.commit, path, name))
        for name, definition in base.by_path.get(path, {}).items()
        if is_ioctl(definition)
    }
    for definition in head.by_path[path].values():
        value = values.get((head.component, head.commit, path, definition.name))
        if is_ioctl(definition) and value is not None:
            groups.setdefault((value >> 8 & 0xFF, value & 0xFF), []).append(definition)
    found = []
    for (kind, number), group in sorted(groups.items()):
        fresh = [d for d in group if before.get(d.name) != values.get((head.component, head.commit, path, d.name))]
        if len({_stem(definition.name) for definition in group}) < 2 or not fresh:
            continue
        names = ", ".join(definition.name for definition in group)
        found.append(
            ReviewFinding(
                tool="copies",
                severity=Severity.WARNING,
                file=path,
                line=fresh[-1].line,
                message=one_line(
                    f"{len(group)} ioctls of {head.component} have number {number} of type {kind:#x}: {names}"
                ),
                detail=some_lines("\n".join(quoted(head.component, path, d.line, d.text, origin) for d in group)),
            )
        )
    return found


def _stem(name: str) -> str:
    """Without what tells the getter from the setter, a second version from the first, or 32 bits from 64."""
    return re.sub(r"GET|SET|_?V\d+$|(?<=IOC)32|_?32$|_?64$|_NEW$|_OLD$", "", name)
