# SPDX-License-Identifier: GPL-2.0-or-later
"""A build that failed: what the compiler said first."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from posixpath import basename, dirname
from typing import Literal

from reviewbot.model.errors import InfraError, SeriesAtFault
from reviewbot.model.verdict import Finding, FindingKind, VerdictKind
from reviewbot.model.words import split_place

_FILE = r"(?P<file>\{standard input\}|[^\s:]+)"
_LD = r"(?:\S*[/-])?ld(?:\.\w+)?"
_DRIVERS = r"(?:\S*[/-])?(?:cc|gcc|g\+\+|c\+\+|clang|clang\+\+|cc1|cc1plus|as|ar|collect2)(?:-[\d.]+)?"
_SHELL = r"(?:\S*/)?(?:ba|da)?sh: (?:line )?\d+: +"
_NO_PROGRAM = r"(?:(?:command )?not found|Permission denied|No such file or directory)"
_KILLED = r"Killed|Segmentation fault|Bus error"
_COMPILER = re.compile(
    rf"^{_FILE}:(?P<line>\d+)(?::\d+)?: (?:(?P<fatal>[Ff]atal )|(?P<internal>internal compiler ))?[Ee]rror: "
    r"(?P<what>.+)$"
)
_LINKER = re.compile(
    rf"^(?:{_LD}: )?(?:\S+\.o\)?:(?=[^\s:]+:\d))?{_FILE}:(?:(?P<line>\d+):)?(?:\(\S+\):)? "
    r"(?P<what>(?:undefined reference|multiple definition|relocation truncated) .+)$"
)
_OTHERS = (
    re.compile(r"^(?P<file>\{standard input\}|\S+\.s): Fatal error: (?P<what>.+)$"),  # the assembler, of its output
    re.compile(r"^(?P<file>\S*meson\.build):(?P<line>\d+):\d+: ERROR: (?P<what>.+)$"),
    # kconfig says nothing of a Kconfig file but errors and warnings; its parser has a dozen words for an error.
    re.compile(r"^(?P<file>\S*Kconfig[^\s:]*):(?P<line>\d+): ?(?!warning:)(?P<what>\S.*)$"),
    re.compile(r"^(?P<file>\S*(?:Makefile|Kbuild)[^\s:]*):(?P<line>\d+): ?(?!warning:)(?P<what>.*(?:\*\*\*|error).*)$"),
    re.compile(rf"^{_LD}: ?(?:error: )?(?P<file>[^\s:]+):(?P<line>\d+): ?(?!warning: )(?P<what>\S.*)$"),
    re.compile(
        rf"^{_DRIVERS}(?P<file>): (?:fatal |(?P<internal>internal compiler ))?error: "
        r"(?P<what>(?!linker command failed|ld returned).+)$"
    ),
    re.compile(
        rf"^(?:{_LD}|(?:\S*[/-])?(?:collect2|cc1))(?P<file>): (?!warning: |note: )(?:error: )?"
        r"(?P<what>(?!.*: in function [`'‘]).+)$"
    ),
    re.compile(r"^(?P<file>\S+\.o): error: (?P<what>objtool: .+)$"),
    re.compile(r"^(?:ERROR|FATAL): modpost: (?P<what>(?:.*\[(?P<file>[^]]+)\])?.*)$"),
    re.compile(r"^error: (?P<file>\S+): (?P<what>.+)$"),  # scripts of kbuild: headers_install.sh
    re.compile(r"^(?:\S*/)?(?:configure|config\.status): error(?P<file>): (?P<what>(?!in `[^']*':$).+)$"),
    re.compile(r"^ninja: (?:error|fatal)(?P<file>): (?P<what>.+)$"),
    re.compile(r"^libtool: +(?:\w+: +)?error(?P<file>): (?P<what>.+)$"),
    re.compile(r"^error(?:\[E\d+\])(?P<file>): (?P<what>.+)$"),  # rustc
    # A shell that make started names itself, and make a program that it could not start.
    re.compile(rf"^(?:{_SHELL}|make(?:\[\d+\])?: (?:execvp: )?)(?P<file>\S*/\S+): (?P<what>{_NO_PROGRAM})$"),
    re.compile(rf"^{_SHELL}(?P<file>)(?:\d+ +)?(?P<what>.+: {_NO_PROGRAM}|Cannot fork|(?:{_KILLED}) .+)$"),
    re.compile(r"^(?P<file>\S+): line (?P<line>\d+): (?P<what>.+: command not found|syntax error .+)$"),
    re.compile(rf"^(?P<file>)(?P<what>(?:{_KILLED})(?: \(core dumped\))?)$"),
    re.compile(
        r"^(?P<file>)(?P<what>\S.*: '?(?:No space left on device|Disk quota exceeded|Cannot allocate memory"
        r"|Resource temporarily unavailable|Input/output error|Read-only file system)'?)$"
    ),
    re.compile(r"^\*\*\*(?P<file>) (?P<what>[^*\s].*)$"),  # boxes of kbuild: "*** Compiler is too old."
    re.compile(r"^(?P<file>)(?P<what>FAILED:? (?:load BTF|unresolved symbol).*|Failed to generate BTF for .*)$"),
    re.compile(r"^ERROR(?P<file>): (?P<what>.+)$"),
    re.compile(r"^(?P<file>)(?P<what>[A-Z]\w*(?:Error|Exception): .+)$"),  # a script in Python
    re.compile(r"^make(?:\[\d+\])?: \*\*\* (?P<what>.+?)(?P<file>)$"),
)
_ACCIDENT = re.compile(
    r"^(?:error: )?(?:Killed signal terminated program|unable to execute command: |vfork: |fork: )"
    r"|terminated (?:with|by) signal \d"
    r"|frontend command failed (?:with exit code|due to signal)"
    r"|\] (?:Error (?:12[89]|1[3-5]\d)|Killed|Terminated|Segmentation fault|Bus error|Aborted|Illegal instruction)\b"
    r"|(?:virtual memory exhausted|out of memory|memory exhausted|[Cc]annot allocate memory)\b"
    r"|: '?(?:No space left on device|Disk quota exceeded|Resource temporarily unavailable|Input/output error"
    r"|Read-only file system)'?$"
    rf"|^(?:{_KILLED})\b|: Killed \(program |^Cannot fork$",
)
"""Ends of a build that this machine may have caused. Never believed by itself: see `FirstError.accident`."""
_IN_FUNCTION = re.compile(r"(?P<object>[^\s:]+\.o): in function ")
_REFERENCED = re.compile(
    r"^>>> (?:referenced by|defined at) (?P<short>[^\s:]+)(?::\d+)?(?: \((?P<file>[^\s:()]+):(?P<line>\d+)\))?$"
)
_POINTED = re.compile(r"^ +--> (?P<file>[^\s:]+):(?P<line>\d+):\d+$")
"""Where rustc says that its error is, in the line after."""
_TRACEBACK = re.compile(r'^  File "(?P<file>/src/[^"]+)", line (?P<line>\d+)')
_OBJECT = re.compile(r"^>>> +(?P<object>[^\s:]+\.o):\(")
_SOURCE = re.compile(r" -c (?P<file>\S+\.[cS])\b|^  (?:CC|AS)(?: \[M\])? +(?P<object>[^\s/]\S*\.o)$")
_BOX = re.compile(r"(?<![\w./-])(?:/obj/)?(?:(?:\.\./)+src/|(?<![\w.])/src/)")
"""Where a tree lies in the box: nobody else has it there."""
_TEMPORARY = re.compile(r"^(?:\{standard input\}|/tmp/\S+\.s)$")
_MOST = 50
"""Errors of a build that are kept."""
_LONGEST = 2000
"""Characters of a line that are looked at."""


@dataclass(frozen=True, slots=True)
class FirstError:
    """The first error of a build log."""

    what: str
    place: str
    """`file:line`, a file, or empty."""
    context: str
    """Some lines around it."""
    accident: bool = False
    """The machine may have done it: a compiler that was killed or crashed, no memory, no disk. These are words of a
    log, which the series can print as well: whoever judges repeats the build and builds base."""

    def same_as(self, other: "FirstError") -> bool:
        """The same words about the same file; lines may have moved."""
        return self.what == other.what and self.file == other.file

    @property
    def file(self) -> str:
        """Of `place`, without the line."""
        return re.sub(r":\d+\Z", "", self.place)

    def words(self) -> str:
        """`fs/fuse/file.c:12: what`."""
        return f"{self.place}: {self.what}" if self.place else self.what


def first_error(log: str) -> FirstError | None:
    """Compilers before linkers before configure scripts before make's own words; None if there is nothing such."""
    lines = _lines(log)
    for patterns in ((_COMPILER,), (_LINKER,), *((other,) for other in _OTHERS)):
        if found := next(_search(patterns, lines), None):
            return found
    return None


