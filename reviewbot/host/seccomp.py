# SPDX-License-Identifier: GPL-2.0-or-later
"""Which system calls a box may make: all that builds need, and none that reaches for more than files and processes."""

import errno
import functools
import os
import stat
import tempfile
from collections.abc import Iterator
from typing import Any

from reviewbot.model.errors import InfraError

PACKAGE = "libseccomp2"

# Reason -> system calls that are refused with EPERM.
_REFUSED = {
    "kernel keyrings are not part of any namespace": "add_key request_key keyctl",
    "mounts and namespaces are made before the box is entered": (
        "mount umount2 pivot_root chroot move_mount open_tree open_tree_attr fsopen fsconfig fsmount fspick"
        " mount_setattr unshare setns"
    ),
    "large interfaces of the kernel that no build needs": (
        "bpf perf_event_open userfaultfd fanotify_init open_by_handle_at lookup_dcookie kcmp modify_ldt"
        " vmsplice nfsservctl"
    ),
    "the machine is not the box's": (
        "kexec_load kexec_file_load init_module finit_module delete_module create_module query_module reboot swapon"
        " swapoff acct quotactl quotactl_fd syslog settimeofday clock_settime clock_adjtime stime iopl ioperm vhangup"
        " sethostname setdomainname vm86 vm86old uselib _sysctl sysfs ustat"
    ),
}
# Programs know what to do where a kernel does not have these. What clone3 and openat2 are asked for no filter can see.
# Requests of io_setup are counted for the whole machine, and few.
_UNKNOWN = "clone3 openat2 fchmodat2 io_uring_setup io_uring_enter io_uring_register io_setup memfd_secret"
# Memory that belongs to no process while nobody has mapped it: only a control group counts it.
_UNCOUNTED = "memfd_create shmget msgget semget"

_NAMESPACES = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
_SET_ID = (stat.S_ISUID, stat.S_ISGID)
# Name -> which argument is the mode, and which one holds the flags that must be there for it to count.
_MODES = {"chmod": (1, None), "fchmod": (1, None), "fchmodat": (2, None), "creat": (1, None), "mknod": (1, None),
          "mknodat": (2, None), "open": (2, 1), "openat": (3, 2)}  # fmt: skip
_CREATING = (os.O_CREAT, os.O_TMPFILE)
_DEVICES = {"mknod": 1, "mknodat": 2}
_TERMINAL = (0x5412, 0x541C, 0x5423)
"""TIOCSTI and TIOCLINUX: words put into a terminal as if its user had typed them. TIOCSETD: a driver loaded for it."""
_FAMILIES = (1, 2, 10, 16)
"""AF_UNIX, AF_INET, AF_INET6, AF_NETLINK. AF_VSOCK, for one, would reach the hypervisor from any network namespace."""
_LOADED = (33, 115, 132, 256)
"""DCCP, L2TP, SCTP, SMC: protocols for whose sake the kernel loads a module."""
_CORE = 4
"""RLIMIT_CORE."""
_LOW = 0xFFFFFFFF
_LATEST = 1023
"""Numbers up to here that libseccomp has no name for are system calls that came after it."""


class NoSeccomp(InfraError):
    """libseccomp is missing."""


@functools.cache
def program(*, counted: bool) -> bytes:
    """The filter as the kernel takes it. counted: a control group limits the box's memory. Raises NoSeccomp."""
    try:
        import pyseccomp
    except (ImportError, OSError, RuntimeError) as error:
        raise NoSeccomp(f"libseccomp cannot be used: {error}", hint=f"apt-get install {PACKAGE}") from error
    rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    rules.set_attr(pyseccomp.Attr.ACT_BADARCH, pyseccomp.ERRNO(errno.ENOSYS))
    for name, number, conditions in _rules(counted):
        arguments = [
            pyseccomp.Arg(place, pyseccomp.MASKED_EQ, *bits) if bits[0] else pyseccomp.Arg(place, pyseccomp.NE, bits[1])
            for place, *bits in conditions
        ]
        # A call that this architecture, or this libseccomp, does not have needs no rule.
        if pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name) >= 0:
            rules.add_rule(pyseccomp.ERRNO(number), name, *arguments)
    for later in _later(pyseccomp):
        rules.add_rule(pyseccomp.ERRNO(errno.ENOSYS), later)
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()


def _later(library: Any) -> Iterator[int]:
    """Numbers of system calls that the library does not know, beyond those that it does."""
    known = -1
    for number in range(_LATEST + 1):
        try:
            library.resolve_syscall(library.Arch.NATIVE, number)
        except ValueError:
            continue
        known = number
    yield from range(known + 1, _LATEST + 1)


Condition = tuple[int, int, int]
"""Argument, mask, value. Without a mask: another value."""


def _rules(counted: bool) -> Iterator[tuple[str, int, tuple[Condition, ...]]]:
    """System call, the error it gets, and what must all be so of its arguments."""
    for names in _REFUSED.values():
        for name in names.split():
            yield name, errno.EPERM, ()
    for name in f"{_UNKNOWN} {'' if counted else _UNCOUNTED}".split():
        yield name, errno.ENOSYS, ()
    for flag in _NAMESPACES:
        yield "clone", errno.EPERM, ((0, flag, flag),)
    for name, (place, flags) in _MODES.items():
        for bit in _SET_ID:
            for creating in _CREATING if flags is not None else (0,):
                more = () if flags is None else ((flags, creating, creating),)
                yield name, errno.EPERM, ((place, bit, bit), *more)
    for name, place in _DEVICES.items():
        for kind in (stat.S_IFCHR, stat.S_IFBLK):
            yield name, errno.EPERM, ((place, stat.S_IFMT(0o170000), kind),)
    for request in _TERMINAL:
        yield "ioctl", errno.EPERM, ((1, _LOW, request),)
    # The limit is 1, with which the kernel starts no program of the host that takes cores; with 0 it would.
    yield "setrlimit", 0, ((0, _LOW, _CORE),)
    yield "prlimit64", 0, ((1, _LOW, _CORE), (2, 0, 0))
    for call in ("socket", "socketpair"):
        yield from _socket_rules(call)


def _socket_rules(call: str) -> Iterator[tuple[str, int, tuple[Condition, ...]]]:
    for family in set(range(64)) - set(_FAMILIES):
        yield call, errno.EAFNOSUPPORT, ((0, _LOW, family),)
    for protocol in range(1, 32):
        yield call, errno.EPROTONOSUPPORT, ((0, _LOW, 16), (2, _LOW, protocol))
    for family in (2, 10):
        for protocol in _LOADED:
            yield call, errno.EPROTONOSUPPORT, ((0, _LOW, family), (2, _LOW, protocol))
