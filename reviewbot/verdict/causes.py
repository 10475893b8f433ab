# SPDX-License-Identifier: GPL-2.0-or-later
"""Which failures have one cause. Pure."""

import re

from reviewbot.model.comparison import Class, Compared

_NUMBER = re.compile(r"0x[0-9a-f]+|\d+")


def cause_of(test: Compared) -> str:
    """The same for failures of one cause: the crash's fingerprint, or the first telling line without its numbers.

    Tests that can no longer run have another cause than tests that fail.
    """
    words = cause(test.fingerprint, test.reason) or f"{test.suite}/{test.test}"
    return f"notrun {words}" if test.kind is Class.NEWLY_NOTRUN else words


def cause(fingerprint: str, reason: str) -> str:
    """What a failure has in common with others of its cause; empty when it says nothing."""
    return fingerprint or _NUMBER.sub("N", reason)


def grouped(tests: tuple[Compared, ...]) -> list[tuple[Compared, ...]]:
    """Tests by cause, in order of their first one."""
    groups: dict[str, list[Compared]] = {}
    for test in tests:
        groups.setdefault(cause_of(test), []).append(test)
    return [tuple(group) for group in groups.values()]
