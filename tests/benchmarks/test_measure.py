# SPDX-License-Identifier: GPL-2.0-or-later
"""How the promised figures are measured."""

import subprocess
import sys

from benchmarks.measure import Cpu

WORK = "import time\nuntil = time.process_time() + 1.5\nwhile time.process_time() < until: pass"


def test_cpu_seconds_count_what_works_below_and_no_time_asleep() -> None:
    with Cpu() as used:
        subprocess.run([sys.executable, "-S", "-c", WORK], check=True)
    assert used.seconds >= 0.9
    with Cpu() as idle:
        subprocess.run(["sleep", "0.7"], check=True)
    assert idle.seconds < 0.5
