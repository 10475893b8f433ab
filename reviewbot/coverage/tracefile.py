# SPDX-License-Identifier: GPL-2.0-or-later
"""lcov's tracefiles (geninfo(1), section FILES), as `lcov` and `genhtml` read them. Values in, text out."""

import re
from collections.abc import Iterable, Iterator, Mapping

from reviewbot.coverage.counts import Counts, FileCounts

_NOT_IN_A_NAME = re.compile(r"\W", re.ASCII)


def tracefile(legs: Mapping[str, Mapping[str, Counts]]) -> str:
    """Leg -> component -> counts, as one tracefile: each leg is a test (`TN`), each file is `component/path`."""
    sections = []
    for leg, components in legs.items():
        for component, counts in components.items():
            sections += [_section(leg, f"{component}/{path}", file) for path, file in sorted(counts.items())]
    return "".join(sections)


def _section(leg: str, path: str, file: FileCounts) -> str:
    name = _NOT_IN_A_NAME.sub("_", leg)
    return "\n".join((f"TN:{name}", f"SF:{_plain(path)}", *_functions(file), *_lines(file), "end_of_record", ""))


def _functions(file: FileCounts) -> Iterator[str]:
    known = sorted((start, _plain(name), count) for name, (start, count) in file.functions.items())
    yield from (f"FN:{start},{name}" for start, name, _ in known)
    yield from (f"FNDA:{count},{name}" for _, name, count in known)
    yield from _summary("FN", (count for _, _, count in known))


def _lines(file: FileCounts) -> Iterator[str]:
    yield from (f"DA:{line},{count}" for line, count in sorted(file.lines.items()))
    yield from _summary("L", file.lines.values())


def _summary(kind: str, counts: Iterable[int]) -> tuple[str, str]:
    numbers = list(counts)
    return f"{kind}F:{len(numbers)}", f"{kind}H:{sum(number > 0 for number in numbers)}"


def _plain(name: str) -> str:
    """On one line: a symbol's or a file's name may hold anything."""
    return re.sub(r"[\x00-\x1f\x7f]", "?", name)
