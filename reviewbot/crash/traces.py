# SPDX-License-Identifier: GPL-2.0-or-later
"""Call traces of a kernel: the functions that make a crash the same crash. Text in, names out."""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reviewbot.crash.names import noise, plain

_PC = r"(?:\(?\[ ?<?(?:0x)?[0-9a-f?]{4,16}>?\]\s*){0,2}"
_FRAME = re.compile(rf"\s*{_PC}(\? )?([A-Za-z_$][\w.$]*)\+0x[0-9a-f]+/0x[0-9a-f]+(.*\(unreliable\))?")
TRACE = re.compile(r"\s*(?:Call [Tt]race|Backtrace):")
_INLINE = re.compile(r"\s*[A-Za-z_]\w* \S+\.[chS]:\d+ \[inline\]")
"""What a script adds that looks up lines: only in some logs, so a function that was inlined is in no fingerprint."""
_ARM = re.compile(
    r"\s*(?:\[<[0-9a-f]+>\] )?\(?([A-Za-z_][\w.]*)(?:\+0x[0-9a-f]+/0x[0-9a-f]+)?\)? from (?:\[<|\(?[\w.]+\+0x)"
)
_ARM_REGISTERS = re.compile(r"\s+r\d+:[0-9a-f]{8}")
_WHERE = re.compile(
    r"\s*(?:[RE]?IP:? +(?:[0-9a-f]{4}:)?|pc : |epc\s*: (?:[0-9a-f]{8,16} )?|PC is at |NIP:? +|ERA: [0-9a-f]{16} "
    r"|Krnl PSW : .*\(|--- interrupt: [0-9a-f]+ at )"
    r"(?:\[<?[0-9a-f]+>?\] *){0,2}([A-Za-z_$][\w.$]*)\+0x"
)
"""The instruction pointer, on x86, arm64, RISC-V and MIPS, arm, PowerPC, LoongArch, s390."""
_OF_TRACE = re.compile(
    r"\s*(?:</?[A-Z#]\w*>|(?:RIP|EIP|RSP|RAX|RDX|RBP|R\d\d|FS|CS|CR2|DR\d|PKRU|ORIG_RAX|Code|EFLAGS): ?|R\d\d:|\? "
    r"|[0-9a-f]{4}:(?: +[0-9a-f]{8})+$|0x[0-9a-f]+$|--- interrupt: )"
)
_END_OF_TRACE = re.compile(
    r"\s*(?:$|-{3,}|={3,}|Modules linked in:|NMI backtrace|Sending NMI|Kernel (?:panic|Offset)|Dumping ftrace|Allocated"
    r"|Freed|\d+ locks? held by |Disabling lock debugging|INFO: lockdep is turned off)"
)
"""What comes after a trace and never in its middle."""
STRAYS = 20
"""Lines of others that may stand in the middle of a trace where a log does not tell tasks apart."""
_INTERRUPTED = re.compile(
    r"(?:asm_|smp_|trace_|__)*(?:sysvec_)?apic_timer_interrupt(?:_entry\w*)?$|asm_common_interrupt$|ret_from_intr$"
    r"|el1h?(?:_64)?_irq\w*$|__irq_svc$|decrementer_common\w*$|riscv_intc_irq$"
)
"""Where an interrupt was taken: what the CPU was doing comes after it."""
_TRAPPED = re.compile(r"\s*Exception stack\(")
"""The same on arm, which tells what the interrupt saved in the middle of the trace."""
_GRACE_PERIOD = re.compile(r".*(?:RCU grace-period kthread stack dump|\btask:rcu_\w+ )")
"""What introduces the trace of RCU's own thread: it waits for the CPU that stalls and is not the cause."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One function of a call trace."""

    name: str
    guess: bool = False
    """The unwinder is not sure of it (`? `)."""
    pointer: bool = False
    """It is the instruction pointer of registers in the middle of a trace."""


def ends_trace(line: str) -> bool:
    """Whether a trace is over before a line; other lines in its middle may be another task's."""
    return not in_trace(line) and bool(_END_OF_TRACE.match(line) or line.rstrip().endswith(":"))


