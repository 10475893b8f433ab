# SPDX-License-Identifier: GPL-2.0-or-later
"""Machines that were booted and saved, so that others begin where they stood.

A saved machine is an artifact. Its key names all that it is made of, and the boot of the host itself: what a host
that went down leaves may lack what never reached the disk, and a cache that is copied to another may not fit its CPU.
"""

import contextlib
import json
import shlex
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from reviewbot.host.process import ToolMissing
from reviewbot.lab.accel import Accelerator, qemu_version, this_host
from reviewbot.lab.machine import QEMU, Memory, Places, command
from reviewbot.lab.ports import Lost
from reviewbot.lab.snapshot.saving import CONSOLES, DEVICES, MEMORY, is_whole, save
from reviewbot.lab.snapshot.starts import Starts, StartsFile
from reviewbot.model.artifacts import Artifact
from reviewbot.model.errors import InfraError
from reviewbot.model.lab import GuestJob
from reviewbot.model.progress import Event, Progress
from reviewbot.store import Store

KIND = "saved-machine"
VERSION = "1"
KEPT, IDLE = 4, 3600.0
"""Saved machines that stay though nobody used them for so many seconds: some 150 MB each."""
ROOM = 1 << 30
"""Bytes that stay free beyond the guest's memory, all of which it may use while it boots."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Saved:
    """A machine to begin from."""

    artifact: Artifact
    store: Store

    @property
    def memory(self) -> Memory:
        return Memory(Path(self.artifact.path) / MEMORY, restored=True)

    @property
    def devices(self) -> Path:
        return Path(self.artifact.path) / DEVICES

    def leave_boot_logs(self, logs: Path) -> None:
        """What the kernel said before the machine was saved, as `boot-console.log` and `boot-serial.log`."""
        for name in CONSOLES:
            with contextlib.suppress(OSError):
                shutil.copyfile(Path(self.artifact.path) / name, logs / f"boot-{name}")

    def drop(self) -> None:
        self.store.drop(self.artifact)


@dataclass(frozen=True, slots=True)
class Start:
    """How a machine shall start."""

    saved: Saved | None = None
    """None: it is booted."""
    notes: tuple[str, ...] = ()
    """Why it is booted although restoring would be faster."""


def find_start(
    job: GuestJob, accelerator: Accelerator, store: Store, progress: Progress, stop: threading.Event | None = None
) -> Start:
    """The saved machine to begin from: the first job of its kind boots and saves it, others wait for that.

    stop: once it is set, nothing more is waited for.
    Booted instead: when that was measured to be no slower on this host, or for the reason in the notes. Raises
    ToolMissing when there is no QEMU.
    """
    starts, machine = StartsFile(store.root), machine_name(job, accelerator)
    if not starts.get(machine).restore:
        return Start()
    inputs = inputs_of(job, accelerator)
    try:
        if found := _found(store, inputs):
            return found
        _make_room(job, store, inputs["host"])
        progress(Event("lab", job.name, "note", "booting a machine to save"))
        kept = store.get(
            KIND,
            inputs,
            lambda folder: save(
                _bare(job), accelerator.name, folder, lambda seconds: starts.add(machine, booted=seconds), stop
            ),
            waiting=lambda _: progress(Event("lab", job.name, "note", "another job is saving a machine")),
            durable=False,
        )
    except (Lost, OSError, InfraError) as why:
        if isinstance(why, ToolMissing):
            raise
        return Start(notes=(f"no machine was saved: {why}",))
    return _usable(kept, store)


def _found(store: Store, inputs: dict[str, str]) -> Start | None:
    found, key = store.find(KIND, inputs), store.key(KIND, inputs)
    if found is None:
        if not store.path(KIND, key).exists():
            return None
        found = Artifact(kind=KIND, key=key, path=str(store.path(KIND, key)))  # its record is damaged
    if "why" not in found.facts and not is_whole(Path(found.path), found.facts):
        store.drop(found)
        return Start(notes=("the saved machine was damaged, so it was discarded and a new one booted",))
    return _usable(found, store)


def _usable(artifact: Artifact, store: Store) -> Start:
    why = artifact.facts.get("why")
    return Start(notes=(f"no machine was saved: {why}",)) if why else Start(Saved(artifact, store))


def note_start(job: GuestJob, accelerator: Accelerator, store: Store, seconds: float, *, restored: bool) -> None:
    """Remember how long a start took, or one that was given up."""
    if seconds > 0:
        words = {"restored" if restored else "booted": seconds}
        StartsFile(store.root).add(machine_name(job, accelerator), **words)


def starts_here(cache: Path) -> dict[str, Starts]:
    """Kind of machine (`tcg 2048 MiB 2 CPUs`) -> what starting it took on this host so far. Raises ToolMissing."""
    return StartsFile(cache).of_host(this_host(qemu_version()))


def machine_name(job: GuestJob, accelerator: Accelerator) -> str:
    """What machines whose starts are comparable have in common."""
    return f"{this_host(qemu_version())}, {accelerator.name} {job.memory} MiB {job.cpus} CPUs"


def inputs_of(job: GuestJob, accelerator: Accelerator) -> dict[str, str]:
    """What a saved machine of this job is made of."""
    places = Places(Path("sockets"), Path("disks"), Path("logs"))
    argv = command(_bare(job), accelerator.name, places, Memory(Path(MEMORY), restored=False))
    program = shutil.which(QEMU) or QEMU
    return {
        "version": VERSION,
        "host": _BOOT_ID.read_text().strip(),
        "qemu": f"{qemu_version()} {_identity(program)}",
        "command": shlex.join(argv),
        "disks": json.dumps([disk.model_dump() for disk in job.disks]),
        **{
            name: _identity(path)
            for name, path in (("kernel", job.kernel), ("root", job.root), ("payload", job.payload))
        },
    }


def _bare(job: GuestJob) -> GuestJob:
    return job.model_copy(update={"name": "to-be-saved", "steps": (), "expect_release": ""})


def _identity(path: str) -> str:
    """Changes whenever the file does: the guest remembers blocks of it. Its path is in the command line."""
    try:
        stat = Path(path).stat()
    except OSError as error:
        return str(error.strerror)
    return f"inode {stat.st_ino} of {stat.st_dev}, {stat.st_size} bytes of {stat.st_mtime_ns}"


def _make_room(job: GuestJob, store: Store, host: str) -> None:
    """Drop what nobody can use or has used lately. Raises InfraError when the disk has no room for another."""
    known = sorted(store.of(KIND), key=_used, reverse=True)
    for number, artifact in enumerate(known):
        if artifact.inputs.get("host") != host or (number >= KEPT - 1 and time.time() - _used(artifact) > IDLE):
            store.drop(artifact)
    store.root.mkdir(parents=True, exist_ok=True)
    free, needed = shutil.disk_usage(store.root).free, (job.memory << 20) + ROOM
    if free < needed:
        raise InfraError(f"{free / 2**30:.1f} GiB are free in the cache, {needed / 2**30:.1f} are needed")


def _used(artifact: Artifact) -> float:
    try:
        return (Path(artifact.path) / "artifact.json").stat().st_mtime
    except OSError:
        return 0.0
