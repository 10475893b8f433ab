# SPDX-License-Identifier: GPL-2.0-or-later
"""Real machines that begin where another stood: what they share, what each has for itself, and when they cannot."""

import shutil
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reviewbot.config import load_stack
from reviewbot.lab import run_job, starts_here
from reviewbot.lab.ports import greeting
from reviewbot.lab.snapshot.saved import KIND, inputs_of
from reviewbot.lab.snapshot.saving import DEVICES, facts_of, save
from reviewbot.lab.wires import Wires, wired
from reviewbot.model.lab import JobReply
from reviewbot.model.results import Outcome
from reviewbot.store import Store
from reviewbot.store.artifacts import write_record
from reviewbot.suites import disks, read_setup, setup_steps, smoke
from tests.faults import fault
from tests.machines import TCG, Images, shell

pytestmark = pytest.mark.vm
DISKS = disks(1)
RANDOM = {
    "uuidgen": "uuidgen", "urandom": "od -An -tx1 -N16 /dev/urandom", "kernel": "cat /proc/sys/kernel/random/uuid",
    "python": 'python3 -c "import os, random; print(os.getrandom(16).hex(), random.random())"',
    "mke2fs": "mke2fs -q -t ext4 /dev/disk/by-serial/TEST_DEV && "
              "dumpe2fs -h /dev/disk/by-serial/TEST_DEV 2>/dev/null | grep -E 'UUID|Hash Seed'",
}  # fmt: skip
DAYS = 3 * 86400
BOOT = "[    0.000000]"
"""What the kernel says of mitigations that it was built without."""


@dataclass
class Copies:
    """Machines that began from one."""

    store: Store
    folder: Path
    replies: list[JobReply] = field(default_factory=list)

    def said(self, step: str) -> list[str]:
        return [{r.name: r.output for r in reply.replies}[step] for reply in self.replies]

    def logs(self, number: int, name: str) -> str:
        return (self.folder / str(number) / f"copy{number}" / name).read_text(errors="replace")


@pytest.fixture(scope="module")
def copies(machine_images: Images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copies]:
    """Two at once, in a store that has none yet; their host is three days later than the saved one's."""
    folder = tmp_path_factory.mktemp("copies")
    made = Copies(Store(folder / "cache"), folder)
    steps = [
        *(shell(name, script) for name, script in RANDOM.items()),
        shell("clock", "date +%s; cut -d. -f1 /proc/uptime"),
        shell("boot", "dmesg | grep -c 'Linux version'"),
        shell("write", "echo mine > /mine; ls /mine"),
        shell("files", "mkdir /r; echo kept > /r/file", collect=["/r"]),
    ]

    def start(number: int) -> JobReply:
        job = machine_images.job(*steps, name=f"copy{number}", disks=DISKS)
        return run_job(job, TCG, folder / str(number), store=made.store)

    def later(nonce: str) -> dict[str, object]:
        return {**greeting(nonce), "now": time.time() + DAYS}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reviewbot.lab.machine_run.greeting", later)
        with ThreadPoolExecutor(2) as pool:
            made.replies = list(pool.map(start, (0, 1)))
    yield made
    shutil.rmtree(folder / "cache")


def test_one_machine_is_saved_and_both_begin_there(copies: Copies) -> None:
    assert [(r.restored, r.complete, r.problem, r.notes) for r in copies.replies] == [(True, True, "", ())] * 2
    assert {step.status for reply in copies.replies for step in reply.replies} == {"done"}
    (saved,) = copies.store.of(KIND)
    assert sorted(p.name for p in Path(saved.path).iterdir()) == [
        "artifact.json",
        "console.log",
        "devices",
        "memory",
        "qemu.log",
        "serial.log",
    ]
    assert (Path(saved.path) / "memory").stat().st_blocks * 512 < 512 << 20, "sparse"
    (starts,) = starts_here(copies.store.root).values()
    assert (len(starts.booted), len(starts.restored)) == (1, 2)


@pytest.mark.parametrize("source", RANDOM)
def test_no_two_draw_the_same_random_numbers(copies: Copies, source: str) -> None:
    first, second = (set(said.split("\n")) - {""} for said in copies.said(source))
    assert first and second and not first & second


