# SPDX-License-Identifier: GPL-2.0-or-later
"""What gcov says, as values that add up. Text in, values out."""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from posixpath import join, normpath
from typing import Any

_SOURCE = "/src/"
"""Where a tree lies in the sandbox."""
_MOST = (1 << 63) - 1
"""gcov's own numbers are 64 bits wide; a guest may send counters that add up to more."""


@dataclass(slots=True)
class FileCounts:
    """One source file: how often its lines and functions ran. A line that is not there has no code."""

    lines: Counter[int] = field(default_factory=Counter)
    functions: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Name -> first line, how often it was called."""

    def add(self, other: "FileCounts") -> None:
        """Sum line by line: another object, machine, suite or leg that has this file."""
        for line, count in other.lines.items():
            self.lines[line] = min(_MOST, self.lines[line] + count)
        for name, (start, count) in other.functions.items():
            self.functions[name] = (start, min(_MOST, self.functions.get(name, (start, 0))[1] + count))

    @property
    def reached(self) -> frozenset[int]:
        return frozenset(line for line, count in self.lines.items() if count)


Counts = dict[str, FileCounts]
"""Path in the component's tree -> its counts."""


def merged(several: Iterable[Counts]) -> Counts:
    """The sum; the order does not matter."""
    total: Counts = defaultdict(FileCounts)
    for counts in several:
        for path, file in counts.items():
            total[path].add(file)
    return dict(sorted(total.items()))


def parse(text: Iterable[str], wanted: Collection[str]) -> Counts:
    """The lines of what `gcov --json-format --stdout` prints over several objects: one JSON document per object.

    wanted: paths in the tree; all others are passed over. What is no such document, or has no such shape, is too:
    gcov reads files that a guest made.
    """
    return merged(_of_object(document, wanted) for document in _documents(text))


def _documents(text: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in text:
        try:
            document = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(document, dict):
            yield document


def _of_object(document: dict[str, Any], wanted: Collection[str]) -> Counts:
    found: Counts = {}
    folder = document.get("current_working_directory")
    for file in _dicts(document.get("files")):
        path = _in_tree(str(folder), str(file.get("file")))
        if path not in wanted:
            continue
        counts = found.setdefault(path, FileCounts())
        for line in _dicts(file.get("lines")):
            number, count = line.get("line_number"), line.get("count")
            if isinstance(number, int) and isinstance(count, int) and number > 0:
                # One line of several functions, or of clones of one, is there several times.
                counts.lines[number] = min(_MOST, counts.lines[number] + max(0, count))
        for function in _dicts(file.get("functions")):
            name, start, count = (function.get(key) for key in ("name", "start_line", "execution_count"))
            if isinstance(name, str) and isinstance(start, int) and isinstance(count, int):
                single = FileCounts(functions={name: (start, max(0, count))})
                counts.add(single)
    return found


def _dicts(value: object) -> Iterator[dict[str, Any]]:
    yield from (item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


def _in_tree(folder: str, name: str) -> str:
    """`fs/fuse/dir.c` of `/src/fs/fuse/dir.c` or `../src/fs/fuse/dir.c`; empty for what is not of the tree."""
    path = normpath(join(folder, name))
    return path[len(_SOURCE) :] if path.startswith(_SOURCE) else ""
