# SPDX-License-Identifier: GPL-2.0-or-later
"""The same splat, however a console, a journal or dmesg prints it."""

import re
from collections.abc import Callable

import pytest

from reviewbot.crash.prefixes import Prefix, prefix_of
from reviewbot.crash.splats import Block, fingerprint, splat_blocks
from tests.crash.test_splats import GOLDEN

_STAMP = re.compile(r"^(?:<\d+>)?\[ *(\d+\.\d+)\](?:\[ *[TC]\d+\])? ?", re.MULTILINE)
Printed = Callable[[str], str]


def stamped(words: str) -> Printed:
    return lambda text: _STAMP.sub(lambda found: words.replace("UPTIME", f"[{float(found[1]):12.6f}]"), text)


def before_all(words: str) -> Printed:
    return lambda text: "".join(f"{words}{line}\n" for line in text.splitlines())


PRINTINGS: dict[str, Printed] = {
    "level": stamped("<4>UPTIME "),
    "caller": stamped("UPTIME[ T1234] "),
    "caller of a CPU": stamped("UPTIME[    C0] "),
    "no stamp": stamped(""),
    "dmesg -T": stamped("[Tue Nov  3 10:15:02 2026] "),
    "dmesg -T with callers": stamped("[Tue Nov  3 10:15:02 2026][ T1234] "),
    "dmesg -e": stamped("[  +0.000012] "),
    "dmesg -x": stamped("kern  :warn  : UPTIME "),
    "journalctl": stamped("Nov 03 10:15:02 host kernel: "),
    "journalctl of a kernel with callers": stamped("Nov 03 10:15:02 host kernel: [ T1234] "),
    "journalctl -o short-precise": stamped("Nov 03 10:15:02.123456 host kernel: "),
    "journalctl -o short-iso": stamped("2026-11-03T10:15:02+0000 host.example.org kernel: "),
    "rsyslog": stamped("2026-11-03T10:15:02.123456+00:00 host kernel: UPTIME "),
    "/dev/kmsg": stamped("4,1234,12345678,-;"),
    "/dev/kmsg with callers": stamped("4,1234,12345678,-,caller=T1234;"),
    "GitHub's log": before_all("2026-11-03T10:15:02.1234567Z "),
    "a recorded console": before_all("[2026-11-03 10:15:02] "),
    "another recorded console": before_all("2026-11-03 10:15:02.123 | "),
    "carriage returns": lambda text: text.replace("\n", "\r\n"),
    "blanks at the ends": lambda text: text.replace("\n", "  \n"),
}


def told(blocks: tuple[Block, ...]) -> list[tuple[str, str, str]]:
    return [(block.kind, block.title, fingerprint(block)) for block in blocks]


@pytest.mark.parametrize(
    "name", ["kasan-uaf.txt", "oops-null.txt", "hung-task.txt", "lockdep-circular.txt", "warn-7.0.txt"]
)
@pytest.mark.parametrize("printing", PRINTINGS)
def test_a_splat_is_the_same_however_it_is_printed(name: str, printing: str) -> None:
    text = (GOLDEN / name).read_text()
    assert told(splat_blocks(text)), "there is one"
    assert told(splat_blocks(PRINTINGS[printing](text))) == told(splat_blocks(text))


@pytest.mark.parametrize(
    ("line", "prefix"),
    [
        ("Nov 03 10:15:02 host systemd[1]: BUG: not the kernel's", Prefix(16)),
        ("2026-11-03T10:15:02Z BUG: a program's", Prefix(21)),
        ("my kernel: BUG: no date before it", Prefix(0)),
        ("[ 12 of 13 ] done", Prefix(0)),
        ("[   12.345678][ T12@cpu0] x", Prefix(26, "T12", kernel=True)),
        ("<6>[   12.345678] x", Prefix(18, kernel=True)),
        ("", Prefix(0)),
    ],
)
def test_only_what_the_kernel_prints_speaks_for_the_kernel(line: str, prefix: Prefix) -> None:
    assert prefix_of(line) == prefix


def test_words_of_programs_in_a_journal_end_no_splat_and_make_none() -> None:
    lines = PRINTINGS["journalctl"]((GOLDEN / "kasan-uaf.txt").read_text()).splitlines()
    program = "Nov 03 10:15:02 host myapp[123]: WARNING: CPU: 0 PID: 1 at x.c:1 f+0x1/0x2"
    mixed = [line for kernel in lines for line in (kernel, program)]
    assert told(splat_blocks("\n".join(mixed))) == told(splat_blocks("\n".join(lines)))
