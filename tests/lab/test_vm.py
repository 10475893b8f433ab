# SPDX-License-Identifier: GPL-2.0-or-later
"""Jobs in real machines, and everything that may go wrong with one."""

import os
import signal
from pathlib import Path

import pytest

from reviewbot.lab import run_job
from reviewbot.model.errors import DiskFull
from reviewbot.model.lab import Disk, GuestJob, GuestStep, JobReply, StepReply
from reviewbot.model.progress import Event
from tests.faults import fault
from tests.machines import TCG, Images, processes, shell

pytestmark = pytest.mark.vm


@pytest.fixture(scope="module")
def told(machine_images: Images, tmp_path_factory: pytest.TempPathFactory) -> tuple[GuestJob, JobReply, Path]:
    """Steps that share a machine, the last of which switches it off."""
    folder = tmp_path_factory.mktemp("vm")
    outside = folder / "outside"
    outside.write_text("untouched")
    tricks = f"mkdir /r2; ln -s {outside} /r2/link; mkfifo /r2/fifo; echo ok > /r2/plain; echo x > '/r2/a b\\n..c'"
    job = machine_images.job(
        shell("a/ok", "uname -r; echo to stderr >&2; mkdir -p /r/sub; echo kept > /r/sub/file", collect=["/r"]),
        shell("a/fails", "exit 3"),
        GuestStep(name="a/nothing", argv=("no-such-program",), timeout=5),
        shell("a/disk", "cd /dev/disk/by-serial && blockdev --getsize64 MINE"),
        shell("a/kmsg", "echo hello from the test > /dev/kmsg"),
        shell("a/loud", "echo '<3>mine' > /dev/kmsg; mkdir /m; ! mount -t ext4 /dev/disk/by-serial/MINE /m"),
        shell("a/signals", "yes | head -n 1; ulimit -f 8; dd if=/dev/zero of=/big bs=1M count=1; echo $?"),
        shell("a/mapper", "dmsetup create one --table '0 8 zero'; ls /dev/mapper; dmsetup remove one; ls /dev/mapper"),
        shell("a/killed", "kill -9 $$"),
        shell("slow", "sleep 1001 & sleep 1002", timeout=1.0),
        shell("after", "pgrep -c -x sleep; echo left"),
        shell("tricks", tricks, collect=["/r2"]),
        shell("off", "echo o > /proc/sysrq-trigger; sleep 60", timeout=60),
        disks=[Disk(serial="MINE", size=64 << 20)],
    )
    return job, run_job(job, TCG, folder / "logs"), folder


def test_each_step_has_its_status_output_and_files(
    machine_images: Images, told: tuple[GuestJob, JobReply, Path]
) -> None:
    job, reply, folder = told
    assert reply.hello["kernel_release"] == machine_images.release
    assert 0 < reply.agent_seconds <= reply.seconds
    steps = {step.name: step for step in reply.replies}
    assert [step.name for step in reply.replies] == [step.name for step in job.steps], "in order, each once"
    assert {step.status for step in reply.replies if step.name.startswith("a/")} == {"done"}
    assert steps["a/ok"].output == f"{machine_images.release}\nto stderr\n"
    assert steps["a/ok"].exit_status == 0
    assert steps["a/fails"].exit_status == 3
    assert steps["a/killed"].exit_status == -9
    assert steps["a/nothing"].exit_status == 127 and "no-such-program" in steps["a/nothing"].output
    assert steps["a/disk"].output.strip() == str(64 << 20)
    assert "hello from the test" in steps["a/kmsg"].dmesg
    assert "hello from the test" not in steps["a/disk"].dmesg
    assert "<3>EXT4-fs (" in steps["a/loud"].loud, "the kernel's own word, of level error"
    assert "mine" not in steps["a/loud"].loud, "a program's"
    files = Path(steps["a/ok"].files)
    assert [p.read_text() for p in files.rglob("file")] == ["kept\n"]
    assert (folder / "logs" / "test" / "qemu.cmd").read_text().startswith("qemu-system-x86_64 ")
    assert not (folder / "logs" / "test" / "disks").exists(), "nothing heavy stays behind"


