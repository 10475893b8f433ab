# SPDX-License-Identifier: GPL-2.0-or-later
"""How long a test may take, from how long it took: seconds on a machine of slow factor 1."""

from collections.abc import Collection

from reviewbot.config import SOAK
from reviewbot.store import TestSeconds

UNKNOWN = 300.0
"""For a test of which nothing is known; and at least this when only other legs know it."""
LEAST, MOST = 60.0, 1800.0
MARGIN = 10.0
"""Times the known seconds."""
SOAK_TIMES = 3
"""A soak test may run for SOAK_DURATION more than once, and checks the filesystem after each."""
LONG_RW = 300.0
"""Added for tests that read and write as long as fstests thinks long enough: some four minutes."""


def limit(known: TestSeconds | None, groups: Collection[str] = (), soak: int = SOAK) -> float:
    """Ten times what it took, at least a minute, at most half an hour; but always twice what it took when it passed.

    soak: SOAK_DURATION, which the tests of group `soak` get on top of it, however short they were with another one.
    """
    if known is None:
        seconds = UNKNOWN
    else:
        seconds = min(max(MARGIN * known.seconds, LEAST if known.own else UNKNOWN), MOST)
        seconds = max(seconds, 2 * known.seconds)
    if "long_rw" in groups:
        seconds += LONG_RW
    return seconds + (SOAK_TIMES * soak if "soak" in groups else 0)
