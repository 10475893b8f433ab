# SPDX-License-Identifier: GPL-2.0-or-later
"""What the agent measures of FUSE servers, and what the mount helpers see to, in a real machine."""

from collections.abc import Mapping, Sequence

import pytest

from reviewbot import suites
from reviewbot.config import load_stack
from reviewbot.lab import run_job
from reviewbot.model.figures import ServerFigures
from reviewbot.model.lab import GuestStep, StepReply
from tests.machines import TCG, Images

pytestmark = pytest.mark.vm
MOUNT = "mount -t fuse.ext4 -o $opts /dev/disk/by-serial/TEST_DEV /mnt/test"
KILL = "kill -9 $(cat /run/reviewbot/servers/*.pid)"
STAND_IN = r"""
cat >/usr/bin/lklfuse <<'X'
#!/bin/sh
words=$(echo "$5" | sed "s/,type=ext4//; s/,mb=[0-9]*//")
[ -e /run/falls-back ] || { fuse2fs -f "$2" "$3" -o "$words" && sleep 3; exit; }
mkdir /run/aside
fuse2fs -f "$2" /run/aside -o "$words" &
until grep -q ' /run/aside ' /proc/mounts; do sleep 0.05; done
mount -i -o remount,ro /run/aside && mount -i --move /run/aside "$3"
wait
X
chmod +x /usr/bin/lklfuse
echo lklfuse >/run/reviewbot/server
"""
"""A server that is slow to go, or mounts read-only without a word."""
STEPS = {
    "work": f"{MOUNT}; for n in 1 2 3 4 5 6 7; do echo $n >/mnt/test/$n; done; mkdir /mnt/test/d; umount /mnt/test",
    "idle": "true",
    "long": f"{MOUNT}; sleep 5; {KILL}; sleep 1; umount /mnt/test",
    "remount": f"{MOUNT}; mount -o remount,ro /mnt/test; ! touch /mnt/test/x; "
    "mount -o remount,rw /mnt/test; touch /mnt/test/y && grep ' /mnt/test fuse.ext4 rw' /proc/mounts; "
    "umount /mnt/test",
    "started-ro": f"opts=ro,$opts; {MOUNT}; ! touch /mnt/test/x; mount -o remount,rw /mnt/test; echo status $?; "
    "umount /mnt/test",
    "late": f"{STAND_IN} {MOUNT}; export REVIEWBOT_UMOUNT_LIMIT=1; umount /mnt/test; sleep 4",
    "falls-back": f": >/run/falls-back; {MOUNT}; echo status $?; ! grep ' /mnt/test ' /proc/mounts",
    "blind": "umount -l /sys/kernel/tracing; umount -l /sys/fs/cgroup",
}


@pytest.fixture(scope="module")
def replies(machine_images: Images, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, StepReply]:
    leg = load_stack().leg("fuse2fs")
    steps = [
        GuestStep(name=name, argv=("/bin/sh", "-c", f"opts={leg.mount_options}; {script}"), timeout=30, measure=True)
        for name, script in STEPS.items()
    ]
    job = machine_images.job(*suites.setup_steps(leg), *steps, disks=suites.disks(1))
    answers: Sequence[StepReply] = run_job(job, TCG, tmp_path_factory.mktemp("figures")).replies
    return {reply.name: reply for reply in answers}


def figures(replies: Mapping[str, StepReply], step: str) -> ServerFigures:
    found = replies[step].server
    assert found is not None, replies[step].output
    return found


def test_a_server_that_works_and_goes_is_measured(replies: Mapping[str, StepReply]) -> None:
    found = figures(replies, "work")
    assert (found.mounts, found.umounts, found.umounts_late, found.pss_samples > 0) == (1, 1, 0, True)
    assert found.cpu_seconds and found.pss_kib and found.pss_kib > 1000
    assert found.umount_seconds_max == found.umount_seconds_total is not None
    assert found.requests and (found.requests["INIT"], found.requests["MKDIR"]) == (1, 1)
    assert found.requests["WRITE"] == 7


def test_a_step_without_a_server_has_no_memory_and_no_requests(replies: Mapping[str, StepReply]) -> None:
    assert figures(replies, "idle") == ServerFigures(cpu_seconds=0.0, requests={})


def test_one_that_is_killed_was_seen_while_it_lived(replies: Mapping[str, StepReply]) -> None:
    found = figures(replies, "long")
    assert (found.mounts, found.umounts, found.umount_seconds_max, found.pss_samples > 0) == (1, 0, None, True)
    assert found.cpu_seconds and found.pss_kib


def test_one_that_does_not_go_is_late_and_the_test_says_so(replies: Mapping[str, StepReply]) -> None:
    found = figures(replies, "late")
    assert (found.umounts, found.umounts_late, found.umount_seconds_max) == (1, 1, 1.0)
    assert "is still running 1 s after /mnt/test was unmounted" in replies["late"].output
    death = replies["late"].death
    assert death and death.hung and death.server == "lklfuse"


def test_read_write_is_what_was_asked_for_or_nothing(replies: Mapping[str, StepReply]) -> None:
    assert replies["remount"].exit_status == 0 and " rw" in replies["remount"].output
    assert "read-only since it was mounted" in replies["started-ro"].output
    assert "status 32" in replies["started-ro"].output
    assert "read-only although rw was asked for" in replies["falls-back"].output
    assert "status 32" in replies["falls-back"].output and replies["falls-back"].exit_status == 0


def test_what_cannot_be_measured_is_unknown(replies: Mapping[str, StepReply]) -> None:
    assert figures(replies, "blind") == ServerFigures()