@fault(
    "a guest that fills the host's disk",
    collected="what came before",
    outcome="none: the run ends and says so",
    machine="is ended",
)
def test_a_guest_that_fills_the_hosts_disk_is_the_hosts_fault_and_no_hang(
    machine_images: Images, small_disk: Path
) -> None:
    job = machine_images.job(
        shell("fill", "dd if=/dev/urandom of=/dev/disk/by-serial/MINE bs=1M count=16 conv=fsync", timeout=100),
        disks=[Disk(serial="MINE", size=64 << 20)],
    )
    with pytest.raises(DiskFull, match=str(small_disk)):
        run_job(job, TCG, small_disk)
    assert not processes(str(small_disk)) and not (small_disk / "test" / "disks").exists()


def test_a_step_has_the_usual_signals(told: tuple[GuestJob, JobReply, Path]) -> None:
    """The agent is a Python program, which ignores SIGPIPE and SIGXFSZ."""
    _, reply, _ = told
    (signals,) = (step for step in reply.replies if step.name == "a/signals")
    assert "Broken pipe" not in signals.output
    assert signals.output.splitlines()[-1] == str(128 + signal.SIGXFSZ)


def test_devices_of_the_device_mapper_have_their_names_and_lose_them(told: tuple[GuestJob, JobReply, Path]) -> None:
    """There is no udev, which would make the links."""
    _, reply, _ = told
    (mapper,) = (step for step in reply.replies if step.name == "a/mapper")
    assert mapper.output.split() == ["control", "one", "control"]


def test_a_step_that_outlives_its_limit_is_killed_with_its_children(told: tuple[GuestJob, JobReply, Path]) -> None:
    steps = {step.name: step for step in told[1].replies}
    assert steps["slow"].status == "timeout"
    assert steps["after"].status == "done" and steps["after"].output == "0\nleft\n"


@fault(
    "links, devices and odd names among the files of a test",
    collected="the plain files",
    outcome="its own",
    machine="goes on",
)
def test_what_the_guest_sends_stays_in_its_folder(told: tuple[GuestJob, JobReply, Path]) -> None:
    _, _, folder = told
    names = {p.name for p in (folder / "logs" / "tricks").rglob("*") if p.is_file()}
    assert "plain" in names and "link" not in names and "fifo" not in names
    assert (folder / "outside").read_text() == "untouched"
    assert not any(p.is_symlink() for p in (folder / "logs").rglob("*"))


@fault("a test that switches the guest off", collected="the kernel's words", outcome="CRASH", machine="is replaced")
def test_a_guest_that_powers_off_in_mid_step_says_so_and_is_no_fault_of_the_lab(
    told: tuple[GuestJob, JobReply, Path],
) -> None:
    off = told[1].replies[-1]
    assert (off.status, off.crash, off.splat) == ("crash", "reboot", "reboot: Power down")
    assert not told[1].complete


def test_a_gate_that_fails_ends_the_job_properly(machine_images: Images, tmp_path: Path) -> None:
    job = machine_images.job(shell("gate", "false", gate=True), shell("rest", "true"))
    last = shell("test/at-last", "echo c > /proc/sysrq-trigger; sleep 60", timeout=60)
    reply = run_job(job.model_copy(update={"last": last}), TCG, tmp_path)
    assert [step.status for step in reply.replies] == ["done", "skipped"]
    assert reply.complete, "nothing that counts is lost with what comes at last"
    assert len(reply.notes) == 1 and reply.notes[0].startswith("test/at-last was lost: ")


def test_a_machine_whose_kernel_no_longer_checks_itself_takes_no_other_step(
    machine_images: Images, tmp_path: Path
) -> None:
    large = "x = b'x' * (80 << 20); open('/run/large', 'w'); import time; time.sleep(600)"
    said = (
        f'rm -f /run/large; python3 -S -c "{large}" & until [ -e /run/large ]; do sleep 0.1; done; '
        "echo f > /proc/sysrq-trigger; wait; true"  # the kernel kills the largest process, and says so
    )
    job = machine_images.job(
        shell("gate", said, gate=True), shell("fine", "true"), shell("warned", said), shell("next", "true")
    ).model_copy(update={"renew": True})
    reply = run_job(job, TCG, tmp_path)
    assert [step.status for step in reply.replies] == ["crash", "done", "crash", "skipped"]
    assert reply.complete


