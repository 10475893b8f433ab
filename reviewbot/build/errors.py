# SPDX-License-Identifier: GPL-2.0-or-later
"""A build that failed: what the compiler said first."""

import re
from dataclasses import dataclass
from pathlib import Path

from reviewbot.model.errors import SeriesAtFault
from reviewbot.model.verdict import VerdictKind

_FILE = r"(?P<file>[^\s:]+)"
_COMPILER = re.compile(rf"^{_FILE}:(?P<line>\d+)(?::\d+)?: (?:fatal )?error: (?P<what>.+)$")
_LINKER = re.compile(
    rf"^(?:\S*ld(?:\.\w+)?: )?{_FILE}:(?:\(\S+\): |(?P<line>\d+): )?"
    r"(?P<what>(?:undefined reference|multiple definition|relocation truncated) .+)$"
)
_OTHERS = (
    re.compile(r"^(?P<file>\S*meson\.build):(?P<line>\d+):\d+: ERROR: (?P<what>.+)$"),
    re.compile(
        r"^(?P<file>\S*(?:Makefile|Kconfig|Kbuild)[^\s:]*):(?P<line>\d+): ?"
        r"(?!warning:)(?P<what>.*(?:\*\*\*|error|syntax|can't open).*)$"
    ),
    re.compile(r"^(?:\S*[/-])?(?:ld(?:\.\w+)?|collect2|cc1)(?P<file>): (?!warning: )(?:error: )?(?P<what>.+)$"),
    re.compile(r"^(?P<file>\S+\.o): error: (?P<what>objtool: .+)$"),
    re.compile(r"^ERROR: modpost: (?P<what>(?:.*\[(?P<file>[^]]+)\])?.*)$"),
    re.compile(r"^configure: error(?P<file>): (?P<what>.+)$"),
    re.compile(r"^(?P<file>\S+): line (?P<line>\d+): (?P<what>.+: command not found|syntax error .+)$"),
    re.compile(r"^make(?:\[\d+\])?: \*\*\* (?P<what>.+?)(?P<file>)$"),
)


@dataclass(frozen=True, slots=True)
class FirstError:
    """The first error of a build log."""

    what: str
    place: str
    """`file:line`, a file, or empty."""
    context: str
    """Some lines around it."""


def first_error(log: str) -> FirstError | None:
    """Compilers before linkers before configure scripts before make's own words; None if there is nothing such."""
    lines = [re.sub(r"\x1b\[[0-9;]*[mK]", "", line) for line in log.splitlines()]
    for patterns in ((_COMPILER,), (_LINKER,), *((other,) for other in _OTHERS)):
        for number, line in enumerate(lines):
            for pattern in patterns:
                if match := pattern.match(line):
                    return _found(match, lines, number)
    return None


def all_errors(log: str, *, most: int = 50) -> tuple[FirstError, ...]:
    """Of a build that went on after errors: those of compilers, then of linkers; else the first of any kind."""
    lines = log.splitlines()
    found = [
        _found(match, lines, number)
        for pattern in (_COMPILER, _LINKER)
        for number, line in enumerate(lines)
        if (match := pattern.match(line))
    ]
    if not found and (first := first_error(log)):
        found = [first]
    return tuple(found[:most])


def _found(match: re.Match[str], lines: list[str], number: int) -> FirstError:
    groups = match.groupdict()
    file = re.sub(r"^(?:(?:\.\./)+src/|\.\./|/src/)", "", groups["file"] or "")
    place = f"{file}:{groups['line']}" if groups.get("line") else file
    return FirstError(match["what"].strip(), place, "\n".join(lines[max(0, number - 2) : number + 8]))


class BuildFails(SeriesAtFault):
    """A patched component does not build."""

    verdict = VerdictKind.BUILD_FAILS

    def __init__(self, component: str, error: FirstError, log: Path) -> None:
        where = f"{error.place}: " if error.place else ""
        super().__init__(f"{component} does not build: {where}{error.what}", hint=f"the whole log is {log}")
        self.component, self.error, self.log = component, error, str(log)

    @property
    def details(self) -> tuple[str, ...]:
        """Evidence, one line each."""
        return tuple(self.error.context.splitlines())