def test_each_has_the_hosts_time_and_the_guests_own_clock_goes_on(copies: Copies) -> None:
    for said in copies.said("clock"):
        date, uptime = map(int, said.split())
        assert abs(date - time.time() - DAYS) < 3600
        assert uptime < 3600
    assert all(reply.replies[0].seconds < 3600 for reply in copies.replies)


def test_each_keeps_its_changes_to_itself(copies: Copies) -> None:
    assert copies.said("write") == ["/mine\n"] * 2
    for number in (0, 1):
        assert (copies.folder / str(number) / "files" / "r" / "file").read_text() == "kept\n"


def test_the_saved_boot_is_beside_each_ones_own_log(copies: Copies) -> None:
    assert copies.said("boot") == ["1\n"] * 2
    for number in (0, 1):
        assert BOOT in copies.logs(number, "boot-serial.log")
        assert BOOT not in copies.logs(number, "serial.log") + copies.logs(number, "console.log")
        assert "-incoming" not in copies.logs(number, "qemu.cmd"), "for who wants to boot such a machine"


def test_smoke_passes_in_a_restored_machine_as_in_a_booted_one(
    copies: Copies, machine_images: Images, tmp_path: Path
) -> None:
    leg = load_stack().leg("ext4")
    job = machine_images.job(*setup_steps(leg), *smoke.steps(leg, smoke.QUICK), name="smoke", disks=DISKS)
    job = job.model_copy(update={"last": shell("smoke/at-last", "mkdir /c; echo 7 > /c/x", collect=["/c"])})
    reply = run_job(job, TCG, tmp_path, store=copies.store)
    assert (reply.restored, reply.complete, reply.notes) == (True, True, ())
    assert read_setup(reply.replies).ok
    found = {
        result.test: (result.outcome, result.reason)
        for result in smoke.results(leg, reply.replies)
        if result.test in smoke.QUICK
    }
    assert {t: found[t] for t in found if found[t][0] not in (Outcome.PASS, Outcome.NOTRUN, Outcome.KNOWN)} == {}
    assert found["mount"][0] is found["fsck"][0] is Outcome.PASS
    assert (tmp_path / "smoke" / "at-last" / "c" / "x").read_text() == "7\n", "what is no step leaves its files"


@fault(
    "a saved machine that is damaged or does not come back",
    collected="a note in the leg",
    outcome="its own",
    machine="is booted",
)
def test_one_that_cannot_be_restored_is_dropped_and_the_job_is_done_all_the_same(
    copies: Copies, machine_images: Images, tmp_path: Path
) -> None:
    (saved,) = copies.store.of(KIND)
    devices = Path(saved.path) / DEVICES
    devices.write_bytes(devices.read_bytes()[:5000] + bytes(5000))
    record = saved.model_copy(update={"facts": dict(facts_of(Path(saved.path)))})  # as if it had been saved like that
    write_record(Path(saved.path), record, durable=False)
    reply = run_job(machine_images.job(shell("a", "echo fine"), disks=DISKS), TCG, tmp_path, store=copies.store)
    assert (reply.restored, reply.complete, reply.replies[0].output) == (False, True, "fine\n")
    assert reply.notes[0].startswith("the saved machine was discarded and a new one booted: ")
    assert list(copies.store.of(KIND)) == []


@fault(
    "a kernel that crashes before it can be saved",
    collected="what it said, in each run",
    outcome="its own",
    machine="is booted each time",
)
def test_a_kernel_that_crashes_before_it_can_be_saved_is_booted_each_time(
    machine_images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "cache")
    job = machine_images.job(shell("a", "echo fine"))

    keyboards: list[Path] = []

    def noted(logs: Path, keyboard: Path, files: dict[str, int], *, short: bool) -> AbstractContextManager[Wires]:
        keyboards.append(keyboard)
        return wired(logs, keyboard, files, short=short)

    monkeypatch.setattr("reviewbot.lab.snapshot.saving.wired", noted)

    def crash(seconds: float) -> None:
        with socket.socket(socket.AF_UNIX) as keyboard:
            keyboard.connect(str(keyboards[-1]))
            keyboard.sendall(b"\x0fc")
            time.sleep(3.0)

    store.get(KIND, inputs_of(job, TCG), lambda folder: save(job, TCG.name, folder, crash))
    reply = run_job(job, TCG, tmp_path / "logs", store=store)
    assert (reply.restored, reply.complete) == (False, True)
    assert reply.notes[0].startswith("no machine was saved: its kernel splatted while it booted: panic: ")
