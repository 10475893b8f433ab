# SPDX-License-Identifier: GPL-2.0-or-later
"""Which messages begin a splat, and which only look like it."""

import re

import pytest

from reviewbot.config import load_splats
from reviewbot.crash.headlines import unspoken
from reviewbot.crash.splats import judge, splat_blocks
from reviewbot.model.splats import WAITS, SplatPattern
from tests.crash.messages import CRASHES, ORDINARY, TRACED, WAITING, console

RULES = load_splats()


@pytest.mark.parametrize("message", [*CRASHES, *WAITING])
def test_a_splat_is_found_and_ends_a_machine_unless_a_task_only_waits(message: str) -> None:
    assert (sentence := judge(splat_blocks(console(message, *TRACED)))).worst and sentence.worst.title
    assert sentence.crash == (message not in WAITING) == (sentence.worst.kind != WAITS)


@pytest.mark.parametrize("pattern", RULES.splats, ids=[entry.pattern for entry in RULES.splats])
def test_each_pattern_has_a_message_here_that_no_earlier_one_matches(pattern: SplatPattern) -> None:
    said = [unspoken(message) for message in (*CRASHES, *WAITING)]
    first = [next((entry for entry in RULES.splats if re.match(entry.pattern, message)), None) for message in said]
    assert pattern in first


@pytest.mark.parametrize("line", ORDINARY.splitlines())
def test_an_ordinary_message_is_no_splat(line: str) -> None:
    assert splat_blocks(line) == splat_blocks(f"[    1.234567] {line}\n") == ()


@pytest.mark.parametrize(
    "line",
    [
        "traps: fuse2fs[412] general protection fault ip:7f3ce0220611 sp:7ffe37ee4f40 error:0 in libfuse3.so.4",
        "run fstests generic/475 WARNING: CPU: 0 PID: 1 at x.c:1 f+0x1/0x2",
        "EXT4-fs (vda): BUG: is a fine name for a label",
        "BUG UNIX (Not tainted): kasan: bad access detected",
        "systemd[1]: Kernel panic - not syncing: is what I look for",
    ],
)
def test_what_a_program_says_in_the_middle_of_a_line_is_no_splat(line: str) -> None:
    assert splat_blocks(console(line)) == ()
