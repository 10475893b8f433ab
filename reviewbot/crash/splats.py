# SPDX-License-Identifier: GPL-2.0-or-later
"""Find what a kernel says when it breaks. Text in, whole splats out.

A splat has no grammar of its own: it begins with a known headline (`qemu/splats.yaml`) and ends as its class ends. With
CONFIG_PRINTK_CALLER each line names its task or CPU, and the words of several CPUs are taken apart.
"""

import datetime
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from reviewbot.config import load_splats
from reviewbot.crash.headlines import CUT_HERE, SPEAKER, UNKNOWN, headline_of, unspoken
from reviewbot.crash.place import telling, title_of
from reviewbot.crash.prefixes import prefix_of
from reviewbot.crash.traces import STRAYS, TRACE, ends_trace, frame_of, in_trace
from reviewbot.model.splats import WAITS, AllowedSplat, SplatClass, SplatPattern

MAX_LINE = 1024
"""Characters of a line that are looked at; printk has no longer ones."""
MAX_LINES = 1000
"""Of one splat."""
MAX_BLOCKS = 10_000
"""Splats that are read: more than a reply has room for."""
MAX_HEADLINES = 20 * MAX_BLOCKS
"""The same, with those that turn out to be none."""
_NESTED = 4
"""Splats within splats that are kept apart."""
_WITHOUT_TRACE = 10
"""Lines that are kept of a splat that has no call trace."""
_PATIENCE = 60
"""Lines to wait for a call trace."""
_DOUBT = 12
"""The same, where it is no splat without one."""

_STAMP = re.compile(r"(?:<\d+>)?\[ *\d+\.\d{6}\](?:\[ *[TC]\d+[^\]\n]{0,40}\])? ")
"""How a message begins on a console, at a place where nothing else looks like it."""
_END = re.compile(r"---\[ end (?:trace|Kernel panic)")
_RULE = re.compile(r" ?={20,}\s*$")
_KILLED = re.compile(r".*(?:Kill(?:ed)? process \d|no killable processes)")
_RULED: tuple[SplatClass, ...] = ("kasan", "kfence", "kcsan")
"""Classes whose report ends with a line of `=`."""
_CONSEQUENCE = re.compile(
    r"Kernel panic - not syncing: (?:(?:[\w -]+: )?Fatal exception|kernel stack overflow|panic_on_warn|hung_task:"
    r"|RCU Stall|softlockup:|hard lockup|.*panic_on_\w+ set|k\w+\.panic set)",
    re.IGNORECASE,
)
"""Panics that were asked for in case of the splat before them."""
_OF_STALL = re.compile(
    r"\s*$|\s*(?:rcu: |CPU: \d|NMI backtrace|Sending NMI|Hardware name:|Modules linked in:|Call [Tt]race:|Backtrace:"
    r"|task:|Task dump for "
    r"|Workqueue: |irq event stamp|(?:hard|soft)irqs last|Code: |Stack:|\(t=|\(detected by|\d+-[.!]"
    r"|\S+\s+(?:running task|[A-Z] ))"
)
"""What the report of a stall goes on with between and after its traces."""
_OWNER = re.compile(r"INFO: task .+:\d+ is blocked on ")
"""What follows the trace of a task that hangs, and introduces that of the task it waits for; since 6.16."""
_LOCKS = re.compile(r"\s*$|\d+ locks? held by |\s*#\d+: |\S+/\d+ is leaving the kernel|-+$|=+$|\d+\.\d+")
"""What a report of lockdep is made of that ends with a list of locks."""
_OOPSES: tuple[SplatClass, ...] = ("oops", "bug")
"""Classes that say `Oops:` and more after their headline."""
_STALLS: tuple[SplatClass, ...] = ("rcu-stall", "soft-lockup", "hard-lockup")
"""Classes for which other CPUs are asked for their traces."""
_SEVERAL: tuple[SplatClass, ...] = (*_STALLS, WAITS)
"""Classes whose report has traces of several tasks."""
_WEIGHT: dict[SplatClass, int] = {
    "panic": 1,
    "warn": 2,
    "kmemleak": 2,
    "ubsan": 2,
    "kcsan": 2,
    "reboot": 3,
    "oom": 4,
    WAITS: 5,
}
_LAST = 6
"""What is told first of several: the cause before the panic that follows, an oops before a warning (others: 0), and a
panic that was asked for in case of another splat last."""


