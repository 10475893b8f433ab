# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line of QEMU, and that a real QEMU takes it. Nothing boots: the machines are stopped from the start."""

import itertools
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from reviewbot.lab.machine import QEMU, Memory, Places, command, kernel_line, probe_command
from reviewbot.model.lab import Disk, GuestJob, GuestStep
from reviewbot.suites import disks

needs_qemu = pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not installed")


def job_in(folder: Path, *scratch: Disk, cpus: int = 1) -> GuestJob:
    return GuestJob(
        name="fuse2fs-smoke",
        kernel=str(folder / "bzImage"),
        root=str(folder / "root.img"),
        payload=str(folder / "payload.img"),
        disks=scratch or disks(1),
        memory=512,
        cpus=cpus,
        steps=(GuestStep(name="setup/leg", argv=("true",), timeout=1),),
    )


def places_in(folder: Path) -> Places:
    return Places(folder / "sockets", folder / "disks", folder / "logs")


def argv(accelerator: str = "tcg", cpus: int = 1) -> list[str]:
    return command(job_in(Path("/a"), cpus=cpus), accelerator, places_in(Path("/b")))


def values(words: list[str], option: str) -> list[str]:
    return [value for name, value in itertools.pairwise(words) if name == option]


def test_every_disk_is_found_by_its_serial_in_the_order_of_the_guest() -> None:
    found = [dict(w.split("=", 1) for w in d.split(",")[1:]) for d in values(argv(), "-device") if "blk" in d]
    assert [disk["serial"] for disk in found] == ["root", "payload", "results", "TEST_DEV", "SCRATCH_DEV"]
    assert [disk["drive"] for disk in found] == [f"d-{disk['serial']}" for disk in found]
    assert "root=/dev/vda" in values(argv(), "-append")[0].split()
    assert all(len(disk["serial"]) <= 20 for disk in found)


def test_shared_images_are_read_only_and_the_machines_own_disks_are_not() -> None:
    drives = {d.split("id=d-")[1].split(",")[0]: d for d in values(argv(), "-drive")}
    assert {name for name, drive in drives.items() if "readonly=on" in drive} == {"root", "payload"}
    assert "file.filename=/b/disks/TEST_DEV.img," in drives["TEST_DEV"]
    assert all("format=raw" in drive for drive in drives.values()), (
        "a guest could write a qcow2 header that names files"
    )


@pytest.mark.parametrize("accelerator", ["kvm", "tcg"])
def test_a_machine_ends_instead_of_rebooting_and_shows_nothing(accelerator: str) -> None:
    for words in (argv(accelerator), probe_command(Path("/k"), Path("/r"), accelerator, Path("/l"))):
        assert {"-no-reboot", "-nodefaults", "-no-user-config"} <= set(words)
        assert values(words, "-display") == ["none"]
        assert {"panic=-1", "oops=panic", "ro"} <= set(values(words, "-append")[0].split())


def test_a_machine_has_no_network() -> None:
    assert not [word for word in argv() if word.startswith(("-net", "-nic")) or "virtio-net" in word]


def test_kvm_uses_the_hosts_cpu() -> None:
    words = argv("kvm")
    assert values(words, "-machine") == ["q35,accel=kvm"]
    assert values(words, "-cpu") == ["host"]
    assert "-accel" not in words
    assert "nowatchdog" not in values(words, "-append")[0].split()


def test_emulation_uses_one_thread_and_a_kernel_that_forgives_a_slow_cpu() -> None:
    words = argv("tcg")
    assert values(words, "-accel") == ["tcg,thread=single,tb-size=512"]
    assert not any("kvm" in word for word in words)
    assert {"nowatchdog", "rcupdate.rcu_cpu_stall_timeout=300"} <= set(values(words, "-append")[0].split())
    assert "norandmaps" in values(words, "-append")[0].split()
    assert "norandmaps" not in kernel_line(accelerator="kvm").split()


def test_a_machine_never_has_more_cpus_than_the_host() -> None:
    assert values(argv(cpus=4096), "-smp") == [str(os.cpu_count())]
    assert values(argv(cpus=1), "-smp") == ["1"]


def test_only_a_restored_machine_leaves_the_memory_file_as_it_is() -> None:
    job, places = job_in(Path("/a")), places_in(Path("/b"))
    saving, restored = (command(job, "tcg", places, Memory(Path("/c,d/memory"), restored=r)) for r in (False, True))
    assert values(argv(), "-machine") == ["pc"] and "-incoming" not in argv()
    for words, share in ((saving, "on"), (restored, "off")):
        assert values(words, "-machine") == ["pc,memory-backend=memory"]
        backend = f"memory-backend-file,id=memory,size=512M,share={share},mem-path=/c,,d/memory"
        assert values(words, "-object")[0] == backend
    assert "-incoming" not in saving and values(restored, "-incoming") == ["defer"]


