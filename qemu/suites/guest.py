# SPDX-License-Identifier: GPL-2.0-or-later
"""What the guest's side of every suite shares: the leg's settings, mounts, and how a check says its outcome.

Exit status: 0 PASS, those of protocol.py, anything else FAIL. The last line of the output is the reason. Runs with
Python 3.11 and nothing but its standard library.
"""

import ctypes
import errno
import os
import re
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from protocol import DEATH, NOTRUN

PASS, FAIL = 0, 1

RUN = os.environ.get("REVIEWBOT_RUN", "/run/reviewbot")
FSTYP = os.environ.get("LEG_FSTYP", "ext4")
SERVER = os.environ.get("LEG_SERVER", "")
MOUNT_OPTIONS = os.environ.get("LEG_MOUNT_OPTIONS", "")
MKFS_OPTIONS = os.environ.get("LEG_MKFS_OPTIONS", "").split()
SCRATCH_MKFS_OPTIONS = os.environ.get("LEG_SCRATCH_MKFS_OPTIONS", "").split()
MNT = os.environ.get("LEG_MNT", "/mnt/test")


_UNMOUNTABLE = f"{RUN}/unmountable"
"""Why the server cannot be mounted: there once a mount hung, for each of forty checks would wait as long."""
_HANGS = 60
"""Seconds from which on a mount that fails has hung."""


class NotRun(Exception):
    """The check does not apply here; the text says why."""


class Failed(Exception):
    """The filesystem did something wrong; the text says what."""


_SHOWN = 120
"""Characters of a value that a message shows."""


def expect(condition: bool, text: str) -> None:
    """Raises Failed(text) unless the condition holds."""
    if not condition:
        raise Failed(text)


def equal(got: object, wanted: object, what: str) -> None:
    """Raises Failed that shows both when they differ; of what is too long, where they differ first."""
    if got == wanted:
        return
    shown = _SHOWN // 3 if isinstance(got, bytes) else _SHOWN  # random bytes tell nobody anything
    if max(len(repr(got)), len(repr(wanted))) <= shown:
        raise Failed(f"{what}: got {got!r}, expected {wanted!r}")
    here, there = (one if isinstance(one, str | bytes) else str(one) for one in (got, wanted))
    ends = min(len(here), len(there))
    same = next((at for at in range(ends) if here[at] != there[at]), ends)
    unit = "byte" if isinstance(here, bytes) else "character"
    lengths = f" (got {len(here)} {unit}s, expected {len(there)})" if len(here) != len(there) else ""
    parts = f"{here[same : same + shown // 4]!r} instead of {there[same : same + shown // 4]!r}"
    raise Failed(f"{what}: differs from {unit} {same} on: {parts}{lengths}")


def refused(number: int, what: str, function: Callable[..., object], *words: object) -> None:
    """Raises Failed unless the call fails with this errno."""
    try:
        function(*words)
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, str(error.errno))
        equal(name, errno.errorcode[number], what)
    else:
        raise Failed(f"{what} succeeded, expected {errno.errorcode[number]}")


@contextmanager
def supported(what: str, *numbers: int) -> Iterator[None]:
    """Raises NotRun when the operation is refused with one of these errnos: the filesystem does not have it."""
    try:
        yield
    except OSError as error:
        if error.errno not in numbers:
            raise
        raise NotRun(f"no {what} here ({errno.errorcode[error.errno]})") from None