@dataclass(frozen=True, slots=True)
class Block:
    """One splat."""

    kind: SplatClass
    title: str
    """Its headline without addresses, processes, CPUs and line numbers; one line."""
    text: str
    """All of it, without times and callers."""
    entry: SplatPattern
    """How it is read."""

    @property
    def follows(self) -> bool:
        """Whether it was asked for in case of another splat."""
        return self.kind == "panic" and bool(_CONSEQUENCE.search(self.text))


@dataclass(frozen=True, slots=True)
class Sentence:
    """What the splats of one step come to."""

    worst: Block | None = None
    """Of those that are not allowed."""
    allowed: tuple[Block, ...] = ()
    note: str = ""
    """Which entry allowed them, or allowed the worst until its day; one line."""
    crash: bool = False
    """One of those that are not allowed is why a machine or a test came to no end."""


def fingerprint(block: Block) -> str:
    """Five functions of its call trace after noise, that at fault first, joined by `:`; empty when it has no trace.

    The same crash has the same fingerprint: offsets, guesses, module names and what compilers append are not in it.
    """
    return ":".join(telling(block.text.split("\n"), block.entry))


def splat_blocks(messages: str) -> tuple[Block, ...]:
    """Every splat in a kernel's messages (dmesg, /dev/kmsg or a console), in the order in which they begin.

    Takes time in proportion to the text, whatever it is. Raises ConfigError.
    """
    reader = _Reader()
    for line in messages.split("\n"):
        for n, part in enumerate(line.split("\\x0a")):  # /dev/kmsg writes a message of several lines in one
            if part:
                reader.take(part, goes_on=n > 0)
        if reader.full and not reader.open:
            break
    return reader.blocks()


def judge(blocks: Sequence[Block], today: datetime.date | None = None) -> Sentence:
    """The weightiest splat that no entry of `allowed:` excuses; one that has expired excuses nothing and is named."""
    today = today or datetime.date.today()
    allowed, left, notes, late = [], [], [], {}
    for block in blocks:
        entries = [entry for entry in load_splats().allowed if _covers(entry, block)]
        if good := next((entry for entry in entries if not entry.expired(today)), None):
            allowed.append(block)
            notes.append(f"allowed until {good.until}: {block.kind}: {block.title}: {good.reason} ({good.link})")
            continue
        left.append(block)
        if entries:
            late[id(block)] = (
                f"it was allowed until {entries[-1].until} only: {entries[-1].reason} ({entries[-1].link})"
            )
    worst = min(left, key=lambda block: _LAST if block.follows else _WEIGHT.get(block.kind, 0), default=None)
    note = late.get(id(worst), "") if worst else "; ".join(dict.fromkeys(notes))
    return Sentence(worst, tuple(allowed), note[:500], any(block.kind != WAITS for block in left))


def _covers(entry: AllowedSplat, block: Block) -> bool:
    return bool(re.search(entry.pattern, f"{block.title}\n{block.text}", re.MULTILINE))