def test_the_console_comes_early_and_by_virtio() -> None:
    words = kernel_line(accelerator="kvm", extra=["reviewbot.probe"]).split()
    assert words.index("console=ttyS0") < words.index("console=hvc0"), "the last one is /dev/console"
    assert words[-1] == "reviewbot.probe"


def image(folder: Path) -> None:
    """Files that QEMU takes for a kernel and disks."""
    header = bytearray(4096)
    header[0x1F1] = 1  # sectors of setup code
    header[0x202:0x206] = b"HdrS"
    header[0x206:0x208] = (0x20C).to_bytes(2, "little")
    (folder / "bzImage").write_bytes(header)
    for name in ("root.img", "payload.img", "disks/results.img", "disks/TEST_DEV.img", "disks/SCRATCH_DEV.img"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(bytes(1 << 20))
    (folder / "logs").mkdir()


class Monitor:
    """A QMP client of ten lines."""

    def __init__(self, connection: socket.socket) -> None:
        self.file = connection.makefile("rw")
        assert "QMP" in self.file.readline()
        self.ask("qmp_capabilities")

    def ask(self, execute: str, **arguments: str) -> Any:
        self.file.write(json.dumps({"execute": execute, "arguments": arguments}) + "\n")
        self.file.flush()
        for line in self.file:
            answer: Mapping[str, Any] = json.loads(line)
            if "event" not in answer:
                return answer["return"]
        raise AssertionError("QEMU went away")


@contextmanager
def stopped_machine(words: list[str], qmp: Path) -> Iterator[Monitor]:
    process = subprocess.Popen([*words, "-S"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            while process.poll() is None and connection.connect_ex(str(qmp)):
                time.sleep(0.05)
            if process.poll() is not None and process.stdout is not None:
                pytest.fail(process.stdout.read())
            monitor = Monitor(connection)
            yield monitor
            monitor.ask("quit")
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(params=["plain", "a, b=c"])
def folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A short path: that of a unix socket has at most 107 bytes. One with what QEMU's options end at."""
    with tempfile.TemporaryDirectory() as name:
        made = Path(name) / request.param
        made.mkdir()
        image(made)
        (made / "sockets").mkdir()
        yield made


@needs_qemu
def test_a_real_qemu_takes_the_command_line_of_a_job(folder: Path) -> None:
    places = places_in(folder)
    with stopped_machine(command(job_in(folder), "tcg", places), places.qmp) as monitor:
        assert monitor.ask("query-status")["running"] is False
        assert monitor.ask("query-name") == {"name": "fuse2fs-smoke"}
        files = {b["device"]: (b["inserted"]["file"], b["inserted"]["ro"]) for b in monitor.ask("query-block")}
        assert files == {
            "d-root": (f"{folder}/root.img", True),
            "d-payload": (f"{folder}/payload.img", True),
            "d-results": (f"{folder}/disks/results.img", False),
            "d-TEST_DEV": (f"{folder}/disks/TEST_DEV.img", False),
            "d-SCRATCH_DEV": (f"{folder}/disks/SCRATCH_DEV.img", False),
        }
        assert {"early", "console", "c-control", "c-results", "qmp"} <= {
            chardev["label"] for chardev in monitor.ask("query-chardev")
        }
        assert places.control.is_socket() and places.results.is_socket()
        assert monitor.ask("query-kvm")["enabled"] is False


@needs_qemu
def test_two_machines_may_read_the_same_images(folder: Path) -> None:
    first, second = places_in(folder), Places(folder / "more", folder / "disks", folder / "logs")
    second.sockets.mkdir()
    job = job_in(folder)
    with (
        stopped_machine(command(job, "tcg", first), first.qmp) as one,
        stopped_machine(command(job, "tcg", second), second.qmp) as two,
    ):
        assert len(one.ask("query-block")) == len(two.ask("query-block"))


@needs_qemu
def test_a_real_qemu_takes_the_command_line_of_a_probe(folder: Path) -> None:
    words = probe_command(folder / "bzImage", folder / "root.img", "tcg", folder / "serial.log")
    qmp = folder / "sockets" / "qmp"
    words += ["-qmp", f"unix:{str(qmp).replace(',', ',,')},server=on,wait=off"]
    with stopped_machine(words, qmp) as monitor:
        (disk,) = monitor.ask("query-block")
        assert (disk["device"], disk["inserted"]["ro"]) == ("d-root", True)
    assert (folder / "serial.log").exists()
