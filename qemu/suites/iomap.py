# SPDX-License-Identifier: GPL-2.0-or-later
"""Is file I/O of this mount really done by iomap? Signs that do not depend on each other, and what is missing if not.

Which signs a kernel has differs by version of the series: the ioctl has had three numbers, requests have names only
with the trace patches. What cannot be looked at is no sign against it, but FIEMAP must know the blocks of a new file,
and no data of it may have come by FUSE_READ and FUSE_WRITE.
"""

import errno
import fcntl
import os
import re
import struct

import figures
from guest import MNT, RUN, device
from texts import read, write

SWITCH = "/sys/module/fuse/parameters/enable_iomap"
KMSG = "/dev/kmsg"
MOUNTING = "reviewbot: mounting to see iomap"
"""Written before the mount that has to show it: the kernel warns of each connection."""
TRACE = "/sys/kernel/tracing/instances/reviewbot-iomap"
BEGIN, READ, WRITE = ("IOMAP_BEGIN", "4094"), ("READ", "15"), ("WRITE", "16")
"""Names of requests, and their numbers where the kernel has no name."""
PROBE_BYTES = 256 << 10
CAP_SYS_RAWIO = 17
# _IOR(229, number, struct { u64 flags, padding; }): 99 since the fifth version, before it 3 and 4
_SUPPORT = tuple(2 << 30 | 16 << 16 | 229 << 8 | number for number in (99, 3, 4))
_FS_IOC_FIEMAP = 0xC020660B


def switch(wanted: bool) -> str:
    """Say in both directions whether servers may use iomap: with the switch on they do so unasked.

    A problem, or nothing; a kernel without the switch has none.
    """
    if not os.path.exists(SWITCH):
        return ""
    write(SWITCH, "1" if wanted else "0")
    if wanted != (read(SWITCH).strip() in ("1", "Y")):
        return f"{SWITCH} stays {'off' if wanted else 'on'}"
    return ""


def offered() -> int | None:
    """What /dev/fuse offers this process of iomap, as flags; None: this kernel cannot be asked."""
    handle = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    try:
        for request in _SUPPORT:
            try:
                return int(struct.unpack("QQ", fcntl.ioctl(handle, request, bytes(16)))[0])
            except OSError:
                continue
        return None
    finally:
        os.close(handle)


