# SPDX-License-Identifier: GPL-2.0-or-later
"""What stands before a kernel's message on a console, in a journal, and in what dmesg prints."""

import re
from dataclasses import dataclass

_DAY = r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) )?[A-Z][a-z]{2} {1,2}\d{1,2} \d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?: \d{4})?"
_ISO = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: ?(?:Z|[+-]\d\d:?\d\d))?"
_PREFIX = re.compile(
    r"(?:[\w.-]{1,64} login: )?"  # a terminal waits for a user
    rf"(?P<level><\d{{1,3}}>)?"
    # What records a console, or a journal: the host and who spoke. `[Tue Nov  3 10:15:02 2026]` is dmesg -T, too.
    rf"(?:(?:(?:\[{_ISO}\]|{_ISO})(?: ?\| ?| |$)|{_DAY} )(?P<by>[\w.:-]{{1,64}} kernel(?:\[\d{{1,7}}\])?: ?)?)?"
    rf"(?P<facility>kern {{0,4}}:\w{{1,8}} {{0,4}}: )?"  # dmesg -x
    rf"(?P<again><\d{{1,3}}>)?"
    rf"(?P<clock>\[{_DAY}\] ?)?"
    rf"(?P<uptime>\[ *\+?\d{{1,10}}\.\d{{1,9}}\]|\d{{1,3}},\d{{1,12}},\d{{1,18}},[^;\n]{{1,64}};)?"  # or /dev/kmsg
    rf"(?:\[ *(?P<caller>[TC]\d+)[^\]\n]{{0,40}}\])?"
)
_CALLER = re.compile(r"caller=([TC]\d+)")


@dataclass(frozen=True, slots=True)
class Prefix:
    """Of one line."""

    end: int
    """Characters before the message."""
    caller: str = ""
    """`T1234`, `C0`: the task or CPU that spoke (CONFIG_PRINTK_CALLER); empty: not said."""
    kernel: bool = False
    """It says that the kernel spoke: a program's line may have a recorder's date at most."""


def prefix_of(line: str) -> Prefix:
    """What stands before the message of a line."""
    found = _PREFIX.match(line)
    if found is None or not found.end():
        return Prefix(0)
    kernel = any(found[name] for name in ("level", "by", "facility", "again", "clock", "uptime", "caller"))
    caller = found["caller"] or ""
    if not caller and (in_kmsg := _CALLER.search(found["uptime"] or "")):
        caller = in_kmsg[1]
    end = found.end()
    if kernel and not (found["uptime"] or "").endswith(";"):
        end += line.startswith(" ", end)
    return Prefix(end, caller, kernel)
