# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults that a machine outlives, one after the other in one machine, with a step after each that finds nothing of it.

The last one ends it. `docs/faults.md` is made of the decorators.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest

from reviewbot.lab import run_job
from reviewbot.model.lab import Disk, GuestStep, JobReply, StepReply
from reviewbot.model.results import Outcome
from reviewbot.suites.outcome import Judgement, by_status
from tests.faults import fault
from tests.machines import TCG, Images, shell

pytestmark = pytest.mark.vm
HERE = Path(__file__).parent
LIAR = (HERE / "liar.py").read_text()
REPORT = (HERE.parent / "golden" / "servers" / "asan-use-after-free.log").read_text()
DEV = "/dev/disk/by-serial/TEST_DEV"
MOUNT = f"mount -t fuse.ext4 {DEV} /mnt/test"
SERVER = "$(cat /run/reviewbot/servers/*.pid)"
CGROUP = "/sys/fs/cgroup/small"
SMALL = f"mkdir {CGROUP}; echo +memory > /sys/fs/cgroup/cgroup.subtree_control; echo 1M > {CGROUP}/memory.max"
HUNGRY = f"echo {SERVER} > {CGROUP}/cgroup.procs; dd if=/dev/zero of=/mnt/test/big bs=1M count=16 conv=fsync 2>&1"
LATE = "supervisor=$(cat /run/reviewbot/servers/*.supervisor); kill -STOP $supervisor; "
LATE += f"(sleep 5; kill -CONT $supervisor) >/dev/null 2>&1 & kill -KILL {SERVER}; cat /mnt/test/kept"
"""A server dies, and on this machine it takes long until its parent can say so."""
AGAIN = f"umount /mnt/test 2>&1; {MOUNT} && cat /mnt/test/kept; ls /core.* /results 2>&1; pgrep -x sleep; echo end"
"""The device can be mounted and has what was written; no core, no result and no process is left."""
NOTHING = "kept\nls: cannot access '/core.*': No such file or directory\n/results:\nend\n"
STUCK = "cd /proc/sys/kernel; echo 2 > hung_task_timeout_secs; fsfreeze -f /mnt/test; echo > /mnt/test/a & sleep 6; "
STUCK += "echo 600 > hung_task_timeout_secs; fsfreeze -u /mnt/test; wait; cat /mnt/test/a"
"""A task that waits for something uninterruptibly, for longer than the kernel is told to like, and then is well."""
FILL = "fallocate -l $(df --output=avail -B1 /results | tail -n 1) /results/full; cat /etc/passwd > /results/more"
SMALL_DISK = 2 << 20
"""Bytes of the results disk: less than one step leaves."""
MEMORY = 768


@dataclass(frozen=True, slots=True)
class Told:
    """What became of the steps."""

    job: JobReply
    folder: Path

    def step(self, name: str) -> StepReply:
        return next(reply for reply in self.job.replies if reply.name == name)

    def judged(self, name: str) -> Judgement:
        """As of our own guest programs."""
        return by_status(self.step(name))

    def unharmed(self, name: str) -> bool:
        """Whether the step after a fault found nothing of it, and has a result of its own."""
        after = self.step(f"{name}-after")
        assert after.output.endswith(NOTHING) and (after.death, after.splat) == (None, ""), after
        return self.judged(after.name).outcome is Outcome.PASS