def all_errors(log: str) -> tuple[FirstError, ...]:
    """Of a build that went on after errors: those of compilers, then of linkers; else the first of any kind."""
    lines = _lines(log)
    found = [error for pattern in (_COMPILER, _LINKER) for error in _search((pattern,), lines)]
    if not found and (first := first_error(log)):
        found = [first]
    return tuple(found[:_MOST])


def _lines(log: str) -> list[str]:
    """Of a line without end only the beginning: the time for a line grows with the square of its length."""
    return [re.sub(r"\x1b\[[0-9;]*[mK]", "", line[:_LONGEST]) for line in log.splitlines()]


def _search(patterns: Sequence[re.Pattern[str]], lines: list[str]) -> Iterator[FirstError]:
    for number, line in enumerate(lines):
        for pattern in patterns:
            if match := pattern.match(line):
                yield _found(match, lines, number)


def _found(match: re.Match[str], lines: list[str], number: int) -> FirstError:
    groups = match.groupdict()
    what = match["what"].strip()
    of_source = match.re is _COMPILER and not groups["fatal"]  # `#error` says whatever the tree has there
    accident = bool(groups.get("internal")) or (not of_source and bool(_ACCIDENT.search(what)))
    if groups.get("internal"):
        what = f"internal compiler error: {what}"
    place = _place(groups["file"] or "", groups.get("line") or "", lines, number)
    context = "\n".join(_BOX.sub("", line) for line in lines[max(0, number - 2) : number + 8])
    return FirstError(what, place, context, accident)


