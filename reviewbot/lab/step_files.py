# SPDX-License-Identifier: GPL-2.0-or-later
"""Host paths of the files that each step leaves."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reviewbot.lab.channel import unpack_disk
from reviewbot.lab.room import Room
from reviewbot.model.lab import GuestStep


@dataclass(frozen=True, slots=True)
class StepFiles:
    """Each machine of a leg has its own setup; a test runs in one of them."""

    leg: Path
    """Folder of the leg's logs, which machines share."""
    machine: Path
    """Folder of the machine's own."""

    def home(self, step: GuestStep) -> Path:
        """The folder that `<step>/` is in."""
        return self.machine if step.gate else self.leg

    def folder(self, step: GuestStep) -> Path:
        return self.home(step) / step.name

    def write(self, step: GuestStep, dmesg: str, output: str | None = None, machine: str = "") -> str:
        """What the host itself knows of a step; returns its folder."""
        folder = self.folder(step)
        folder.mkdir(parents=True, exist_ok=True)
        if machine:
            (folder / "machine.txt").write_text(machine)
        if output is not None:
            (folder / "output.txt").write_text(output)
        (folder / "dmesg.txt").write_text(dmesg)
        return str(folder)

    def recover(self, disk: Path, steps: Sequence[GuestStep], room: Room | None = None) -> None:
        """Files of these steps that only the results disk of a lost machine has, as far as there is room."""
        for home in (self.machine, self.leg):
            unpack_disk(disk, home, frozenset(step.name for step in steps if self.home(step) == home), room)
