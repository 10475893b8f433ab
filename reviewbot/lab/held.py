# SPDX-License-Identifier: GPL-2.0-or-later
"""Open the files of a machine for QEMU, which runs as a user that may open none of them."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from reviewbot.lab.machine import KERNEL, MEMORY, Memory, Places, disk_name
from reviewbot.model.lab import GuestJob

_ANYBODY = 0o666
"""QEMU opens its memory once more, by /proc/self/fd; the folder around it is for its owner only."""


def held(job: GuestJob, places: Places, memory: Memory | None = None) -> dict[str, int]:
    """Name -> descriptor, for the caller to close: kernel, disks, memory. Raises OSError."""
    numbers: dict[str, int] = {}
    try:
        numbers[KERNEL] = _copied(Path(job.kernel))
        for serial, image in (("root", job.root), ("payload", job.payload)):
            numbers[disk_name(serial)] = os.open(image, os.O_RDONLY | os.O_CLOEXEC)
        for serial in ("results", *(disk.serial for disk in job.disks)):
            path = places.disks / f"{serial}.img"
            numbers[disk_name(serial)] = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            numbers[disk_name(serial, read_only=True)] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        if memory:
            numbers[MEMORY] = _memory(memory, job.memory << 20)
    except BaseException:
        close(numbers)
        raise
    return numbers


def held_images(images: Mapping[str, Path], kernel: Path) -> dict[str, int]:
    """The same of a machine with nothing but a kernel and these disks, serial -> image, that it only reads."""
    numbers: dict[str, int] = {}
    try:
        numbers[KERNEL] = _copied(kernel)
        for serial, path in images.items():
            numbers[disk_name(serial)] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except BaseException:
        close(numbers)
        raise
    return numbers


def close(numbers: dict[str, int]) -> None:
    while numbers:
        os.close(numbers.popitem()[1])


def _copied(path: Path) -> int:
    """A copy in memory that anybody may open: QEMU takes the kernel by name only."""
    number = os.memfd_create("kernel")
    with path.open("rb") as source, os.fdopen(number, "wb", closefd=False) as target:
        shutil.copyfileobj(source, target, 1 << 20)
    return number


def _memory(memory: Memory, size: int) -> int:
    flags = os.O_RDWR if memory.restored else os.O_RDWR | os.O_CREAT
    number = os.open(memory.file, flags | os.O_CLOEXEC, _ANYBODY)
    if not memory.restored:
        os.truncate(number, size)
        os.fchmod(number, _ANYBODY)
    return number
