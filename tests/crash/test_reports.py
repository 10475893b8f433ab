# SPDX-License-Identifier: GPL-2.0-or-later
"""One report of each kind that kernels make, from version 4.4 on and of several architectures, against its right value.

`reports.txt` holds them as they are printed, without times and callers.
"""

from pathlib import Path

import pytest

from reviewbot.crash.splats import Block, fingerprint, judge, splat_blocks

REPORTS = Path(__file__).with_name("reports.txt").read_text().split("\n== ")[1:]
"""`CLASS: TITLE`, and the report below it."""
BEFORE = "[    1.234567] run fstests generic/001 at 2026-11-24 02:13:27\n"
OTHER = "[   31.000001][ T31337] EXT4-fs (vdc): mounted filesystem 8b6f6a0e-0001 r/w with ordered data mode."


def worst(log: str) -> Block | None:
    return judge(splat_blocks(BEFORE + log)).worst


def printed(report: str, caller: str = "", between: str = "") -> str:
    lines = [f"[{30 + n / 7:12.6f}]{caller} {line}" for n, line in enumerate(report.splitlines())]
    return "\n".join(f"{line}\n{between}" if between else line for line in lines)


@pytest.mark.parametrize("told", REPORTS, ids=[told.split("\n")[0] for told in REPORTS])
def test_a_report_has_its_class_title_and_place_however_it_is_printed(told: str) -> None:
    heading, _, report = told.partition("\n")
    kind, _, title = heading.partition(": ")
    ways = {
        "times": printed(report),
        "tasks": printed(report, "[ T5234]"),
        "CPUs": printed(report, "[    C1]"),
        "words of another task": printed(report, "[ T5234]", OTHER),
        "words of a program": printed(report, "", "login: root"),
        "CRLF": printed(report).replace("\n", "\r\n"),
    }
    found = {way: worst(log) for way, log in ways.items()}
    told_of = {way: (block.kind, block.title) if block else None for way, block in found.items()}
    assert told_of == dict.fromkeys(ways, (kind, title))
    if title.partition(" in ")[2].startswith(("fuse_", "ext4_")) and " / " not in title:
        assert {fingerprint(block).split(":")[0] for block in found.values() if block} == {title.rpartition(" in ")[2]}


def test_a_headline_that_was_cut_and_printed_again_is_one_report() -> None:
    whole = "[   30.000000] BUG: KASAN: use-after-free in fuse_x+0x1/0x2\n"
    rest = "[   30.000001] Read of size 8 at addr ffff888107a2b000 by task fsx/1\n"
    log = whole[:40] + "\n** replaying previous printk message **\n" + whole + rest
    assert [block.title for block in splat_blocks(BEFORE + log)] == ["KASAN: use-after-free Read in fuse_x"]


BOOT = "Decompressing Linux... Parsing ELF... done.\nBooting the kernel.\n[    0.000000] Linux version 6.14.0\n"


def test_a_machine_that_begins_anew_is_a_reboot_and_its_first_start_is_none() -> None:
    assert splat_blocks(BOOT) == ()
    (again,) = splat_blocks(BOOT + BEFORE + BOOT)
    assert (again.kind, again.title) == ("reboot", "unexpected kernel reboot")