def _place(file: str, line: str, lines: list[str], number: int) -> str:
    """`file:line` in the tree. What the linker and the assembler leave out stands in the lines around."""
    if _TEMPORARY.match(file):
        return _source_before(lines, number)  # its lines are those of the compiler's output
    if not file and (script := _before(_TRACEBACK, lines, number, 20)):
        return f"{_in_tree(script['file'])}:{script['line']}"
    if not file and number + 1 < len(lines):
        return _referenced(lines, number + 1)
    file = _in_tree(file)
    if file and "/" not in file and (before := _before(_IN_FUNCTION, lines, number, 50)):
        file = _beside(before["object"], file)
    return f"{file}:{line}" if line else file


def _in_tree(file: str) -> str:
    return re.sub(r"^(?:\.\.?/)+", "", _BOX.sub("", file))


def _before(pattern: re.Pattern[str], lines: list[str], number: int, most: int) -> re.Match[str] | None:
    """The nearest match among the line and those before it."""
    window = lines[max(0, number - most) : number + 1]
    return next((match for line in reversed(window) if (match := pattern.search(line))), None)


def _source_before(lines: list[str], number: int) -> str:
    """What was compiled when this was said, or nothing."""
    match = _before(_SOURCE, lines, number, 30)
    if match is None:
        return ""
    return _in_tree(match["file"]) if match["file"] else f"{match['object'].removesuffix('.o')}.c"


def _beside(made: str, file: str) -> str:
    """`file` with the folder of the object made of it: `fs/fuse/file.o`, or meson's `lib/libfuse3.so.p/fuse.c.o`."""
    stem = basename(made).removesuffix(".o")
    if stem.removesuffix(".c") != file.rpartition(".")[0]:
        return file
    folder = dirname(made)
    folder = dirname(folder) if folder.endswith(".p") else folder
    return f"{folder}/{file}" if folder and not folder.startswith("/") else file


def _referenced(lines: list[str], number: int) -> str:
    """Where lld says that a symbol is used or defined, and rustc that its error is, in the lines after it."""
    if pointed := _POINTED.match(lines[number]):
        return f"{_in_tree(pointed['file'])}:{pointed['line']}"
    match = _REFERENCED.match(lines[number])
    if match is None:
        return ""
    if match["file"]:
        return f"{_in_tree(match['file'])}:{match['line']}"
    following = lines[number + 1] if number + 1 < len(lines) else ""
    made = _OBJECT.match(following)
    return _beside(made["object"], _in_tree(match["short"])) if made else _in_tree(match["short"])


def _finding(component: str, error: FirstError, log: Path, *, side: Literal["head", "base"], tool: str) -> Finding:
    file, line = split_place(error.place)
    return Finding(
        kind=FindingKind.HEAD,
        component=component,
        side=side,
        file=file,
        line=line,
        tool=tool,
        said=error.what,
        detail=error.context,
        log=str(log),
    )


class BuildFails(SeriesAtFault):
    """A patched component does not build, though its base does, in the same box and within the same limits."""

    verdict = VerdictKind.BUILD_FAILS

    def __init__(self, component: str, error: FirstError, log: Path, *, compiler: str = "") -> None:
        super().__init__(f"{component} does not build: {error.words()}", hint=f"the whole log is {log}")
        self.component, self.error, self.compiler = component, error, compiler
        self.log = log

    @property
    def details(self) -> tuple[str, ...]:
        return tuple(self.error.context.splitlines())

    def findings(self) -> tuple[Finding, ...]:
        return (_finding(self.component, self.error, Path(self.log or ""), side="head", tool=self.compiler),)


class BaseFails(InfraError):
    """Neither head nor its base builds: nothing can be said about the series."""

    def __init__(self, component: str, head: FirstError, base: FirstError, log: Path, base_log: Path) -> None:
        same = head.same_as(base)
        why = "base has the same error" if same else f"base does not build either: {base.words()}"
        super().__init__(
            f"{component} does not build: {head.words()}; {why}: this says nothing about the series",
            hint=f"the whole log is {log}",
        )
        self.component, self.error, self.base_error, self.same = component, head, base, same
        self.log, self.base_log = log, base_log

    @property
    def details(self) -> tuple[str, ...]:
        return tuple(self.error.context.splitlines())

    def findings(self) -> tuple[Finding, ...]:
        head = _finding(self.component, self.error, Path(self.log or ""), side="head", tool="")
        base = _finding(self.component, self.base_error, self.base_log, side="base", tool="")
        return (head, base.model_copy(update={"detail": ""}) if self.same else base)