@dataclass(slots=True)
class _Open:
    """A splat whose end has not come yet."""

    number: int
    entry: SplatPattern
    headline: str
    lines: list[str]
    marked: bool = False
    """It ends with an end marker."""
    trace: bool = False
    """`Call Trace:` was said."""
    frames: bool = False
    task: bool = False
    """Inside `<TASK>`."""
    cut: bool = False
    """It began with `cut here`."""
    stamped: bool = False
    """Its lines have times or callers."""
    locks: bool = False
    """A list of locks has begun."""
    strays: int = 0
    """Its last lines may be another task's: they are, unless the trace goes on."""

    @property
    def kind(self) -> SplatClass:
        return self.entry.kind

    @property
    def resumes(self) -> bool:
        """Whether it goes on after another splat in its middle."""
        return self.marked or self.kind in _RULED

    @property
    def doubtful(self) -> bool:
        """Whether it is none, as far as it goes."""
        return self.entry.traced and not (self.frames or self.cut)

    def swallows(self, entry: SplatPattern, text: str) -> bool:
        """Whether another headline is part of this splat; the first one after `cut here` names it."""
        if self.entry is UNKNOWN and entry is not UNKNOWN:
            self.entry, self.headline = entry, text
            return True
        if self.doubtful:
            return False
        if (self.cut or self.entry.warns) and not self.trace and text.startswith("WARNING: "):
            return True  # the words of a WARN() come before its place, and may be known by themselves
        if entry.kind == "oom" and self.kind == "oom" and entry.within:
            self.headline = text
            return True
        looked_up = self.headline.endswith("[inline]") and entry is self.entry  # the function around it says the same
        if self.lines[-1] == self.headline and (looked_up or text.startswith(self.headline)):
            self.entry, self.headline = entry, text  # or a message was cut, and printed again
            return True
        if self.trace or (self.frames and entry.kind != "panic"):
            return False
        if entry is UNKNOWN:
            return self.entry.warns
        if entry.kind == "panic":
            return self._causes(text)  # it tells the trace of both
        return entry.within and (self.kind in _OOPSES or self.kind == entry.kind)

    def _causes(self, panic: str) -> bool:
        """Whether a panic was asked for in case of this splat."""
        if self.kind in ("panic", WAITS):
            return False
        words = panic.partition("not syncing: ")[2].strip()
        return bool(_CONSEQUENCE.match(panic) or (words and words in self.headline))

    def add(self, text: str) -> None:
        if self.kind == "kmemleak":
            text = SPEAKER.sub("", text, count=1)
        self.lines.append(text)
        self.marked = self.marked or self.kind == "oops" or text.startswith("Oops")
        self.trace = self.trace or bool(TRACE.match(text))
        self.frames = self.frames or frame_of(text) is not None
        if self.kind in _SEVERAL:
            self.task = ("<TASK>" in text or self.task) and "</TASK>" not in text
        else:
            self.task = self.task or "<TASK>" in text
        self.locks = self.locks or bool(self.entry.listed and text.lstrip().startswith("#"))

    def ends_with(self, text: str) -> bool:
        """Whether this line, just added, is the last."""
        if _END.match(text) or len(self.lines) >= MAX_LINES or self.kind == "reboot":
            return True
        if self.kind in _RULED:
            return bool(_RULE.match(text))
        if self.kind == "oom":
            return bool(_KILLED.match(text))
        return not self.marked and self.trace and "</TASK>" in text and self.kind not in _SEVERAL

    def ends_before(self, text: str) -> bool:
        """Whether it was over before this line."""
        if self.marked or self.kind in (*_RULED, "oom", "panic"):
            return False
        if self.kind == "kmemleak":
            return not SPEAKER.sub("", text, count=1).startswith((" ", "unreferenced object"))
        if self.entry.listed:
            return self.locks and not _LOCKS.match(text)
        if self.trace and self.frames:
            if self.task or in_trace(text) or self._goes_on(text):
                self.strays = 0
            elif self.strays == STRAYS or ends_trace(text):
                return True
            else:
                self.strays += 1
            return False
        return not self.trace and not self.frames and len(self.lines) > (_DOUBT if self.entry.traced else _PATIENCE)

    def _goes_on(self, text: str) -> bool:
        """Whether a line after a trace leads to that of another CPU or task."""
        last = self.lines[-1]
        if self.kind == WAITS:
            heading = text.startswith("task:") and _OWNER.match(last)
            return bool(_OWNER.match(text) or heading or (last.startswith("task:") and TRACE.match(text)))
        return self.kind in _STALLS and bool(_OF_STALL.match(text))

    def block(self) -> Block | None:
        """The splat; None when it turned out to be none."""
        if self.doubtful:
            return None
        lines = self.lines[: len(self.lines) - self.strays]
        lines = lines if self.frames or self.locks else lines[:_WITHOUT_TRACE]
        while len(lines) > 1 and not lines[-1].strip():
            lines = lines[:-1]
        headline = self.headline
        if self.entry is UNKNOWN:
            headline = next((line for line in self.lines if line.strip() and not CUT_HERE.match(line)), headline)
        title = title_of(unspoken(headline) if self.entry.title else headline, lines, self.entry)
        return Block(self.kind, title or self.kind, "\n".join(lines), self.entry)


