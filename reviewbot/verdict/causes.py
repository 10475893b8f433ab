# SPDX-License-Identifier: GPL-2.0-or-later
"""Which failures have one cause. Pure."""

from reviewbot.model.comparison import Class, Compared, cause


def cause_of(test: Compared) -> str:
    """The same for failures of one cause: the crash's fingerprint, or the first telling line without its numbers.

    Tests that can no longer run have another cause than tests that fail.
    """
    words = cause(test.fingerprint, test.reason) or f"{test.suite}/{test.test}"
    return f"notrun {words}" if test.kind is Class.NEWLY_NOTRUN else words


def grouped(tests: tuple[Compared, ...]) -> list[tuple[Compared, ...]]:
    """Tests by cause, in order of their first one."""
    groups: dict[str, list[Compared]] = {}
    for test in tests:
        groups.setdefault(cause_of(test), []).append(test)
    return [tuple(group) for group in groups.values()]
