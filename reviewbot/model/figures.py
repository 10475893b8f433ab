# SPDX-License-Identifier: GPL-2.0-or-later
"""What a test cost the servers of a FUSE filesystem, as the guest measured it. None: it could not be measured."""

from reviewbot.model.base import Model


class ServerFigures(Model):
    """All servers that lived during one test."""

    cpu_seconds: float | None = None
    """CPU time, user and system, of all of them, of those that ended too. An emulated machine's seconds."""
    pss_kib: int | None = None
    """The highest proportional set size that was seen of any one server; between two looks it may have been higher."""
    pss_samples: int = 0
    """How often a server was looked at: every 2 s while it lives, and right before it is unmounted."""
    mounts: int = 0
    """Mounts by mount(8) that succeeded; remounts are none."""
    umounts: int = 0
    """Unmounts by umount(8) after which the server was to go."""
    umount_seconds_max: float | None = None
    """The longest time from umount(2) returning to the server's end; with `umounts_late` the limit of that wait."""
    umount_seconds_total: float = 0.0
    umounts_late: int = 0
    """After how many of them the server was still there when the limit of a minute was reached."""
    requests: dict[str, int] | None = None
    """FUSE requests that the kernel sent, by the name it has for the opcode, or its number; FORGET and INTERRUPT are
    not among them."""


class Cost(Model):
    """What many operations of one kind took, in smoke's check of costs."""

    operations: int
    server_kib: int | None = None
    """By how much more memory belonged to the servers alone afterwards."""
    server_steady_kib: int | None = None
    """The same as the second smallest growth of a batch says for all batches: a leak shows in each."""
    kernel_kib: int | None = None
    """The same of the kernel's slabs that cannot be reclaimed, with caches dropped before and after."""
    kernel_objects: int | None = None
    """By how many more objects were in use in one of the kernel's caches, the one that grew most, as the second
    smallest growth of a batch says.
    """
    times: float
    """Time of one operation, as a multiple of what two processes of that machine take to exchange a byte."""
