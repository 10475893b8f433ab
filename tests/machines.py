# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests that boot machines share."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from reviewbot.lab import Accelerator
from reviewbot.model.lab import Disk, GuestJob, GuestStep
from reviewbot.model.lock import Lock

TCG = Accelerator("tcg", "always there")


@dataclass(frozen=True, slots=True)
class DemoRun:
    """What a demo left behind."""

    status: int
    stdout: str
    stderr: str
    data: Path
    folder: Path
    """Of its run."""

    @property
    def lock(self) -> Lock:
        return Lock.model_validate_json((self.folder / "lock.json").read_bytes())


@dataclass(frozen=True, slots=True)
class Images:
    """What a machine boots from."""

    kernel: Path
    root: Path
    payload: Path
    release: str

    def job(self, *steps: GuestStep, name: str = "test", disks: Sequence[Disk] = (), release: str = "") -> GuestJob:
        return GuestJob(
            name=name,
            kernel=str(self.kernel),
            root=str(self.root),
            payload=str(self.payload),
            disks=tuple(disks),
            steps=steps,
            expect_release=release or self.release,
        )


def images_of(run: DemoRun) -> Images:
    """Where a run's artifacts lie."""
    built = run.lock.artifacts.artifacts
    return Images(
        Path(built["kernel"].path) / "bzImage",
        Path(built["guest"].path) / "root.img",
        Path(built["payload"].path) / "payload.img",
        str(built["kernel"].facts["release"]),
    )


def shell(
    name: str, script: str, *, timeout: float = 20.0, gate: bool = False, collect: Sequence[str] = ()
) -> GuestStep:
    """A step that runs a shell script in the guest."""
    return GuestStep(name=name, argv=("/bin/sh", "-c", script), timeout=timeout, gate=gate, collect=tuple(collect))


def processes(words: str, below: int = 0) -> list[int]:
    """Ids of the processes whose command line has these words, without this one.

    below: only descendants of this process. Other tests, and other users of this machine, have theirs.
    """
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if words in line and (not below or below in _ancestors(int(entry.name))):
            found.append(int(entry.name))
    return found


def _ancestors(pid: int) -> Iterator[int]:
    while pid > 1:
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return
        yield pid