def extents(path: str) -> int | None:
    """How many extents FIEMAP tells of a file; None: it tells nothing, as of a file whose data the server moves."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        answer = fcntl.ioctl(handle, _FS_IOC_FIEMAP, struct.pack("=QQLLLL", 0, 1 << 62, 0, 0, 0, 0))
        return int(struct.unpack("=QQLLLL", answer)[3])
    except OSError:
        return None
    finally:
        os.close(handle)


class Counting:
    """Requests by name while the block runs; `asked` is None where the kernel does not count."""

    def __enter__(self) -> "Counting":
        self.asked: dict[str, int] | None = None
        self.names = figures.count_requests(TRACE)
        return self

    def __exit__(self, *_: object) -> None:
        if self.names is not None:
            self.asked = figures.requests(self.names, TRACE)
        if os.path.isdir(TRACE):
            os.rmdir(TRACE)

    def times(self, request: tuple[str, str]) -> int:
        return sum((self.asked or {}).get(name, 0) for name in request)


class Probe:
    """A file that is written, synced and read back from the disk."""

    def __init__(self) -> None:
        self.path = f"{MNT}/reviewbot-iomap"
        self.error = ""
        self.extents: int | None = None
        with Counting() as self.requests:
            try:
                self.work()
            except OSError as error:
                self.error = f"{error.strerror} ({errno.errorcode.get(error.errno or 0, error.errno)})"
        try:
            self.extents = extents(self.path)
            os.unlink(self.path)
        except OSError as error:
            self.error = self.error or str(error.strerror)

    def work(self) -> None:
        data = os.urandom(4096) * (PROBE_BYTES // 4096)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        try:
            os.write(handle, data)
            os.fsync(handle)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            if os.pread(handle, PROBE_BYTES + 1, 0) != data:
                self.error = "what was written is not what is read"
        finally:
            os.close(handle)

    @property
    def moved(self) -> bool:
        """Its data moved without the server, as far as the kernel lets that be seen."""
        if self.error or not self.extents:
            return False
        times = self.requests.times
        return self.requests.asked is None or (not times(READ) + times(WRITE) and times(BEGIN) > 0)

    def why(self) -> str:
        """What is wrong with it."""
        if self.error:
            hint = ": the kernel does not accept the server's mappings" if "EUCLEAN" in self.error else ""
            return f"I/O on a new file fails: {self.error}{hint}"
        upcalls = ", ".join(f"{count} FUSE_{name[0]}" for name in (READ, WRITE) if (count := self.requests.times(name)))
        if upcalls or not self.extents:
            said = f"its data went through the server ({upcalls})" if upcalls else "FIEMAP knows no extent of it"
            return f"I/O on a new file does not use iomap, {said}: it needs FUSE_ATTR_IOMAP and FUSE_ATTR_EXCLUSIVE"
        return "no FUSE_IOMAP_BEGIN was seen while writing a new file"


def prove() -> tuple[dict[str, object], str]:
    """Facts about the mount at MNT, and what is missing, in one line; nothing when its I/O is done by iomap."""
    # The warning ends without a newline, so nobody sees it until something else is said.
    note("reviewbot: mounted to see iomap")
    warned, flags = b"EXPERIMENTAL iomap" in since_mounting(), offered()
    if not warned:
        return {"iomap_warning": False, "iomap_flags": said(flags)}, why_not_negotiated(flags)
    probe = Probe()
    asked = probe.requests.asked
    facts: dict[str, object] = {
        "iomap_warning": True,
        "iomap_flags": said(flags),
        "iomap_extents": said(probe.extents),
        "iomap_probe": "this kernel does not count requests"
        if asked is None
        else ", ".join(f"{probe.requests.times(name)} FUSE_{name[0]}" for name in (BEGIN, READ, WRITE)),
    }
    return facts, "" if probe.moved else probe.why()


def said(value: int | None) -> int | str:
    return "unknown" if value is None else value


def why_not_negotiated(flags: int | None) -> str:
    """Kernel, library and server have to want it; the first that does not is named as far as it can be seen."""
    if not flags and not os.path.exists(SWITCH):
        return f"this kernel has no {SWITCH} and offers no iomap: some of the patches are missing"
    if flags == 0:
        return "the kernel does not offer iomap although it is switched on: the patch that enables it is missing"
    pid = read(f"{RUN}/servers/{os.path.basename(device())}.pid").strip()
    caps = re.search(r"^CapEff:\s*([0-9a-f]+)", read(f"/proc/{pid}/status"), re.MULTILINE)
    if caps and not int(caps[1], 16) >> CAP_SYS_RAWIO & 1:
        return "the server has no CAP_SYS_RAWIO, so the kernel does not offer it iomap"
    # Other servers may have said it before: the helper begins the words of each with a line of its own.
    words = read(f"{RUN}/server.log").rpartition("\n== ")[2]
    if refused := re.search(r"[^\n]*could not enable iomap[^\n]*", words, re.IGNORECASE):
        return (
            f"the kernel offers iomap and the server does not use it: `{refused[0].strip()}` "
            "(its library does not pass it on, the device is no block device, or the patch that enables it is missing)"
        )
    return "the kernel offers iomap and the server did not ask for it: no `EXPERIMENTAL iomap` in the kernel's log"


def why_not_mounted() -> str:
    """What the kernel says of iomap since the mount began, if it kills the mount; or nothing."""
    note("reviewbot: the mount failed")
    found = re.search(rb"could not configure iomap[^\n]*", since_mounting())
    return f"the kernel refused the server's configuration: `{found[0].decode(errors='replace')}`" if found else ""


def note(words: str) -> None:
    """Put a line into the kernel's log."""
    handle = os.open(KMSG, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    os.write(handle, f"<6>{words}\n".encode())
    os.close(handle)


def since_mounting() -> bytes:
    return kernel_log().rpartition(MOUNTING.encode())[2]


def kernel_log() -> bytes:
    """All messages in the kernel's ring buffer."""
    handle = os.open(KMSG, os.O_RDONLY | os.O_NONBLOCK)
    lines = []
    try:
        while True:
            try:
                lines.append(os.read(handle, 8192))
                if not lines[-1]:
                    return b"".join(lines)
            except BrokenPipeError:
                continue  # overwritten while we read
            except BlockingIOError:
                return b"".join(lines)
    finally:
        os.close(handle)
