# SPDX-License-Identifier: GPL-2.0-or-later
"""Every fault in a real machine: the right outcome on the right step, all other steps unharmed, nothing lost.

Two lists of steps share their boots: one in a single machine that outlives its hangs, one that costs a machine with
almost every step. `docs/faults.md` names the test of each fault.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reviewbot.lab import run_job
from reviewbot.model.lab import Disk, GuestStep, JobReply, StepReply
from reviewbot.model.progress import Event
from reviewbot.model.results import Outcome
from reviewbot.model.shard import Need, Shard
from reviewbot.model.stack import LegSpec
from reviewbot.runner.schedule import run_all
from reviewbot.runner.shard_run import ShardRun
from reviewbot.store import Store
from reviewbot.suites.outcome import Judgement, by_status
from tests.faults import fault
from tests.machines import TCG, Images, processes, shell

pytestmark = pytest.mark.vm
DEAF = (Path(__file__).with_name("deaf_fuse.py")).read_text()
SOON = 0.2
"""A limit, in seconds on a machine of slow factor 1: a few here."""
STILL = 3.0
"""Seconds for which nothing may move."""
CLEAN = (
    "ls /sys/fs/fuse/connections; grep -E ' (fuse[.]|ext4 .*/mnt)' /proc/mounts; "
    "ps -eo comm= | grep -xE 'sleep|cat|fuse2fs|python3'; echo end"
)
"""Says what is left of earlier steps, and then `end`."""
DISKS = (Disk(serial="TEST_DEV", size=64 << 20),)


def deaf_server(name: str) -> GuestStep:
    """A step that leaves a deaf server behind, mounted on /tmp/deaf."""
    script = 'mkdir -p /tmp/deaf; setsid python3 -S -c "$DEAF" /tmp/deaf >/dev/null 2>&1 & '
    script += "until grep -q fuse.deaf /proc/mounts; do sleep 0.05; done"
    return GuestStep(name=name, argv=("/bin/sh", "-c", script), env={"DEAF": DEAF}, timeout=20)


TEST_DEV = "/dev/disk/by-serial/TEST_DEV"
UMOUNT = f"umount {TEST_DEV}"
MOUNT = f"mkdir -p /mnt/test; mount -t fuse.ext4 {TEST_DEV} /mnt/test"
STUBBORN = "trap '' TERM INT HUP; while :; do sleep 1000; done"
FREEZE = f"mke2fs -q -t ext4 {TEST_DEV} && mount {TEST_DEV} /mnt/test"
FROZEN_AGENT = "mkdir /sys/fs/cgroup/x; echo 1 > /sys/fs/cgroup/x/cgroup.procs; echo 1 > /sys/fs/cgroup/x/cgroup.freeze"
DEAD_AGENT = """
import ctypes, os
ptrace = ctypes.CDLL(None).ptrace
ptrace.argtypes = [ctypes.c_long] * 4
ptrace(16, 1, 0, 0)  # PTRACE_ATTACH
os.waitpid(1, 0x40000000)  # __WALL
ptrace(6, 1, 16 * 8, 0)  # PTRACE_POKEUSER: its next instruction is at address 0
ptrace(17, 1, 0, 0)  # PTRACE_DETACH
"""
LOUD = """
import os
for _ in range(1000):
    os.write(1, b"x" * 1000000)