def in_trace(line: str) -> bool:
    """Whether a line is part of a call trace: a function, a context, registers in between."""
    return bool(frame_of(line) or any(known.match(line) for known in (_OF_TRACE, _ARM_REGISTERS, _INLINE, _TRAPPED)))


def frame_of(line: str) -> Frame | None:
    """The function on a line of a call trace, as one of the architectures writes it."""
    if frame := _FRAME.match(line):
        return Frame(plain(frame[2]), guess=bool(frame[1] or frame[3]))
    if arm := _ARM.match(line):
        return Frame(plain(arm[1]))
    return None


def functions(lines: Sequence[str]) -> tuple[str, ...]:
    """All functions of the first call trace, innermost first.

    The function of the instruction pointer comes first. Guesses (`? `) are left out, unless there is nothing else: a
    kernel without an unwinder (CONFIG_UNWINDER_GUESS) only guesses. Without the words `Call Trace:` (KFENCE, KCSAN,
    kmemleak) the first unbroken run of functions counts.
    """
    start = next((n for n, line in enumerate(lines) if TRACE.match(line)), None)
    first = [where] if (where := pointer(lines)) else []
    return _once(first + _sure(list(_run(lines) if start is None else _trace(lines[start + 1 :]))))


def pointer(lines: Sequence[str]) -> str:
    """The function of the instruction pointer that was told before the first call trace; empty when there is none."""
    before = itertools.takewhile(lambda line: not TRACE.match(line), lines)
    return next((plain(match[1]) for line in before if (match := _WHERE.match(line))), "")


def stalled_functions(lines: Sequence[str]) -> tuple[str, ...]:
    """What a CPU that stalls was doing, innermost first: of several traces in a report the one that tells.

    That is the first one in which an interrupt was taken, from there on. Where a CPU was stopped otherwise (an NMI), it
    is its trace, but not that of RCU's own thread. Empty when there is none.
    """
    starts = [n for n, line in enumerate(lines) if TRACE.match(line)]
    for start in starts:
        found = _sure(list(_trace(lines[start + 1 :])))
        left = list(itertools.dropwhile(lambda name: not _INTERRUPTED.match(name), found))
        if left := list(itertools.dropwhile(_INTERRUPTED.match, left)):
            return _once(left)
    before = 0
    for start in starts:
        heading, before = lines[before:start], start + 1
        if not any(_GRACE_PERIOD.match(line) for line in heading):
            where = [plain(match[1]) for line in heading if (match := _WHERE.match(line))][:1]
            return _once(where + _sure(list(_trace(lines[start + 1 :]))))
    return ()


def after(lines: Sequence[str], words: re.Pattern[str]) -> tuple[str, ...]:
    """The functions of the unbroken run that follows the first line with these words."""
    start = next((n for n, line in enumerate(lines) if words.search(line)), None)
    return () if start is None else _once(_sure(list(_run(lines[start + 1 :]))))


def _sure(trace: Sequence[Frame]) -> list[str]:
    unwound = any(not (frame.guess or frame.pointer) for frame in trace)
    return [frame.name for frame in trace if not (frame.guess and unwound)]


def _once(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for n, name in enumerate(names) if n == 0 or names[n - 1] != name)


def _trace(lines: Sequence[str]) -> Iterator[Frame]:
    """Up to `</TASK>` if there was a `<TASK>`, so that another CPU's words in between end nothing; else few of them."""
    inside = seen = False
    strays = 0
    for line in lines:
        if frame := frame_of(line):
            seen, strays = True, 0
            yield frame
        elif seen and _TRAPPED.match(line):
            yield Frame("__irq_svc")
        elif where := _WHERE.match(line):
            yield Frame(plain(where[1]), pointer=True)
        elif "<TASK>" in line:
            inside = True
        elif "</TASK>" in line or TRACE.match(line):
            return
        elif seen and not inside and not in_trace(line):
            strays += 1
            if strays > STRAYS or ends_trace(line):
                return


def _run(lines: Sequence[str]) -> Iterator[Frame]:
    seen = False
    for line in lines:
        if frame := frame_of(line):
            seen = True
            yield frame
        elif seen and not _INLINE.match(line):
            return


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
        frame = frame_of(line)
        if _DULL.match(line) or (frame and (frame.guess or noise().match(frame.name))):
            continue
        found.append(line)
    return tuple(dict.fromkeys(found))
