# SPDX-License-Identifier: GPL-2.0-or-later
"""Which kernel messages are new on head."""

from pathlib import Path

import pytest

from reviewbot.model.errors import ConfigError
from reviewbot.model.results import KernelLine, LegResult, Outcome, TestResult
from reviewbot.verdict.messages import confirmed, load_rules, new_messages


def leg(*lines: tuple[int, str], outcome: Outcome = Outcome.PASS) -> LegResult:
    loud = tuple(KernelLine(level=level, text=text) for level, text in lines)
    test = TestResult(suite="smoke", test="rename", outcome=outcome, loud=loud, log="logs/x")
    return LegResult(leg="fuse2fs", available=True, tests=(test,))


def test_a_message_that_base_does_not_have_is_new_and_counts_from_level_error_on() -> None:
    found = new_messages(leg(), leg((3, "fuse: bad reply"), (4, "fuse: slow reply")), "smoke")
    assert [(one.text, one.test, one.level, one.alarm) for one in found] == [
        ("fuse: bad reply", "rename", 3, True),
        ("fuse: slow reply", "rename", 4, False),
    ]


def test_numbers_and_addresses_make_no_new_message() -> None:
    base = leg((4, "EXT4-fs (vdb): error in inode 12 at ffff88810a2b3c00"))
    assert new_messages(base, leg((4, "EXT4-fs (vdb): error in inode 77 at ffff88810ffffc00")), "smoke") == ()


def test_what_comes_and_goes_with_the_host_is_ignored() -> None:
    said = leg((4, "hrtimer: interrupt took 10339210 ns"), (4, "workqueue: x hogged CPU for >10000us 4 times"))
    assert new_messages(leg(), said, "smoke") == ()


def test_a_check_that_fails_is_judged_by_that_and_not_by_its_messages() -> None:
    assert new_messages(leg(), leg((3, "fuse: bad reply"), outcome=Outcome.FAIL), "smoke") == ()


def test_a_second_run_has_to_show_it_too() -> None:
    first = new_messages(leg(), leg((3, "request 4711 failed"), (3, "once")), "smoke")
    again = new_messages(leg(), leg((3, "request 4712 failed")), "smoke")
    assert [one.text for one in confirmed(first, again)] == ["request 4711 failed"]


def test_a_wrong_expression_in_the_file_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text("alarm: 3\nignore:\n  - {says: '(', why: long enough to be one}\n")
    with pytest.raises(ConfigError, match=r"m\.yaml:3"):
        load_rules(path)
