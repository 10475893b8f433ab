# SPDX-License-Identifier: GPL-2.0-or-later
"""The smoke suite in real machines: what is broken on purpose fails. That what works passes is seen in the demo."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from reviewbot import suites
from reviewbot.config import load_stack
from reviewbot.lab import run_job
from reviewbot.model.lab import GuestStep, StepReply
from reviewbot.model.results import Outcome, TestResult
from reviewbot.model.stack import LegSpec
from reviewbot.suites import smoke
from tests.faults import fault
from tests.machines import TCG, Images

pytestmark = pytest.mark.vm


def boot(machine_images: Images, leg: LegSpec, steps: Sequence[GuestStep], folder: Path) -> tuple[StepReply, ...]:
    job = machine_images.job(*suites.setup_steps(leg), *steps, name=leg.name, disks=suites.disks(1))
    replies = run_job(job, TCG, folder).replies
    setup = suites.read_setup(replies)
    if "is not on PATH" in setup.reason:
        pytest.skip(setup.reason)
    assert setup.ok, setup.reason
    return replies


def by_name(leg: LegSpec, replies: Sequence[StepReply]) -> dict[str, TestResult]:
    return {result.test: result for result in smoke.results(leg, replies)}


def between(leg: LegSpec, after: str, script: str) -> list[GuestStep]:
    """The suite up to the check `after`, then a script that breaks something, then the rest."""
    steps = list(smoke.steps(leg))
    place = 1 + [step.name for step in steps].index(f"smoke/{after}")
    return [*steps[:place], GuestStep(name="break", argv=("/bin/sh", "-ec", script), timeout=20), *steps[place:]]


def test_a_corrupted_inode_table_fails_fsck_and_nothing_before(machine_images: Images, tmp_path: Path) -> None:
    leg = load_stack().leg("ext4")
    script = "umount /mnt/test; debugfs -w -R 'clri /links' /dev/disk/by-serial/TEST_DEV"
    needed = ("smoke/mkfs", "smoke/mount", "smoke/links", "smoke/remount", "break", "smoke/fsck")
    steps = [step for step in between(leg, "remount", script) if step.name in needed]
    results = by_name(leg, boot(machine_images, leg, steps, tmp_path))
    assert results["remount"].outcome is Outcome.PASS
    assert results["fsck"].outcome is Outcome.FAIL
    assert "e2fsck -fn ended with status 4" in results["fsck"].reason


@fault("a server killed in mid-test", collected="its signal, its log", outcome="CRASH", machine="goes on")
def test_a_server_that_dies_is_a_crash_and_the_next_check_has_a_new_one(machine_images: Images, tmp_path: Path) -> None:
    leg = load_stack().leg("fuse2fs")
    script = "(until pgrep -x fio; do sleep 0.1; done; kill -9 $(cat /run/reviewbot/servers/*.pid)) >/dev/null 2>&1 & :"
    slow = GuestStep(
        name="smoke/fio",
        timeout=60,
        env=dict(suites.setup.leg_env(leg)),
        argv=(
            "/bin/sh",
            "-c",
            'sed "s/--size=1m/--size=64m/" /stack/suites/smoke/load.py >/tmp/load.py; '
            "mkdir -p /tmp/s/smoke; cp /stack/suites/*.py /tmp/s; cp /stack/suites/smoke/*.py /tmp/s/smoke; "
            "cp /tmp/load.py /tmp/s/smoke; exec python3 -S /tmp/s/run.py smoke fio",
        ),
    )
    needed = ("smoke/mkfs", "smoke/mount", "smoke/costs", "break", "smoke/fio", "smoke/stress")
    steps = [
        slow if step.name == "smoke/fio" else step for step in between(leg, "costs", script) if step.name in needed
    ]
    results = by_name(leg, boot(machine_images, leg, steps, tmp_path))
    assert results["fio"].outcome is Outcome.CRASH
    assert " was killed by SIGKILL" in results["fio"].reason
    assert results["fio"].death and results["fio"].death.mounted and not results["fio"].death.backtrace
    assert results["stress"].outcome is Outcome.PASS
