# SPDX-License-Identifier: GPL-2.0-or-later
"""How long a test may take, from how long it took: seconds on a machine of slow factor 1."""

from collections.abc import Collection

from reviewbot.store import TestSeconds

UNKNOWN = 300.0
"""For a test of which nothing is known; and at least this when only other legs know it."""
LEAST, MOST = 60.0, 1800.0
MARGIN = 10.0
"""Times the known seconds."""
SOAK = 300.0
"""Added for tests that run as long as they are told to, or as fstests thinks long enough: some four minutes."""
_SOAKS = frozenset({"soak", "long_rw"})
"""Groups of fstests whose tests do."""


def limit(known: TestSeconds | None, groups: Collection[str] = ()) -> float:
    """Ten times what it took, at least a minute, at most half an hour; but always twice what it took when it passed."""
    if known is None:
        seconds = UNKNOWN
    else:
        seconds = min(max(MARGIN * known.seconds, LEAST if known.own else UNKNOWN), MOST)
        seconds = max(seconds, 2 * known.seconds)
    return seconds + (SOAK if _SOAKS.intersection(groups) else 0.0)
