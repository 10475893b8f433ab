# SPDX-License-Identifier: GPL-2.0-or-later
"""A real QEMU at its wires. Nothing boots: the machines are stopped, or have no kernel."""

import asyncio
import contextlib
import os
import pwd
import shutil
import socket
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from qemu.qmp import QMPClient, QMPError

from reviewbot.lab.held import held
from reviewbot.lab.launch import launched
from reviewbot.lab.machine import QEMU, RESULTS_BYTES, Memory, command
from reviewbot.lab.ports import Ended, connect_qmp, ended
from reviewbot.lab.recorder import SHORT
from reviewbot.lab.room import SCANT, Room
from reviewbot.lab.snapshot.saving import _save, facts_of, is_whole, restore
from reviewbot.lab.wires import Wires, wired
from reviewbot.model.lab import Disk
from tests.lab.test_machine import image, job_in, places_in
from tests.machines import processes

COMM = "qemu-system-x86\n"
VISIBLE = ("/usr", "/lib", "/etc/ld.so.cache", "/etc/alternatives", "/proc", "/dev", "/tmp")
pytestmark = pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not installed")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: that of a unix socket has at most 107 bytes."""
    with tempfile.TemporaryDirectory() as name:
        made = Path(name)
        image(made)
        (made / "sockets").mkdir()
        yield made


def at_machine(
    folder: Path,
    act: Callable[[QMPClient, Wires], Awaitable[None]],
    memory: Memory | None = None,
    *more: str,
    accelerator: str = "tcg",
) -> Wires:
    """Do something with a machine, and end it; its wires, which have recorded what it said."""
    job, places = job_in(folder), places_in(folder)
    with wired(places.logs, places.keyboard, held(job, places, memory)) as wires:
        argv = [*command(job, accelerator, places, memory, wires.numbers), *more]
        with launched(argv, wires, job.memory, job.disks) as running:
            process = running.process

            async def meet() -> None:
                async with wires.recording():
                    watch = asyncio.create_task(ended(process))
                    qmp = QMPClient("test")
                    await connect_qmp(qmp, wires.ports["qmp"])
                    await act(qmp, wires)
                    await qmp.execute("quit")
                    with contextlib.suppress(EOFError, QMPError):
                        await qmp.disconnect()
                    await asyncio.wait_for(watch, 60)
                    await wires.hear_out(watch, 60)

            asyncio.run(meet())
            assert process.poll() == 0
    return wires


def test_qemu_takes_the_ends_of_its_wires_and_makes_no_socket_and_no_file(folder: Path) -> None:
    async def look(qmp: QMPClient, wires: Wires) -> None:
        chardevs = await qmp.execute("query-chardev")
        assert isinstance(chardevs, list)
        names = {chardev["label"]: chardev for chardev in chardevs}
        assert {"early", "console", "c-control", "c-results", "qmp"} == set(names)
        assert names["c-control"]["frontend-open"] is False, "no guest has opened it"
        assert [path.name for path in (folder / "sockets").iterdir()] == ["console"]

    wires = at_machine(folder, look, None, "-S")
    assert not wires.numbers, "its ends are its own"
    assert {path.name for path in (folder / "logs").iterdir()} == {"console.log", "serial.log", "qemu.log"}


def test_qemus_last_words_are_in_its_log(folder: Path) -> None:
    async def look(qmp: QMPClient, wires: Wires) -> None:
        raise AssertionError("it does not start")

    with pytest.raises(Ended):
        at_machine(folder, look, None, "-device", "no-such-device")
    assert "no-such-device" in (folder / "logs" / "qemu.log").read_text()


def test_the_keyboard_is_there_and_nobody_has_to_read_the_console(folder: Path) -> None:
    async def look(qmp: QMPClient, wires: Wires) -> None:
        with socket.socket(socket.AF_UNIX) as keys:
            keys.connect(str(places_in(folder).keyboard))
            keys.sendall(b"\x0ft")
        assert await qmp.execute("query-status")

    at_machine(folder, look, None, "-S")


def test_a_machine_is_saved_and_restored_through_descriptors(folder: Path) -> None:
    memory, devices = folder / "memory", folder / "devices"

    async def save(qmp: QMPClient, wires: Wires) -> None:
        await _save(qmp, devices)

    async def go_on(qmp: QMPClient, wires: Wires) -> None:
        await restore(qmp, devices)
        status = await qmp.execute("query-status")
        assert isinstance(status, dict) and status["status"] == "running"

    at_machine(folder, save, Memory(memory, restored=False))
    before = memory.stat().st_mtime_ns
    assert devices.stat().st_size > 100_000
    for _ in range(2):
        at_machine(folder, go_on, Memory(memory, restored=True))
    assert memory.stat().st_mtime_ns == before, "each keeps what it changes to itself"


def qemu_below_us() -> Path:
    """Its folder in /proc."""
    found = [pid for pid in processes("-nodefaults", os.getpid()) if Path(f"/proc/{pid}/comm").read_text() == COMM]
    assert len(found) == 1, found
    return Path(f"/proc/{found[0]}")


