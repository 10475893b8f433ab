# SPDX-License-Identifier: GPL-2.0-or-later
"""Call traces of a kernel: the functions that make a crash the same crash. Text in, names out."""

import functools
import re
from collections.abc import Iterator, Sequence
from fnmatch import translate

from reviewbot.config import load_splats

DEPTH = 5
"""Functions of a fingerprint."""
FRAME = re.compile(r"\s*(?:\[<[0-9a-f?]+>\]\s*)?(\? )?([A-Za-z_$][\w.$]*)\+0x[0-9a-f]+/0x[0-9a-f]+")
TRACE = re.compile(r"\s*Call [Tt]race:")
_WHERE = re.compile(r"(?:[RE]IP: (?:0010:|0060:)?|pc : )(?:\[<[0-9a-f]+>\] )?([A-Za-z_$][\w.$]*)\+0x")
_OF_TRACE = re.compile(
    r"\s*(?:</?[A-Z#]\w*>|(?:RIP|EIP|RSP|RAX|RDX|RBP|R\d\d|FS|CS|CR2|DR\d|PKRU|ORIG_RAX|Code|EFLAGS): ?|R\d\d:|\? )"
)


def in_trace(line: str) -> bool:
    """Whether a line is part of a call trace: a function, a context, registers in between."""
    return bool(FRAME.match(line) or _OF_TRACE.match(line))


def functions(lines: Sequence[str]) -> tuple[str, ...]:
    """All functions of the first call trace, innermost first.

    The function of the instruction pointer comes first. Guesses (`? `) are left out, unless there is nothing else: a
    kernel without an unwinder (CONFIG_UNWINDER_GUESS) only guesses. Without the words `Call Trace:` (KFENCE, KCSAN,
    kmemleak) the first unbroken run of functions counts.
    """
    start = next((n for n, line in enumerate(lines) if TRACE.match(line)), None)
    where = (match for line in lines[:start] if (match := _WHERE.match(line)))
    first = [_plain(match[1]) for match in where][:1]
    trace = list(_run(lines) if start is None else _trace(lines[start + 1 :]))
    unwound = any(guessed is False for _, guessed in trace)
    found = first + [name for name, guessed in trace if not (guessed and unwound)]
    return tuple(name for n, name in enumerate(found) if n == 0 or found[n - 1] != name)


def fingerprint_of(lines: Sequence[str]) -> str:
    """The first functions after noise, joined by `:`. Where all is noise, the noise; without a trace, empty."""
    found = functions(lines)
    telling = [name for name in found if not _noise().match(name)]
    return ":".join((telling or found)[:DEPTH])


def _trace(lines: Sequence[str]) -> Iterator[tuple[str, bool | None]]:
    """Each function and whether it is a guess (None: an instruction pointer).

    Up to `</TASK>` if there was a `<TASK>`, so that another CPU's words in between end nothing.
    """
    inside = seen = False
    for line in lines:
        if frame := FRAME.match(line):
            seen = True
            yield _plain(frame[2]), bool(frame[1])
        elif where := _WHERE.match(line):
            yield _plain(where[1]), None
        elif "<TASK>" in line:
            inside = True
        elif "</TASK>" in line or TRACE.match(line) or (seen and not inside and not in_trace(line)):
            return


def _run(lines: Sequence[str]) -> Iterator[tuple[str, bool | None]]:
    seen = False
    for line in lines:
        if frame := FRAME.match(line):
            seen = True
            yield _plain(frame[2]), bool(frame[1])
        elif seen:
            return


def _plain(name: str) -> str:
    """`fuse_do_readpage.isra.0` and its other halves are one function."""
    return name.split(".", 1)[0] or name


@functools.cache
def _noise() -> re.Pattern[str]:
    return re.compile("|".join(translate(name) for noise in load_splats().noise for name in noise.functions))


_CUTS = (
    (r"\bCPU: \d+ (?:UID: \d+ )?PID: \d+ at (\S+?):\d+ (\S+)", r"\1 at \2"),  # the words before 6.19, as since
    (r",? CPU#\d+: .*", ""),
    (r" in /\S*?/(?=(?:arch|block|crypto|drivers|fs|include|io_uring|ipc|kernel|lib|mm|net|security)/)", " in "),
    (r"\+0x[0-9a-f]+/0x[0-9a-f]+", ""),
    (r"(\.(?:[chS]|rs)):\d+(?::\d+)?", r"\1"),
    (r",? (?:address:|at virtual address|for address:|(?=probably )|total-vm:|gfp_mask=|cpu=).*", ""),
    (r" \[#\d+\].*", ""),
    (r" in range \[.*", ""),
    (r",? for (?:more than )?\d+ ?s(?:ec(?:ond)?s?)?\b\.?", ""),
    (r"kworker/[^\s\]]+", "kworker"),
    (r"\b(comm|task) (\S.*?):\d+", r"\1 \2"),
    (r"\[([^\]\n:]+):\d+\]", r"[\1]"),
    (r"\b([\w.-]+)/\d+(?:/0x[0-9a-f]+)?", r"\1"),
    (r"\bCPU#?\d+|\b(?:on )?cpu \d+", "CPU"),
    (r"\s*\bpfn:\S+", ""),
    (r"\b(?:0x)?[0-9a-f]{8,16}\b|\b0x[0-9a-f]+", ""),
    (r"\b(process|pid|PID:?) \d+", r"\1"),
    (r"\b\d+ (?=new suspected)", ""),
    (r"\.(?:isra|constprop|part|cold|llvm)(?:\.\d+)*", ""),
)
_RULES = tuple((re.compile(pattern), words) for pattern, words in _CUTS)


def title_of(headline: str) -> str:
    """A headline without what differs from one crash to the next: addresses, processes, CPUs, line numbers."""
    title = headline.strip()[:500]
    for rule, words in _RULES:
        title = rule.sub(words, title)
    return re.sub(r"\s+", " ", title).strip(" :,.-")[:200]


_DULL = re.compile(
    r"\s*$|\s*(?:</?[A-Z#]\w*>|Call [Tt]race:"
    r"|(?:RSP|RAX|RDX|RBP|R\d\d|FS|CS|CR2|DR\d|PKRU|ORIG_RAX|Code|EFLAGS|#PF|CPU): |PGD \S+ P4D"
    r"|Hardware name:|Modules linked in:|irq event stamp:|hardirqs last|softirqs last|Workqueue:|Tainted:|=+$|-+$"
    r"|-+\[ (?:cut here|end) ?|RIP: 0033:|Oops: Oops:|Memory state around|[ >]?[0-9a-f]{16}: (?:[0-9a-f]{2} ?){8})"
)
NAMED = re.compile(r"(?<![\w.$])([A-Za-z_][\w.]*\+0x[0-9a-f]+/0x[0-9a-f]+)")
"""A place in a function, as the kernel writes it."""


def telling_lines(text: str) -> tuple[str, ...]:
    """What a reader wants of a splat: its words and its functions, no registers, guesses, or frames that are noise."""
    found = []
    for line in text.split("\n"):
        frame = FRAME.match(line)
        if _DULL.match(line) or (frame and (frame[1] or _noise().match(_plain(frame[2])))):
            continue
        found.append(line)
    return tuple(dict.fromkeys(found))