def test_what_a_program_writes_into_the_kernels_log_is_no_splat(machine_images: Images, tmp_path: Path) -> None:
    said = "printf '<0>BUG: KASAN: use-after-free in f+0x1/0x2\\n' > /dev/kmsg; echo 'Oops: 0000 [#1] SMP' > /dev/kmsg"
    reply = run_job(machine_images.job(shell("says", said)), TCG, tmp_path)
    (says,) = reply.replies
    assert (says.status, says.splat) == ("done", "")
    assert "user: BUG: KASAN" in says.dmesg and "user: Oops" in says.dmesg


@fault("a kernel that crashes", collected="the splat, its fingerprint", outcome="CRASH", machine="is replaced")
def test_a_kernel_crash_is_told_from_a_lost_machine(machine_images: Images, tmp_path: Path) -> None:
    job = machine_images.job(
        shell("before", "echo done > /kept", collect=["/kept"]),
        shell("crash", "echo c > /proc/sysrq-trigger; sleep 60", timeout=60),
        shell("never", "true"),
    ).model_copy(update={"last": shell("test/at-last", "true")})
    reply = run_job(job, TCG, tmp_path)
    assert not reply.complete and reply.problem
    assert reply.notes == ("test/at-last was lost with the machine",)
    before, crash, never = reply.replies
    assert before.exit_status == 0
    assert [p.read_text() for p in Path(before.files).rglob("kept")] == ["done\n"]
    assert crash.status == "crash"
    assert (crash.crash, crash.splat) == ("panic", "kernel panic: sysrq triggered crash")
    assert crash.fingerprint.startswith("sysrq_handle_crash:__handle_sysrq:write_sysrq_trigger:"), crash.splat_text
    assert never.status == "skipped"


def test_qemu_killed_from_outside_loses_one_step_only(machine_images: Images, tmp_path: Path) -> None:
    heard: list[StepReply] = []
    job = machine_images.job(
        shell("before", "echo done > /kept", collect=["/kept"]),
        shell("during", "sleep 100", timeout=100),
        shell("never", "true"),
        name=f"victim{os.getpid()}",
    )

    def shoot(event: Event) -> None:
        if event.text == "during":
            for pid in processes(f"-name {job.name} "):
                os.kill(pid, signal.SIGKILL)

    reply = run_job(job, TCG, tmp_path, on_reply=heard.append, progress=shoot)
    assert [step.status for step in reply.replies] == ["done", "lost", "skipped"]
    assert "QEMU" in reply.problem or "machine disappeared" in reply.problem
    assert [*Path(reply.replies[0].files).rglob("kept")], "what came before is not lost"
    assert [step.name for step in heard][:2] == ["before", "during"]


def test_another_kernel_than_was_built_is_refused(machine_images: Images, tmp_path: Path) -> None:
    reply = run_job(machine_images.job(shell("a", "true"), release="6.99-other"), TCG, tmp_path)
    assert f"runs kernel {machine_images.release}, not 6.99-other" in reply.problem
    assert [step.status for step in reply.replies] == ["skipped"]


def test_a_kernel_that_does_not_boot(machine_images: Images, tmp_path: Path) -> None:
    nonsense = tmp_path / "bzImage"
    nonsense.write_bytes(b"no kernel" * 1000)
    job = machine_images.job(shell("a", "true")).model_copy(update={"kernel": str(nonsense)})
    reply = run_job(job, TCG, tmp_path / "logs")
    assert "QEMU exited" in reply.problem
    assert [step.status for step in reply.replies] == ["skipped"]


def test_a_root_that_is_no_filesystem_is_lost_quickly(machine_images: Images, tmp_path: Path) -> None:
    root = tmp_path / "root.img"
    root.write_bytes(bytes(1 << 20))
    job = machine_images.job(shell("a", "true")).model_copy(update={"root": str(root)})
    reply = run_job(job, TCG, tmp_path / "logs")
    assert reply.problem and not reply.complete
    assert "Unable to mount root fs" in (tmp_path / "logs" / "test" / "serial.log").read_text(errors="replace")