def test_qemu_runs_as_nobody_of_the_host_in_namespaces_of_its_own(folder: Path) -> None:
    async def look(qmp: QMPClient, wires: Wires) -> None:
        proc = qemu_below_us()
        status = dict(line.partition(":\t")[::2] for line in (proc / "status").read_text().splitlines())
        assert os.getuid() not in {int(uid) for uid in status["Uid"].split()}
        assert int(status["Uid"].split()[0]) not in {entry.pw_uid for entry in pwd.getpwall()}
        assert (status["Groups"].strip(), status["NoNewPrivs"]) == ("", "1")
        assert int(status["Seccomp_filters"]) >= 1
        assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
        for space in ("net", "pid", "ipc", "mnt", "uts", "user"):
            assert (proc / "ns" / space).readlink() != Path(f"/proc/self/ns/{space}").readlink(), space
        assert int((proc / "oom_score_adj").read_text()) >= 500

    at_machine(folder, look, None, "-S")


def test_a_program_in_qemus_place_sees_no_file_no_process_and_no_network_of_the_host(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reviewbot.lab.launch.qemu", lambda: Path("/usr/bin/dash"))
    monkeypatch.setenv("HTTPS_PROXY", "http://user:password@proxy.example.org")
    folder.chmod(0o755)
    (folder / "secret").write_text("secret")
    look = f"env; echo =; ls -A / /tmp; echo =; ls /proc | grep -c [0-9]; cat {folder}/secret; echo x > /usr/x; "
    look += "grep -c : /proc/net/dev; cut -d' ' -f5 /proc/self/mountinfo; echo over"
    with (
        wired(folder / "logs", folder / "sockets" / "console") as wires,
        launched(["sh", "-c", look], wires, 0) as running,
    ):
        assert running.process.wait(60) == 0
        said = wires.said.since(0)
    env, seen, rest = said.split("=\n")
    names = {line.partition("=")[0] for line in env.splitlines()}
    assert names == {"HOME", "JOBS", "LC_ALL", "PATH", "PWD", "TZ"}
    assert set(seen.split()) <= {"/:", "/tmp:", "dev", "etc", "lib", "lib32", "lib64", "proc", "tmp", "usr"}
    assert f"cat: {folder}/secret: No such file or directory" in rest
    assert "cannot create /usr/x: Read-only file system" in rest and "over" in rest
    assert int(rest.split()[0]) < 8, "processes"
    assert "\n1\n" in rest, "one network device, the loopback"
    places = [line for line in rest.splitlines() if line.startswith("/")]
    assert places and all(place == "/" or place.startswith(VISIBLE) for place in places), places


@pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK), reason="there is no /dev/kvm that we may open")
def test_qemu_may_open_kvm_and_no_other_device(folder: Path) -> None:
    async def look(qmp: QMPClient, wires: Wires) -> None:
        assert await qmp.execute("query-kvm") == {"enabled": True, "present": True}
        assert Path("/dev/kvm").stat().st_uid == owner, "the host's own is as it was"

    owner = Path("/dev/kvm").stat().st_uid
    try:
        at_machine(folder, look, None, "-S", accelerator="kvm")
    except Ended:
        said = (folder / "logs" / "qemu.log").read_text()
        assert "Could not access KVM" not in said and "failed to initialize" not in said, said
        pytest.skip(f"QEMU opens /dev/kvm and ends: {said.strip()[-200:]}")


def test_what_a_machine_writes_to_a_saved_ones_memory_is_seen(folder: Path) -> None:
    memory, devices = folder / "memory", folder / "devices"

    async def save(qmp: QMPClient, wires: Wires) -> None:
        await _save(qmp, devices)

    at_machine(folder, save, Memory(memory, restored=False))
    facts, before = facts_of(folder), memory.stat()
    assert is_whole(folder, facts)
    with memory.open("r+b") as file:
        file.write(b"x")
    os.utime(memory, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not is_whole(folder, facts)


def test_logs_are_short_when_guests_have_used_up_their_room(folder: Path) -> None:
    assert [Room(bytes=SCANT + more).scant for more in (-1, 0)] == [True, False]
    room = Room(bytes=SCANT)
    room.spend(1)
    with wired(folder / "logs", folder / "sockets" / "console", short=room.scant) as wires:
        for recorder in wires.recorders():
            assert (recorder.head, recorder.tail) == (SHORT, SHORT)
    room.spend(1 << 40)
    assert room.bytes == 0 and not room.take(1) and room.take(0)


def test_no_file_that_qemu_has_can_grow_beyond_the_largest_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even by a QEMU that a guest took over."""
    monkeypatch.setattr("reviewbot.lab.launch.qemu", lambda: Path("/usr/bin/bash"))
    job = job_in(folder, Disk(serial="TEST_DEV", size=RESULTS_BYTES + (1 << 20)))
    with wired(folder / "logs", folder / "sockets" / "console", held(job, places_in(folder))) as wires:
        disk = wires.numbers["disk-TEST_DEV"]
        write = f"dd if=/dev/zero bs=1M count=1 conv=notrunc status=none >&{disk} seek"
        grow = f"{write}=256 && echo in; {write}=257 || echo beyond"
        with launched(["sh", "-c", grow], wires, 0, job.disks) as running:
            running.process.wait(60)
    assert (folder / "disks" / "TEST_DEV.img").stat().st_size <= RESULTS_BYTES + (1 << 20)
    said = (folder / "logs" / "qemu.log").read_text()
    assert said.startswith("in\n") and said.endswith("beyond\n"), said
