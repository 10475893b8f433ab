# SPDX-License-Identifier: GPL-2.0-or-later
"""Which saved machine a job begins from, and when none: without a machine."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from reviewbot.lab.machine import QEMU
from reviewbot.lab.snapshot import saved
from reviewbot.lab.snapshot.saved import KIND, find_start, inputs_of, machine_name
from reviewbot.lab.snapshot.saving import DEVICES, MEMORY, facts_of, is_whole
from reviewbot.lab.snapshot.starts import StartsFile
from reviewbot.model.artifacts import Artifact, Fact
from reviewbot.model.lab import Disk, GuestJob, GuestStep
from reviewbot.model.progress import silent
from reviewbot.store import Store
from tests.machines import TCG

pytestmark = pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not installed")


class Shelf:
    """A store, and a job whose images are small files."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, Store(folder / "cache")
        for name in ("kernel", "root", "payload"):
            (folder / name).write_text(name)
        step = GuestStep(name="setup/leg", argv=("true",), timeout=1)
        self.job = GuestJob(
            name="ext4-smoke",
            kernel=str(folder / "kernel"),
            root=str(folder / "root"),
            payload=str(folder / "payload"),
            disks=(Disk(serial="TEST_DEV", size=1 << 20),),
            memory=512,
            steps=(step,),
        )

    def key(self, **changes: Any) -> str:
        return Store.key(KIND, inputs_of(self.job.model_copy(update=changes), TCG))

    def put(self, facts: Mapping[str, Fact] | None = None) -> Artifact:
        """A saved machine of the job."""

        def build(folder: Path) -> Mapping[str, Fact]:
            (folder / MEMORY).write_bytes(b"memory")
            (folder / DEVICES).write_bytes(b"devices")
            return facts_of(folder) if facts is None else facts

        return self.store.get(KIND, inputs_of(self.job, TCG), build, durable=False)

    def start(self) -> saved.Start:
        return find_start(self.job, TCG, self.store, silent)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_machines_of_all_legs_begin_from_the_same(shelf: Shelf) -> None:
    assert shelf.key() == shelf.key(name="fuse4fs-fstests") == shelf.key(steps=()) == shelf.key(expect_release="7.1")


@pytest.mark.parametrize(
    "changes",
    [
        {"memory": 1024}, {"cpus": 1}, {"disks": ()}, {"disks": (Disk(serial="TEST_DEV", size=2 << 20),)},
        {"disks": (Disk(serial="OTHER", size=1 << 20),)}, {"kernel": "/other"},
    ],
)  # fmt: skip
def test_another_machine_is_another_key(shelf: Shelf, changes: dict[str, Any]) -> None:
    assert (os.cpu_count() or 1) > 1 or "cpus" not in changes, "more CPUs than the host has are no other machine"
    assert shelf.key(**changes) != shelf.key()


@pytest.mark.parametrize("name", ["kernel", "root", "payload"])
def test_an_image_that_was_written_again_is_another_key(shelf: Shelf, name: str) -> None:
    before = shelf.key()
    (shelf.folder / name).unlink()
    (shelf.folder / name).write_text(name)
    assert shelf.key() != before, "the guest remembers blocks of the old one"


def test_what_was_saved_before_the_host_went_down_is_not_used(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    before = shelf.key()
    (shelf.folder / "boot_id").write_text("another\n")
    monkeypatch.setattr(saved, "_BOOT_ID", shelf.folder / "boot_id")
    assert shelf.key() != before


def test_a_saved_machine_is_taken_whatever_its_kernel_said_is_copied(shelf: Shelf) -> None:
    artifact = shelf.put()
    (Path(artifact.path) / "serial.log").write_text("Linux version 7.1\n")
    start = shelf.start()
    assert start.saved and start.notes == ()
    assert start.saved.memory.restored and start.saved.memory.file == Path(artifact.path) / MEMORY
    start.saved.leave_boot_logs(shelf.folder)
    assert (shelf.folder / "boot-serial.log").read_text() == "Linux version 7.1\n"


@pytest.mark.parametrize("name", [MEMORY, DEVICES])
@pytest.mark.parametrize("damage", ["gone", "longer", "written"])
def test_a_damaged_one_is_dropped_and_said(shelf: Shelf, name: str, damage: str) -> None:
    path = Path(shelf.put().path) / name
    match damage:
        case "gone":
            path.unlink()
        case "longer":
            path.write_bytes(path.read_bytes() + b"x")
        case "written":
            path.write_bytes(b"x" + path.read_bytes()[1:])
    start = shelf.start()
    assert start.saved is None
    assert start.notes == ("the saved machine was damaged, so it was discarded and a new one booted",)
    assert list(shelf.store.of(KIND)) == []


def test_a_damaged_record_is_a_damaged_machine(shelf: Shelf) -> None:
    artifact = shelf.put()
    (Path(artifact.path) / "artifact.json").write_text("{")
    assert "damaged" in shelf.start().notes[0]
    assert not Path(artifact.path).exists()


def test_nobody_needs_to_read_the_memory_to_trust_it(tmp_path: Path) -> None:
    (tmp_path / MEMORY).write_bytes(b"m")
    (tmp_path / DEVICES).write_bytes(b"d")
    facts = facts_of(tmp_path)
    assert is_whole(tmp_path, facts)
    assert not is_whole(tmp_path, {})


def test_a_kernel_that_splats_while_it_boots_is_booted_each_time(shelf: Shelf) -> None:
    shelf.put({"why": "its kernel splatted while it booted: warn: f (WARNING: at f)"})
    start = shelf.start()
    assert start.saved is None
    assert start.notes == ("no machine was saved: its kernel splatted while it booted: warn: f (WARNING: at f)",)
    assert len(list(shelf.store.of(KIND))) == 1, "and nobody tries to save it again"


def test_a_machine_that_cannot_be_saved_is_booted(shelf: Shelf) -> None:
    start = shelf.start()  # QEMU takes no such kernel
    assert start.saved is None
    assert start.notes[0].startswith("no machine was saved: ")
    assert list(shelf.store.of(KIND)) == []


def test_without_room_for_the_memory_nothing_is_saved(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved, "ROOM", 1 << 60)
    (note,) = shelf.start().notes
    assert "GiB are free in the cache" in note


def test_what_restores_no_faster_here_is_booted(shelf: Shelf) -> None:
    shelf.put()
    starts, machine = StartsFile(shelf.store.root), machine_name(shelf.job, TCG)
    starts.add(machine, booted=1.0)
    for _ in range(3):
        starts.add(machine, restored=20.0)
    assert shelf.start() == saved.Start()


def test_old_ones_make_room(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    old = shelf.put()
    monkeypatch.setattr(saved, "KEPT", 1)
    shelf.job = shelf.job.model_copy(update={"memory": 640})
    shelf.start()
    assert Path(old.path).exists(), "it was used just now"
    os.utime(Path(old.path) / "artifact.json", (0, 0))
    shelf.start()
    assert not Path(old.path).exists()