@pytest.fixture(scope="module")
def told(machine_images: Images, tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("faults")
    job = machine_images.job(
        shell("start", f"echo fuse2fs > /run/reviewbot/server; mke2fs -q -t ext4 -O ^has_journal {DEV}; {MOUNT} && "
              f"echo kept > /mnt/test/kept && umount /mnt/test && {MOUNT}", timeout=60),
        shell("segv", f"kill -SEGV {SERVER}; cat /mnt/test/kept"), shell("segv-after", AGAIN),
        shell("oom", f"{SMALL}; {HUNGRY}"), shell("oom-after", AGAIN),
        shell("late", LATE), shell("late-after", AGAIN),
        GuestStep(name="reported", argv=("/bin/sh", "-c", 'echo "$REPORT" >> /run/reviewbot/server.log'),
                  env={"REPORT": REPORT, "LEG_SERVER": "fuse2fs"}, timeout=20), shell("reported-after", AGAIN),
        shell("orphans", "setsid sleep 1001 & kill -9 $$"), shell("orphans-after", AGAIN),
        shell("bytes", r"printf 'a\377\200b\000c\033[2J\n'; printf 'k\377\n' > /dev/kmsg"), shell("bytes-after", AGAIN),
        shell("full", FILL, timeout=60, collect=["/results/*"]), shell("full-after", AGAIN),
        shell("before", "echo kept > /results/kept", collect=["/results/kept"]),
        GuestStep(name="liar", argv=("python3", "-S", "-c", LIAR), timeout=60), shell("liar-after", AGAIN),
        shell("hung", f"umount /mnt/test; mke2fs -q -F -t ext4 {DEV}; mount {DEV} /mnt/test && {STUCK}", timeout=60),
        shell("hung-after", "umount /mnt/test; pgrep -c -x sh; echo end"),
        shell("knob", f"umount /mnt/test; mke2fs -q -F -t ext4 {DEV}; mount -o errors=panic {DEV} /mnt/test; "
              f"echo 1 > /sys/fs/ext4/$(basename $(realpath {DEV}))/trigger_fs_error; sleep 60", timeout=60),
        shell("never", "true"),
        name="faults", disks=(Disk(serial="TEST_DEV", size=64 << 20),),
    ).model_copy(update={"memory": MEMORY})  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reviewbot.lab.machine.RESULTS_BYTES", SMALL_DISK)
        reply = run_job(job, TCG, folder)
    assert [step.name for step in reply.replies] == [step.name for step in job.steps], "in order, each once"
    return Told(reply, folder)


@fault(
    "a server killed with SIGSEGV in mid-test",
    collected="its signal, backtrace and fingerprint, its log",
    outcome="CRASH",
    machine="goes on, the disk can be mounted again",
)
def test_a_server_that_dies_of_sigsegv_leaves_a_backtrace(told: Told) -> None:
    judged, death = told.judged("segv"), told.step("segv").death
    assert death and (death.server, death.signal, death.status, death.mounted) == ("fuse2fs", "SIGSEGV", 139, True)
    assert "fuse_session_loop_mt" in death.backtrace and "Program terminated with signal SIGSEGV" in death.backtrace
    assert judged.outcome is Outcome.CRASH
    assert judged.reason.startswith(f"fuse2fs (pid {death.pid}) was killed by SIGSEGV: {death.fingerprint}")
    assert "fuse_session_loop_mt" in death.fingerprint
    assert "== all threads" in (told.folder / f"segv/dead/{death.pid}.backtrace").read_text()
    assert told.unharmed("segv")


@fault(
    "a server that has no memory left",
    collected="who killed it, its log, the kernel's report",
    outcome="CRASH",
    machine="goes on, the disk can be mounted again",
)
def test_a_server_that_the_kernel_kills_for_lack_of_memory(told: Told) -> None:
    judged, reply = told.judged("oom"), told.step("oom")
    assert reply.death and (reply.death.signal, reply.death.by) == ("SIGKILL", "the kernel's OOM killer"), reply
    assert judged.outcome is Outcome.CRASH
    assert judged.reason.startswith("oom: ") and "was killed by SIGKILL from the kernel's OOM killer" in judged.reason
    assert "Memory cgroup out of memory" in reply.splat and reply.crash == "oom"
    assert told.unharmed("oom")


@fault(
    "a server that dies on a machine so crowded that its end is noted seconds later",
    collected="its signal, its log",
    outcome="CRASH",
    machine="goes on, the disk can be mounted again",
)
def test_a_death_belongs_to_its_step_however_late_it_is_noted(told: Told) -> None:
    judged, death = told.judged("late"), told.step("late").death
    assert death and (death.signal, death.mounted) == ("SIGKILL", True), told.step("late")
    assert judged.outcome is Outcome.CRASH
    assert told.unharmed("late")


@fault(
    "a server whose sanitiser reports a fault, in a test that passes",
    collected="the report, its class and fingerprint",
    outcome="CRASH",
    machine="goes on",
)
def test_a_sanitisers_report_makes_a_crash_of_a_test_that_passed(told: Told) -> None:
    judged = told.judged("reported")
    assert told.step("reported").exit_status == 0 and judged.outcome is Outcome.CRASH
    assert judged.reason.endswith("op_read:fuse_lib_read (asan: heap-use-after-free, READ)")
    assert (told.folder / "reported" / "server.log").read_text() == REPORT + "\n"
    assert told.unharmed("reported")


@fault(
    "a test killed by a signal, with children in other sessions",
    collected="its output so far",
    outcome="FAIL",
    machine="goes on, no process is left",
)
def test_a_killed_step_leaves_no_process_to_the_next(told: Told) -> None:
    assert told.judged("orphans") == Judgement(Outcome.FAIL, "killed by signal 9")
    assert told.unharmed("orphans")


@fault(
    "output that is no text: invalid UTF-8, NUL, terminal sequences",
    collected="the rest of it",
    outcome="its own",
    machine="goes on",
)
def test_bytes_that_are_no_text(told: Told) -> None:
    lost = "\N{REPLACEMENT CHARACTER}"
    assert told.step("bytes").output == f"a{lost}{lost}b{lost}c{lost}[2J\n"
    assert told.judged("bytes").outcome is Outcome.PASS
    assert told.unharmed("bytes")


@fault(
    "a test that fills /results, the guest's folder for its files",
    collected="the end of each file",
    outcome="its own",
    machine="goes on, with an empty folder",
)
def test_a_full_results_folder_is_empty_for_the_next(told: Told) -> None:
    full = told.step("full")
    assert full.exit_status != 0 and "No space left on device" in full.output
    assert (told.folder / "full" / "full").stat().st_size == 4 << 20
    assert told.unharmed("full")


@fault(
    "the results disk is full",
    collected="all files: they came through the port",
    outcome="its own",
    machine="goes on",
)
def test_a_full_results_disk_loses_nothing(told: Told) -> None:
    """It was full since the step before."""
    assert (told.folder / "before" / "kept").read_text() == "kept\n"
    assert told.judged("before").outcome is Outcome.PASS and not told.job.complete


@fault(
    "forged words on the agent's ports: wrong nonce, answers for other tests, twice, too long, no UTF-8",
    collected="how many were not believed",
    outcome="its own",
    machine="goes on",
)
def test_words_that_are_not_the_agents_change_nothing(told: Told) -> None:
    assert (told.step("liar").exit_status, told.step("liar").output) == (7, "told\n")
    assert "3 lines on the control port were not from the agent" in told.job.notes
    assert "the guest answered 3 requests that were not made, or twice" in told.job.notes
    assert told.unharmed("liar")


@fault(
    "forged files: of other tests, outside their folder, of the host's names, of impossible size",
    collected="the plain ones, under their own test",
    outcome="its own",
    machine="goes on",
)
def test_files_that_are_not_the_agents_stay_in_their_folder(told: Told) -> None:
    assert "the guest sent files that were refused" in told.job.notes
    assert (told.folder / "before" / "kept").read_text() == "kept\n"
    assert (told.folder / "liar" / "output.txt").read_text() == "told\n"
    assert not any((told.folder / name).exists() for name in ("no-such-step", "outside", "../outside"))
    assert {path.name for path in (told.folder / "liar").iterdir()} == {"own", "output.txt", "dmesg.txt"}


@fault(
    "a task that the kernel finds stuck, in a test that passes",
    collected="the kernel's report, the task's stack",
    outcome="CRASH",
    machine="goes on",
)
def test_a_hung_task_that_the_kernel_reports(told: Told) -> None:
    judged, reply = told.judged("hung"), told.step("hung")
    assert (judged.outcome, reply.crash, reply.exit_status) == (Outcome.CRASH, "hung-task", 0)
    assert reply.splat.startswith("INFO: task hung in ") and "blocked for more than 2 seconds" in reply.dmesg
    assert "percpu_rwsem_wait" in reply.dmesg and reply.fingerprint, reply.dmesg
    after = told.step("hung-after")
    assert (after.splat, after.output) == ("", "1\nend\n")


@fault(
    "a kernel's debug knob that panics (ext4's trigger_fs_error)",
    collected="the splat, its fingerprint",
    outcome="CRASH",
    machine="is replaced",
)
def test_a_kernel_that_panics_by_a_knob(told: Told) -> None:
    judged = told.judged("knob")
    assert judged.outcome is Outcome.CRASH and judged.reason.startswith("panic: "), judged
    assert "panic forced after error" in judged.reason
    assert told.judged("never").outcome is Outcome.MISS
