# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m benchmarks.typical` writes `reviewbot/suites/durations.yaml` anew, from what was measured in leg ext4."""

import re

from reviewbot.host.files import write_atomic
from reviewbot.host.paths import cache_dir
from reviewbot.store import Durations
from reviewbot.suites.typical import TYPICAL, load_typical

LEG, ACCELERATOR = "ext4", "tcg"
FEWEST = 50
"""Tests that must have been measured: a few say nothing of the others, whose lines would go."""


def main() -> None:
    """Tests that were not measured here keep their line. Raises SystemExit when too few were."""
    measured = Durations(cache_dir() / "durations.json").tests(LEG, ACCELERATOR)
    own = {test: one.seconds for test, one in measured.items() if one.own and test.startswith("fstests/")}
    if len(own) < FEWEST:
        raise SystemExit(f"only {len(own)} tests of {LEG} were measured here, {FEWEST} are needed")
    header = re.match(r"(#.*\n)*", TYPICAL.read_text())
    lines = [
        f"  {test.removeprefix('fstests/')}: {max(round(seconds, 2), 0.01)}\n"
        for test, seconds in sorted({**load_typical(), **own}.items())
    ]
    write_atomic(TYPICAL, (header[0] if header else "") + "fstests:\n" + "".join(lines))


if __name__ == "__main__":
    main()