os.write(1, b"the \\377\\033[31mend")
"""


@dataclass
class Told:
    """What became of a list of steps."""

    replies: dict[str, StepReply]
    folder: Path
    machines: list[JobReply] = field(default_factory=list)
    times: dict[str, float] = field(default_factory=dict)
    """When each step began, was found to hang (`NAME hangs`) or had its answer (`NAME answered`)."""

    def judged(self, name: str) -> Judgement:
        """Outcome and reason of a step, as of our own guest programs."""
        return by_status(self.replies[name]) or Judgement(Outcome.MISS)

    def outcome(self, name: str) -> Outcome:
        return self.judged(name).outcome

    def file(self, step: str, name: str) -> str:
        return (self.folder / step / name).read_text()


@pytest.fixture(scope="module")
def one_machine(machine_images: Images, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Steps that hang, and after each one that looks at what is left, all in one machine; the last one ends it."""
    folder = tmp_path_factory.mktemp("one")
    job = machine_images.job(
        deaf_server("deaf-start"), shell("deaf", "cat /tmp/deaf/file", timeout=SOON), shell("deaf-after", CLEAN),
        shell("asleep", "sleep 20; echo awake", timeout=100).model_copy(update={"still": STILL}),
        deaf_server("still-start"),
        shell("still", "cat /tmp/deaf/file", timeout=100).model_copy(update={"still": STILL}),
        shell("still-after", CLEAN),
        deaf_server("blocked-start"),
        shell("blocked", "cat /tmp/deaf/file & sleep 0.3; kill -9 $!; wait $!; echo over", timeout=2 * SOON),
        shell("blocked-after", CLEAN),
        shell("stopped-start", f"echo fuse2fs > /run/reviewbot/server; mke2fs -q -t ext4 {TEST_DEV}; "
              f"{MOUNT} && echo kept > /mnt/test/before && sync", timeout=60),
        shell("stopped", "kill -STOP $(cat /run/reviewbot/servers/*.pid); cat /mnt/test/before; ls /mnt/test",
              timeout=SOON),
        shell("stopped-after", CLEAN),
        shell("stopped-again", f"e2fsck -fy {TEST_DEV} >/dev/null 2>&1; {MOUNT}; cat /mnt/test/before; {UMOUNT}",
              timeout=60),
        shell("stubborn", f'setsid sh -c "{STUBBORN}" & {STUBBORN}', timeout=SOON), shell("stubborn-after", CLEAN),
        shell("signals", "kill -9 1; kill -STOP 1; sleep 0.5; echo sent"), shell("signals-after", CLEAN),
        GuestStep(name="loud", argv=("python3", "-S", "-c", LOUD), timeout=100),
        shell("loud-after", CLEAN),
        shell("restart", "echo b > /proc/sysrq-trigger; sleep 100", timeout=100), shell("never", "true"),
        name="one", disks=DISKS,
    )  # fmt: skip
    times: dict[str, float] = {}

    def note(event: Event) -> None:
        times[event.text] = time.monotonic()

    def answered(reply: StepReply) -> None:
        times[f"{reply.name} answered"] = time.monotonic()

    reply = run_job(job, TCG, folder, on_reply=answered, progress=note)
    assert [step.name for step in reply.replies] == [step.name for step in job.steps], "in order, each once"
    return Told({step.name: step for step in reply.replies}, folder, [reply], times)


