# SPDX-License-Identifier: GPL-2.0-or-later
"""What the kernel offers a FUSE server when it is mounted, and what the leg's server takes of that.

Says so in a line for `reviewbot.suites.made`, `made features NAME…`: `kernel.ASYNC_READ` for a flag of FUSE_INIT,
`server.max_write-65536` for a number that is at least that, for each power of two from a page on.
"""

import contextlib
import ctypes
import os
import socket
import struct
import subprocess

import containment
from guest import RUN, SERVER, Failed, NotRun, device, equal, server_options

FLAGS = (
    "ASYNC_READ", "POSIX_LOCKS", "FILE_OPS", "ATOMIC_O_TRUNC", "EXPORT_SUPPORT", "BIG_WRITES", "DONT_MASK",
    "SPLICE_WRITE", "SPLICE_MOVE", "SPLICE_READ", "FLOCK_LOCKS", "HAS_IOCTL_DIR", "AUTO_INVAL_DATA",
    "DO_READDIRPLUS", "READDIRPLUS_AUTO", "ASYNC_DIO", "WRITEBACK_CACHE", "NO_OPEN_SUPPORT", "PARALLEL_DIROPS",
    "HANDLE_KILLPRIV", "POSIX_ACL", "ABORT_ERROR", "MAX_PAGES", "CACHE_SYMLINKS", "NO_OPENDIR_SUPPORT",
    "EXPLICIT_INVAL_DATA", "MAP_ALIGNMENT", "SUBMOUNTS", "HANDLE_KILLPRIV_V2", "SETXATTR_EXT", "INIT_EXT",
    "INIT_RESERVED", "SECURITY_CTX", "HAS_INODE_DAX", "CREATE_SUPP_GROUP", "HAS_EXPIRE_ONLY",
    "DIRECT_IO_ALLOW_MMAP", "PASSTHROUGH", "NO_EXPORT_SUPPORT", "HAS_RESEND", "ALLOW_IDMAP", "OVER_IO_URING",
    "REQUEST_TIMEOUT",
)  # fmt: skip
"""From bit 0 on, as in include/uapi/linux/fuse.h; of others the number is the name."""
_INIT = 26
_IN_HEADER, _INIT_IN = 40, "IIIII"
"""struct fuse_in_header in bytes; of struct fuse_init_in: major, minor, max_readahead, flags, flags2."""
_OUT_HEADER, _INIT_OUT = "IiQ", "IIIIHHIIHHI"
"""struct fuse_out_header; of struct fuse_init_out: as above, but before flags2 max_background, congestion_threshold,
max_write, time_gran, max_pages, map_alignment.
"""
_REQUEST = (1 << 20) + 4096
"""Bytes that a read(2) of /dev/fuse has to have room for."""
_LIMIT = 15.0


def negotiation() -> None:
    """The kernel begins with FUSE_INIT, and the server answers it."""
    if not SERVER:
        raise NotRun("no server is tested")
    request = _offered()
    said = _kernel_names(request)
    answer = _answered(request)
    if answer:
        said += _server_names(answer)
    print(f"made features {' '.join(said)}")


def _offered() -> bytes:
    """The kernel's first request, of a mount that nobody serves."""
    place = f"{RUN}/negotiation"
    os.makedirs(place, exist_ok=True)
    handle = os.open("/dev/fuse", os.O_RDWR)
    try:
        words = f"fd={handle},rootmode=40000,user_id=0,group_id=0".encode()
        if ctypes.CDLL(None, use_errno=True).mount(b"negotiation", place.encode(), b"fuse", 0, words):
            raise Failed(f"mount(2) of fuse: {os.strerror(ctypes.get_errno())}")
        request = os.read(handle, _REQUEST)
    finally:
        os.close(handle)
        subprocess.run(["umount", "-l", place], check=False, stderr=subprocess.DEVNULL)
    equal(struct.unpack_from("I", request, 4)[0], _INIT, "opcode of the first request")
    return request


def _kernel_names(request: bytes) -> list[str]:
    _, _, readahead, low, high = struct.unpack_from(_INIT_IN, request, _IN_HEADER)
    return [*_flags("kernel", low | high << 32), *_numbers("kernel.max_readahead", readahead)]


def _server_names(answer: bytes) -> list[str]:
    fields = struct.unpack_from(_INIT_OUT, answer.ljust(80, b"\0"), struct.calcsize(_OUT_HEADER))
    _, _, readahead, low, _, _, write, _, _, _, high = fields
    numbers = [*_numbers("server.max_readahead", readahead), *_numbers("server.max_write", write)]
    return [*_flags("server", low | high << 32), *numbers]


def _flags(side: str, bits: int) -> list[str]:
    names = (FLAGS[bit] if bit < len(FLAGS) else f"bit-{bit}" for bit in range(64) if bits >> bit & 1)
    return [f"{side}.{name}" for name in names]


def _numbers(what: str, number: int) -> list[str]:
    return [f"{what}-{1 << bit}" for bit in range(12, number.bit_length())]


def _answered(request: bytes) -> bytes:
    """What the server answers, which has the other end of a socket for /dev/fuse; empty when it cannot have one.

    libfuse from version 3 on takes `/dev/fd/N` as the place to be mounted on.
    """
    options = "" if containment.demanded() else server_options()
    if not options:
        return b""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(_LIMIT)
    argv = [SERVER, "-f", device("SCRATCH_DEV"), f"/dev/fd/{its.fileno()}", "-o", options]
    server = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[its.fileno()],
        env={**os.environ, "LD_LIBRARY_PATH": "/stack/lib"},
    )
    its.close()
    try:
        ours.send(request)
        answer = ours.recv(_REQUEST)
    except OSError:
        return b""
    finally:
        server.terminate()
        ours.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(_LIMIT)
        server.kill()
        server.wait()
    if len(answer) < struct.calcsize(_OUT_HEADER):
        return b""
    equal(struct.unpack_from(_OUT_HEADER, answer)[1], 0, "error of the answer to FUSE_INIT")
    return answer


CHECKS = {"negotiation": negotiation}
