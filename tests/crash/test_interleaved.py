# SPDX-License-Identifier: GPL-2.0-or-later
"""Splats among the words of others, cut short, and behind what a terminal shows."""

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewbot.crash.splats import Block, fingerprint, judge, splat_blocks
from tests.crash.test_reports import REPORTS

STRAY = "usb 1-1: new high-speed USB device number 2 using made_up_hcd"
HEADS = {
    "hung-task": ("INFO: task fsx:400 blocked for more than 122 seconds.", "Call trace:"),
    "kasan": ("BUG: KASAN: use-after-free in do_raw_spin_lock+0x1/0x2", "Read of size 8 at addr ffff88 by task fsx/1",
              "Call Trace:"),
    "warn": ("------------[ cut here ]------------", "WARNING: CPU: 0 PID: 1 at mm/util.c:1 kvmalloc_node+0x1/0x2",
             "Call Trace:"),
    "rcu-stall": ("rcu: INFO: rcu_sched self-detected stall on CPU", "Call Trace:", " apic_timer_interrupt+0x1/0x2"),
    "soft-lockup": ("watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [fsx:400]", "Call Trace:"),
}  # fmt: skip
TRACE = (" dump_stack+0x1/0x2", " _raw_spin_lock+0x1/0x2", " fuse_reply+0x1/0x2", " fuse_flush+0x1/0x2")


def times(lines: tuple[str, ...] | list[str], caller: str = "") -> str:
    return "".join(f"[{30 + n / 7:12.6f}]{caller} {line}\n" for n, line in enumerate(lines))


def worst(log: str) -> Block:
    block = judge(splat_blocks(log)).worst
    assert block is not None
    return block


@pytest.mark.parametrize("kind", HEADS)
def test_words_of_others_end_no_trace_where_a_log_does_not_tell_tasks_apart(kind: str) -> None:
    mixed = [line for frame in TRACE for line in (frame, STRAY, STRAY)]
    alone = worst(times([*HEADS[kind], *TRACE]))
    assert fingerprint(worst(times([*HEADS[kind], *mixed]))) == fingerprint(alone) == "fuse_reply:fuse_flush"


def test_what_is_said_after_a_trace_is_no_part_of_it() -> None:
    block = worst(times([*HEADS["hung-task"], *TRACE, *[STRAY] * 40]))
    assert block.text.endswith(TRACE[-1])
    later = worst(times([*HEADS["hung-task"], *TRACE, *[STRAY] * 40, " ext4_readdir+0x1/0x2"]))
    assert later.text == block.text


@pytest.mark.parametrize("over", ["", "Allocated by task 12:", "Showing all locks held in the system:", "Call Trace:"])
def test_a_trace_ends_before_the_next_part_of_a_report(over: str) -> None:
    block = worst(times([*HEADS["hung-task"], *TRACE, over, " ext4_readdir+0x1/0x2"]))
    assert fingerprint(block) == "fuse_reply:fuse_flush"


def test_a_sentence_with_from_in_it_is_no_frame() -> None:
    assert splat_blocks(times(["WARNING: this is old and ignored", " option from the list to be silent"])) == ()


def test_a_headline_behind_the_prompt_of_a_terminal_is_read() -> None:
    lines = ("guest login: Unable to handle kernel paging request at virtual address fc14ef08",
             "Internal error: Oops: 5 [#1] SMP ARM", "PC is at fuse_reply+0x1/0x2")  # fmt: skip
    assert worst("\n".join(lines)).title == "BUG: unable to handle kernel paging request in fuse_reply"


def known(report: str) -> Iterator[tuple[str, int]]:
    """The class after each number of lines, as soon as there is one."""
    lines = report.strip("\n").split("\n")
    for n in range(1, len(lines) + 1):
        blocks = splat_blocks("[    0.000001] Linux version 6.14.0\n" + times(lines[:n]))
        if blocks:
            yield blocks[0].kind, n


@pytest.mark.parametrize("told", REPORTS, ids=[told.split("\n")[0] for told in REPORTS])
def test_a_report_that_is_cut_has_its_class_as_soon_as_its_headline_is_there(told: str) -> None:
    heading, _, report = told.partition("\n")
    kinds = [kind for kind, _ in known(report)]
    kinds = list(itertools.dropwhile(lambda kind: kind == "warn", kinds)) or kinds  # `cut here` alone may be a warning
    assert set(kinds) == {heading.partition(": ")[0]}


@given(st.lists(st.booleans(), min_size=60, max_size=60), st.booleans())
def test_two_cpus_that_speak_at_once_are_told_apart(turns: list[bool], in_interrupt: bool) -> None:
    one = times([*HEADS["kasan"], *TRACE, "=" * 66], "[ T5234]").splitlines()
    other = times([*HEADS["warn"], " ext4_readdir+0x1/0x2", " iterate_dir+0x1/0x2", "---[ end trace 1 ]---"],
                  "[    C1]" if in_interrupt else "[ T5235]").splitlines()  # fmt: skip
    mixed = []
    for turn in itertools.chain(turns, itertools.cycle((True, False))):
        if not (one or other):
            break
        if source := one if turn else other:
            mixed.append(source.pop(0))
    found = {block.kind: fingerprint(block) for block in splat_blocks("\n".join(mixed))}
    assert found == {"kasan": "fuse_reply:fuse_flush", "warn": "ext4_readdir:iterate_dir"}