@dataclass(slots=True)
class _Reader:
    """Lines in, splats out. Callers are kept apart; a caller may be in a splat within a splat."""

    open: dict[str, list[_Open]] = field(default_factory=dict)
    closed: list[_Open] = field(default_factory=list)
    ruled: dict[str, str] = field(default_factory=dict)
    """Caller -> the line of `=` that it said last."""
    caller: str = ""
    spoken: bool = False
    """The kernel has said something."""
    number: int = 0
    """Splats that were begun."""
    dropped: int = 0
    """Those that turned out to be none."""

    def take(self, raw: str, goes_on: bool = False) -> None:
        """Read one line. goes_on: it belongs to the message before."""
        raw = raw[:MAX_LINE].rstrip()
        prefix = prefix_of(raw)
        if prefix.kernel:
            self.caller = prefix.caller
        elif (stamp := _STAMP.search(raw)) and stamp.start():  # a message ends the unfinished line of a program
            self.take(raw[stamp.start() :])
            return
        text, caller = raw[prefix.end :], self.caller
        stamped = prefix.kernel or goes_on
        if caller in self.ruled:
            text = text.lstrip(" ") if text.startswith(" BUG: ") else text
        entry = None if self.full else headline_of(text)
        if entry and entry.again and not self.spoken:
            entry = None
        self.spoken = self.spoken or stamped
        block = self._current(caller, text)
        if entry and not (block and block.swallows(entry, text)):
            self._begin(caller, entry, text, stamped)
        elif block and block.stamped and not stamped:
            pass  # a program's words on the same console
        elif block:
            if block.ends_before(text):
                self._close(block)
            else:
                block.add(text)
                if block.ends_with(text):
                    self._close(block)
        if _RULE.match(text):
            self.ruled[caller] = text
        elif self.ruled:
            self.ruled.pop(caller, None)

    @property
    def full(self) -> bool:
        return self.number - self.dropped >= MAX_BLOCKS or self.number >= MAX_HEADLINES

    def blocks(self) -> tuple[Block, ...]:
        left = {id(block): block for stack in self.open.values() for block in stack}
        found = (block.block() for block in sorted((*self.closed, *left.values()), key=lambda b: b.number))
        return tuple(block for block in found if block is not None)

    def _current(self, caller: str, text: str) -> _Open | None:
        if caller in self.open:
            return self.open[caller][-1]
        if text.startswith("NMI backtrace for cpu") and (stalled := next(self._stalled(), None)):
            self.open[caller] = [stalled]  # asked for by the splat of another CPU
            return stalled
        return None

    def _stalled(self) -> Iterator[_Open]:
        return (stack[-1] for stack in self.open.values() if stack[-1].kind in _STALLS)

    def _begin(self, caller: str, entry: SplatPattern, text: str, stamped: bool) -> None:
        stack = self.open.get(caller, [])
        for block in [b for b in stack if not b.resumes] or stack[: max(0, len(stack) - _NESTED + 1)]:
            self._close(block)
        self.number += 1
        rule = self.ruled.get(caller)
        cut = entry is UNKNOWN
        block = _Open(self.number, entry, text, [rule] if rule else [], marked=cut, cut=cut, stamped=stamped)
        block.add(text)
        if block.ends_with(text):
            self.closed.append(block)
        else:
            self.open.setdefault(caller, []).append(block)

    def _close(self, block: _Open) -> None:
        if block.doubtful:  # they shall leave room for what comes after
            self.dropped += 1
        else:
            self.closed.append(block)
        for caller, stack in list(self.open.items()):
            if any(one is block for one in stack):
                self.open[caller] = [one for one in stack if one is not block]
                if not self.open[caller]:
                    del self.open[caller]