@pytest.fixture(scope="module")
def many_machines(machine_images: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """Steps that cost their machine, and between them some that do not; the suite goes on in another each time."""
    folder = tmp_path_factory.mktemp("many")
    steps = (
        shell("setup/leg", "true", gate=True),
        shell("fstests/frozen-start", f"{FREEZE} && fsfreeze -f /mnt/test", timeout=60),
        shell("fstests/frozen", "echo > /mnt/test/a", timeout=SOON),
        shell("fstests/b", "echo fine"),
        shell("fstests/silent", f"{FROZEN_AGENT}; sleep 100", timeout=100),
        shell("fstests/c", "echo fine"),
        GuestStep(name="fstests/dead", argv=("python3", "-S", "-c", DEAD_AGENT), timeout=20),
        shell("fstests/d", "echo fine > /kept", collect=["/kept"]),
        shell("fstests/shot", "sleep 100", timeout=100),
        shell("fstests/e", "echo fine"),
    )
    leg = LegSpec(name=f"many{os.getpid()}", why="", needs=(), fstyp="ext4")
    needs = (Need(kind="kernel", key="k"), Need(kind="guest", key="g"), Need(kind="payload", key="p"))
    shard = Shard(
        run="run",
        leg=leg,
        suite="fstests",
        steps=steps,
        needs=needs,
        release=machine_images.release,
        disks=DISKS,
        memory=512,
        cpus=1,
    )
    images = {"kernel": machine_images.kernel, "guest": machine_images.root, "payload": machine_images.payload}
    told = Told({}, folder)

    def watch(event: Event) -> None:
        told.times.setdefault(event.text, time.monotonic())
        if event.text == "shot":
            for pid in processes(f"-name {leg.name}-fstests"):
                with contextlib.suppress(ProcessLookupError):  # its box may end with it
                    os.kill(pid, signal.SIGKILL)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reviewbot.lab.machine_run.SILENCE", 12.0)
        running = ShardRun(shard, images, TCG, folder, watch, threading.Event(), store=Store(folder / "cache"))
        run_all([running], 1, lambda job: [], threading.Event())
    result = running.result()
    assert (result.problem, result.losses) == ("", 4)
    assert [machine.hello["start"] for machine in result.machines] == ["restored"] * 5
    told.replies = {reply.name: reply for reply in result.replies}
    yield told


def left(told: Told, step: str) -> str:
    """What a step that looks at it found of those before."""
    return told.replies[step].output


@fault(
    "a FUSE server that never answers",
    collected="stacks, requests waiting, server's state",
    outcome="HANG",
    machine="goes on",
)
def test_a_server_that_never_answers(one_machine: Told) -> None:
    judged, reply = one_machine.judged("deaf"), one_machine.replies["deaf"]
    assert judged.outcome is Outcome.HANG
    assert "exited when its fuse connections were aborted; fuse connection " in judged.reason
    assert "(deaf on /tmp/deaf): requests waiting: " in judged.reason
    assert "server python3 pid " in reply.hang and "waiting cat pid " in reply.hang
    assert "request_wait_answer" in one_machine.file("deaf", "hang/tasks.txt")
    assert "deaf on /tmp/deaf" in one_machine.file("deaf", "hang/connections.txt")
    assert any((one_machine.folder / "deaf" / "hang").glob("server-*.status"))
    assert left(one_machine, "deaf-after") == "end\n"


@fault(
    "a test that waits for a server that waits, too",
    collected="the same, long before its limit",
    outcome="HANG",
    machine="goes on",
)
def test_what_stands_still_and_waits_is_not_waited_for_until_its_limit(one_machine: Told) -> None:
    judged, reply = one_machine.judged("still"), one_machine.replies["still"]
    assert judged.outcome is Outcome.HANG and reply.seconds < 100 < reply.limit
    assert judged.reason.startswith("no progress for ") and "(deaf on /tmp/deaf): requests waiting: 1" in judged.reason
    assert left(one_machine, "still-after") == "end\n"
    assert one_machine.outcome("asleep") is Outcome.PASS, "who only sleeps waits for nobody"


@fault(
    "a killed task that waits for a FUSE server, uninterruptibly",
    collected="its stack",
    outcome="HANG",
    machine="goes on",
)
def test_a_task_that_nothing_but_the_abort_ends(one_machine: Told) -> None:
    reply = one_machine.replies["blocked"]
    assert one_machine.outcome("blocked") is Outcome.HANG
    assert "blocked cat pid " in reply.hang and "request_wait_answer" in reply.hang
    assert reply.output.endswith("over\n"), "it went on by itself"
    assert "Show Blocked State" in reply.dmesg
    assert left(one_machine, "blocked-after") == "end\n"


@fault(
    "a server stopped (SIGSTOP) in mid-test",
    collected="its threads' state, its log",
    outcome="HANG",
    machine="goes on, the disk can be mounted again",
)
def test_a_server_that_is_stopped_in_mid_test(one_machine: Told) -> None:
    assert one_machine.outcome("stopped-start") is Outcome.PASS, one_machine.replies["stopped-start"].output
    assert one_machine.outcome("stopped") is Outcome.HANG
    assert ": state T, in do_signal_stop" in one_machine.replies["stopped"].hang
    assert "fuse2fs -f" in one_machine.file("stopped", "hang/server.log")
    assert left(one_machine, "stopped-after") == "end\n"
    again = one_machine.replies["stopped-again"]
    assert (again.exit_status, again.output) == (0, "kept\n"), "the disk is free and can be mounted again"


@fault(
    "a test that ignores SIGTERM, with children in other sessions",
    collected="stacks",
    outcome="HANG",
    machine="goes on, no process is left",
)
def test_a_step_that_no_signal_but_sigkill_ends_in_two_sessions(one_machine: Told) -> None:
    judged = one_machine.judged("stubborn")
    assert judged.outcome is Outcome.HANG and "; was sent SIGKILL; waiting sleep pid " in judged.reason
    assert left(one_machine, "stubborn-after") == "end\n"


@fault(
    "SIGKILL and SIGSTOP to the agent",
    collected="nothing: the kernel spares PID 1",
    outcome="its own",
    machine="goes on",
)
def test_signals_to_the_agent_change_nothing(one_machine: Told) -> None:
    assert one_machine.replies["signals"].output.endswith("sent\n")
    assert one_machine.outcome("signals") is Outcome.PASS
    assert left(one_machine, "signals-after") == "end\n"


@fault("a test that prints a gigabyte", collected="its last 64 KiB", outcome="its own", machine="goes on")
def test_a_gigabyte_of_output_keeps_its_tail_only(one_machine: Told) -> None:
    loud = one_machine.replies["loud"]
    assert loud.status == "done" and len(loud.output) <= 64 << 10
    assert loud.output.endswith("xxxthe \N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}[31mend")
    assert left(one_machine, "loud-after") == "end\n"


@fault("a test that restarts the guest", collected="QEMU's reason", outcome="CRASH", machine="is replaced")
def test_a_guest_that_restarts_without_a_word(one_machine: Told) -> None:
    judged = one_machine.judged("restart")
    assert judged == Judgement(
        Outcome.CRASH, "reboot: the guest rebooted or powered off without a message (guest-reset)"
    ), judged
    assert one_machine.outcome("never") is Outcome.MISS
    assert not one_machine.machines[0].complete


@fault("a task that neither abort nor SIGKILL ends", collected="its stack", outcome="HANG", machine="is replaced")
def test_a_task_that_nothing_ends_costs_the_machine_only(many_machines: Told) -> None:
    judged, reply = many_machines.judged("fstests/frozen"), many_machines.replies["fstests/frozen"]
    assert judged.outcome is Outcome.HANG
    assert "the machine was abandoned: sh pid " in judged.reason and "cannot be killed: state D" in judged.reason
    assert "blocked sh pid " in reply.hang
    assert many_machines.replies["fstests/b"].output == "fine\n"


@fault("an agent that falls silent", collected="registers, all stacks", outcome="HANG", machine="is replaced")
def test_an_agent_that_falls_silent_is_looked_at_from_outside(many_machines: Told) -> None:
    judged = many_machines.judged("fstests/silent")
    assert (
        judged.outcome is Outcome.HANG
        and "silence during fstests/silent within 12 s; QEMU reports: running" in judged.reason
    )
    assert "RIP=" in many_machines.file("fstests/silent", "machine.txt")
    for said in ("Show Blocked State", "Show backtrace of all active CPUs", "Show State", "task:agent.py"):
        assert said in many_machines.file("fstests/silent", "dmesg.txt"), said
    assert many_machines.replies["fstests/c"].output == "fine\n"


@fault("an agent that dies", collected="the kernel's panic", outcome="CRASH", machine="is replaced")
def test_an_agent_that_dies_takes_the_kernel_with_it_and_one_step(many_machines: Told) -> None:
    judged = many_machines.judged("fstests/dead")
    assert judged.outcome is Outcome.CRASH and "Attempted to kill init" in judged.reason
    assert many_machines.replies["fstests/d"].output == ""
    assert many_machines.file("fstests/d", "kept") == "fine\n"


@fault("QEMU killed", collected="what the results disk holds", outcome="INFRA", machine="is replaced")
def test_qemu_killed_from_outside_costs_one_step(many_machines: Told) -> None:
    assert many_machines.outcome("fstests/shot") is Outcome.INFRA
    assert many_machines.replies["fstests/e"].output == "fine\n"
    assert {reply.status for reply in many_machines.replies.values()} == {"done", "timeout", "crash", "lost"}
