# SPDX-License-Identifier: GPL-2.0-or-later
"""Traces of user space, by gdb and by gcc's and clang's sanitisers. A server's words in, reports and names out."""

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import translate

from reviewbot.config import load_servers
from reviewbot.model.deaths import Sanitizer, ServerReport

DEPTH = 5
"""Functions of a fingerprint."""
TEXT = 4096
"""Characters of a report."""
MAX_LINE = 1024
MAX_LINES = 120
"""Of one report; what follows is a map of memory."""
MAX_REPORTS = 100
THREADS = "== all threads"
"""In a backtrace, before the threads that did not die."""

_KINDS: dict[str, Sanitizer] = {"Address": "asan", "HWAddress": "asan", "Leak": "lsan", "Memory": "msan",
                                "Thread": "tsan"}  # fmt: skip
_HEAD = re.compile(
    r"(?:==(\d{1,10})== ?)?(?:ERROR|WARNING): (HWAddress|Address|Leak|Memory|Thread)Sanitizer: (.{1,500})"
)
_RUNTIME = re.compile(r"(\S{1,300}?):\d+:(?:\d+:)? runtime error: (.{1,500})")
_PID = re.compile(r" ?\(pid=(\d{1,10})\)")
_ACCESS = re.compile(r"(READ|WRITE) of size \d")
_FRAME = re.compile(r" {1,8}#\d+ +(?:0x[0-9a-f]+(?: +|$))?(?:in )?(?!0x[0-9a-f]+\b)([\w.$:~<>?]+|(?=\(|$))")
"""A function of a trace; empty where a library has no symbols and only the address and the library are told."""
_SUMMARY = "SUMMARY: "
_AFTER = re.compile(
    r"Shadow b|=>0x|  0x[0-9a-f]+: |  [A-Z][\w ]+: +[0-9a-f]{2}"
    r"|  (?:Addressable|Partially addressable): |==\d+==ABORT|={10}"
)
"""What ASan says after its summary: the map of its memory."""
_GDB_FRAME = re.compile(r"#\d+ +(?:0x[0-9a-f]+ in )?([\w.$:~<>?@]+|<signal handler called>)(?: \(|$)")
_CUTS = (
    (re.compile(r" on (?:unknown )?(?:address|unknown-crash).*| \(pc .*"), ""),
    (re.compile(r"\b0x[0-9a-f]+\b"), ""),
    (re.compile(r"(?<![\w.-])-?\d+\b(?!-bit)"), "N"),
)


@dataclass(slots=True)
class _Open:
    kind: Sanitizer
    title: str
    pid: int
    lines: list[str]
    functions: list[str] = field(default_factory=list)
    framed: bool = False
    """Its first trace has begun."""
    traced: bool = False
    """Its first trace is over."""

    def report(self) -> "Found":
        text = "\n".join(self.lines)[:TEXT]
        found = ServerReport(kind=self.kind, title=self.title[:200], fingerprint=fingerprint(self.functions), text=text)
        return Found(found, self.pid)


@dataclass(frozen=True, slots=True)
class Found:
    """A report and the process that wrote it (0: it does not say)."""

    report: ServerReport
    pid: int


def fingerprint(functions: Sequence[str]) -> str:
    """The first functions after noise, joined by `:`. Where all is noise, or there is none, empty."""
    telling = [name for name in functions if name and not _noise().match(name)]
    once = [name for n, name in enumerate(telling) if n == 0 or name != telling[n - 1]]
    return ":".join(once[:DEPTH])[:300]


def reports(log: str) -> tuple[tuple[Found, ...], tuple[str, ...]]:
    """What sanitisers say in a server's log, and the lines that are none of theirs. In proportion to its length."""
    found: list[Found] = []
    rest: list[str] = []
    current: _Open | None = None
    for raw in log.split("\n"):
        line = raw[:MAX_LINE].rstrip("\r")
        begun = _begin(line) if len(found) + bool(current) < MAX_REPORTS else None
        if begun:
            found += [current.report()] if current else []
            current = begun
        elif not (current and _continues(current, line)):
            found += [current.report()] if current else []
            current = None
            rest.append(line)
    return tuple(found + ([current.report()] if current else [])), tuple(rest)


def _begin(line: str) -> _Open | None:
    if head := _HEAD.match(line):
        pid = head[1] or (found[1] if (found := _PID.search(head[3])) else "0")
        return _Open(_KINDS[head[2]], _plain(_PID.sub("", head[3])), int(pid), [line])
    if runtime := _RUNTIME.match(line):
        return _Open("ubsan", f"{runtime[1].rpartition('/')[2]}: {_plain(runtime[2])}", 0, [line])
    return None


def _continues(current: _Open, line: str) -> bool:
    """Whether a line is part of the report; takes the functions of its first trace."""
    if current.lines[-1].startswith(_SUMMARY):
        return bool(_AFTER.match(line))
    frame = _FRAME.match(line)
    if len(current.lines) >= MAX_LINES or (current.kind == "ubsan" and not frame):
        return False
    if frame and not current.traced:
        current.framed = True
        current.functions.append(frame[1].split(".", 1)[0])
    elif not frame and current.framed:
        current.traced = True
    if (access := _ACCESS.match(line)) and not current.framed:
        current.title += f", {access[1]}"
    current.lines.append(line)
    return True


def _plain(title: str) -> str:
    for pattern, words in _CUTS:
        title = pattern.sub(words, title)
    return " ".join(title.split()).strip(" :,.")


def backtrace(text: str) -> tuple[str, str]:
    """From gdb's words on a core, or on a server that hangs: the fingerprint, and what it says of the thread that died
    or hangs, at most 4 KiB.

    Frames above a signal handler are the handler's; the fault is below.
    """
    dead = text.partition(THREADS)[0]
    start = dead.find("Program terminated")
    # Before the frames of a process that lives, gdb tells how it came to them.
    frames = dead.rfind("\n#0 ") + 1
    cause = dead[start:].partition("\n")[0] + "\n" if 0 <= start < frames else ""  # it shows #0 once more by itself
    dead = (cause + dead[frames if cause or start < 0 else start :]).strip()
    names = [frame[1] for line in dead.split("\n")[:MAX_LINES] if (frame := _GDB_FRAME.match(line[:MAX_LINE]))]
    if "<signal handler called>" in names:
        names = names[names.index("<signal handler called>") + 1 :]
    return fingerprint([name.split(".", 1)[0] for name in names]), dead[:TEXT]


def _patterns() -> Iterator[str]:
    for noise in load_servers().noise:
        for name in noise.functions:
            yield re.escape(name) if "?" in name else translate(name)


@functools.cache
def _noise() -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in _patterns()))
