# SPDX-License-Identifier: GPL-2.0-or-later
"""Planning the 203-message posting, as a user waits for it: a whole process, its time and its memory."""

import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Figure, failed, measured_process

TIMES = 5
SECONDS, MEGABYTES = 0.6, 150.0


def plan_fixture(mbox: Path) -> Iterator[Figure]:
    """Wall time and the largest resident set of `reviewbot plan --mbox`."""
    what = f"plan the 203-message posting ({mbox.name})"
    if not mbox.exists():
        yield Figure(what, (), SECONDS, f"{mbox.name} is not here")
        return
    command = [sys.executable, "-m", "reviewbot", "plan", "--mbox", str(mbox)]
    measured_process(command)  # compiles, and fills the cache of files
    runs = [measured_process(command) for _ in range(TIMES)]
    why_not = failed(status for status, _, _ in runs)
    yield Figure(what, () if why_not else tuple(seconds for _, seconds, _ in runs), SECONDS, why_not)
    yield Figure(f"{what}, memory", () if why_not else tuple(size for _, _, size in runs), MEGABYTES, why_not, "MB")