def renameat2(source: str, target: str, flags: int) -> None:
    """Raises OSError. Python has no rename with flags."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(-100, os.fsencode(source), -100, os.fsencode(target), flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), source)


def device(serial: str = "TEST_DEV") -> str:
    """Path of the disk with this serial, resolved: /dev/vdd."""
    given = os.environ.get(f"LEG_{serial}")
    path = os.path.realpath(given or f"/dev/disk/by-serial/{serial}")
    if not os.path.exists(path):
        raise Failed(f"there is no disk with serial {serial}")
    return path


def run(*argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command; raises Failed with its last words when it fails, NotRun when it is not installed."""
    try:
        done = subprocess.run(
            argv,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except FileNotFoundError:
        raise NotRun(f"{argv[0]} is not installed in the guest") from None
    if check and done.returncode:
        print(done.stdout, end="")
        words = done.stdout.strip().splitlines() or ["no output"]
        raise Failed(f"{argv[0]} ended with status {done.returncode}: {words[-1]}")
    return done


def mount_line(folder: str = MNT) -> tuple[str, str, str] | None:
    """(source, type, options) of what is mounted there, or None."""
    found = None
    with open("/proc/self/mounts") as file:
        for line in file:
            source, place, kind, options = line.split()[:4]
            if place == folder:
                found = (source, kind, options)
    return found


def mkfs(serial: str = "TEST_DEV") -> None:
    """Make the leg's filesystem on a disk, as fstests would."""
    options = SCRATCH_MKFS_OPTIONS if serial == "SCRATCH_DEV" else MKFS_OPTIONS
    quiet = ("-F", "-q") if FSTYP == "ext4" else ()
    run(f"mkfs.{FSTYP}", *quiet, *options, device(serial))


def mount(folder: str = MNT, options: str = "rw") -> None:
    """Mount TEST_DEV. Raises Failed when it is not mounted as the leg's type afterwards, writable unless it is to be
    `ro`: then some servers refuse to write, and their mount says `rw`.
    """
    if os.path.exists(_UNMOUNTABLE):
        raise Failed(read(_UNMOUNTABLE).decode())
    os.makedirs(folder, exist_ok=True)
    wanted = ",".join(filter(None, (MOUNT_OPTIONS, "" if options == "rw" else options)))
    started = time.monotonic()
    try:
        run("mount", "-t", FSTYP, *(("-o", wanted) if wanted else ()), device(), folder)
    except Failed as why:
        if time.monotonic() - started >= _HANGS:
            with open(_UNMOUNTABLE, "w") as file:
                file.write(f"{why} (it is not tried again)")
        raise
    line = mount_line(folder)
    if line is None:
        raise Failed(f"mount(8) succeeded but nothing is mounted on {folder}")
    equal(line[1].replace("fuseblk.", "fuse."), FSTYP, "type of the mount")  # a server may mount a block device as such
    expect(options == "ro" or "rw" in line[2].split(","), f"mounted read-only: {line[2]}")


def umount(folder: str = MNT) -> None:
    run("umount", folder)


def remount() -> None:
    """Unmount and mount again: what is read afterwards comes from the disk."""
    umount()
    mount()


def ensure_mounted() -> None:
    """Mount TEST_DEV unless it is; a mount whose server died is cleared away first."""
    if mount_line() is not None:
        try:
            os.statvfs(MNT)
            return
        except OSError:
            run("umount", "-l", MNT, check=False)
    mount()


def folder(name: str) -> str:
    """A new, empty folder on the mounted filesystem, and the current directory from now on."""
    ensure_mounted()
    path = f"{MNT}/{name}"
    if os.path.isdir(path):
        run("rm", "-rf", path)
    os.mkdir(path)
    return path


def write(path: str, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)


def read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def deaths() -> list[str]:
    """One line for each server that ended while it should serve."""
    try:
        with open(f"{RUN}/deaths") as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []


def log_size() -> int:
    try:
        return os.stat(f"{RUN}/server.log").st_size
    except FileNotFoundError:
        return 0


def server_options() -> str:
    """Options with which the mount helper started the server of TEST_DEV last; empty when it did not."""
    text = read(f"{RUN}/server.log").decode(errors="replace") if log_size() else ""
    line = rf"^== {re.escape(SERVER)} -f {re.escape(device())} \S+ -o (\S+)$"
    return next(reversed(re.findall(line, text, re.MULTILINE)), "")


def server_log(start: int = 0, lines: int = 15) -> str:
    """What the servers said since the log had `start` bytes, without the helpers' own lines."""
    if not log_size():
        return ""
    text = read(f"{RUN}/server.log")[start:].decode(errors="replace")
    said = [line for line in text.splitlines() if not line.startswith("== ")]
    return "".join(f"server: {line}\n" for line in said[-lines:])


def conclude(check: Callable[[], object]) -> int:
    """Run one check and say its outcome: the exit status, and the reason as the last line."""
    before, start = len(deaths()), log_size()
    status, reason = PASS, ""
    try:
        check()
    except NotRun as why:
        status, reason = NOTRUN, str(why)
    except Failed as why:
        status, reason = FAIL, str(why)
    except Exception as error:
        traceback.print_tb(error.__traceback__, limit=-4, file=sys.stdout)
        where = [frame.line for frame in traceback.extract_tb(error.__traceback__)]
        status, reason = FAIL, f"{type(error).__name__}: {error}, in {(where or ['?'])[-1]}"
        if isinstance(error, OSError) and error.errno == errno.ENOTCONN:
            status = DEATH
    died = deaths()[before:]
    if died or status == DEATH:
        status, reason = DEATH, f"server died: {'; '.join(died) or reason}"
    if status not in (PASS, NOTRUN):
        print(server_log(start), end="")
    if reason:
        print(reason.replace("\n", " "))
    return status
