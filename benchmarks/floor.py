# SPDX-License-Identifier: GPL-2.0-or-later
"""What fstests costs when a test does nothing: the wall time of its step, in an emulated machine."""

import tempfile
from pathlib import Path

from benchmarks.machines import job_of, newest
from benchmarks.measure import Figure
from reviewbot import lab, suites
from reviewbot.config import load_stack
from reviewbot.lab import Accelerator
from reviewbot.model.lab import GuestStep
from reviewbot.store import Store
from reviewbot.suites import fstests
from reviewbot.suites.selection import Selection

WHAT = "fstests: floor of a test (tcg)"
LIMIT = 1.0
TIMES = 7
TEST = "generic/000"
EMPTY = f"""\
cd /stack/fstests/tests && [ ! -e {TEST} ]
printf '#!/bin/bash\\n. ./common/preamble\\n_begin_fstest auto\\n_require_test\\nstatus=0\\nexit\\n' >{TEST}
chmod +x {TEST}
echo 'QA output created by 000' >{TEST}.out
echo '000 auto' >>generic/group.list
"""


def floor(store: Store) -> Figure:
    """An empty test, seven times after the one that starts `check`, in leg ext4 of the newest stack with fstests."""
    built = newest(store, fstests=True)
    if not built:
        return Figure(WHAT, (), LIMIT, "no payload with fstests: run a leg with --suites fstests first")
    leg = load_stack().leg("ext4")
    prepare, empty = fstests.steps(leg, Selection((TEST,)))
    job = job_of(
        built,
        "floor",
        *suites.setup_steps(leg),
        prepare,
        GuestStep(name="setup/empty", argv=("/bin/sh", "-ec", EMPTY), timeout=20, gate=True),
        *(empty.model_copy(update={"name": f"{empty.name}-{turn}"}) for turn in range(TIMES + 1)),
        disks=suites.disks(1),
    )
    with tempfile.TemporaryDirectory(prefix="reviewbot-bench-") as folder:
        reply = lab.run_job(job, Accelerator("tcg", "the promise is about emulation"), Path(folder))
    tests = [r for r in reply.replies if r.name.startswith(empty.name)]
    bad = next((r for r in reply.replies if r.status != "done" or r.exit_status != 0), None)
    if bad:
        return Figure(WHAT, (), LIMIT, f"{bad.name}: {bad.status} {bad.output.strip()[-200:]}")
    return Figure(WHAT, tuple(r.seconds for r in tests[1:]), LIMIT)
