# SPDX-License-Identifier: GPL-2.0-or-later
"""How the promised figures are measured."""

import subprocess
import sys
import time

from benchmarks.measure import cpu_seconds


def test_cpu_seconds_count_children_that_ended_and_no_time_asleep() -> None:
    before = cpu_seconds()
    work = "import time\nuntil = time.process_time() + 0.3\nwhile time.process_time() < until: pass"
    subprocess.run([sys.executable, "-S", "-c", work], check=True)
    used = cpu_seconds() - before
    assert used >= 0.29
    before = cpu_seconds()
    time.sleep(0.2)
    assert cpu_seconds() - before < 0.2
