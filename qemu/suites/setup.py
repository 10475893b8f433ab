# SPDX-License-Identifier: GPL-2.0-or-later
"""First step of every leg: name the server, check what the leg rests on, and say what really runs.

Prints one JSON object per line: {"proof": {name: value}} or {"problem": "one line"}. A problem (exit status 1) is
about the machine or the images. That mke2fs or a mount fails is no such problem: the suites find and report it.
"""

import hashlib
import json
import os
import subprocess
import time

import containment
import iomap
from guest import FSTYP, MNT, RUN, SERVER, Failed, NotRun, device, mkfs, mount, mount_line, read, server_log, umount


class Problem(Exception):
    """Why the leg cannot count."""


class Unproven(Problem):
    """The stack does not do what the leg demands: it may be new that it does not, so base is asked."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what} was required but could not be verified: {why}")
        prove(unproven=what)


def say(**words: object) -> None:
    print(json.dumps(words), flush=True)


def prove(**facts: object) -> None:
    say(proof=facts)


def find(program: str) -> str:
    """Path of a program on PATH, or an empty string."""
    for place in os.environ["PATH"].split(":"):
        if os.access(f"{place}/{program}", os.X_OK):
            return f"{place}/{program}"
    return ""


def sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_kernel(demands: list[str]) -> None:
    """The kernel has the filesystem; what the leg demands is switched on."""
    with open("/proc/filesystems") as file:
        known = file.read().split()
    wanted = "fuse" if SERVER else FSTYP
    if wanted not in known:
        raise Problem(f"this kernel has no {wanted} filesystem")
    if SERVER and not os.path.exists("/dev/fuse"):
        raise Problem("there is no /dev/fuse")
    if SERVER and (problem := iomap.switch("iomap" in demands)):
        raise Problem(problem)


def check_programs() -> None:
    os.makedirs(RUN, exist_ok=True)
    if SERVER:
        with open(f"{RUN}/server", "w") as file:
            file.write(SERVER + "\n")
    for program in (SERVER, "mke2fs", "e2fsck"):
        path = find(program) if program else "-"
        if not path:
            raise Problem(f"{program} is not on PATH ({os.environ['PATH']})")
        if program:
            prove(**{f"sha256:{path}": sha256(path)})


def prove_libraries() -> None:
    """Hash of the libfuse that the running server has mapped: what it links is no matter of trust."""
    with open(f"{RUN}/servers/{os.path.basename(device())}.pid") as file:
        pid = int(file.read())
    maps = read(f"/proc/{pid}/maps").decode(errors="replace").split("\n")
    paths = {line.split(maxsplit=5)[5] for line in maps if line.count("/") and ".so" in line}
    prove(server=os.readlink(f"/proc/{pid}/exe"))
    for path in sorted(p for p in paths if "/libfuse" in p or "/libext2fs" in p):
        prove(**{f"sha256:{path}": sha256(path)})


PROOFS = {"iomap": iomap.prove, "containment": containment.prove}


def prove_demand(demand: str) -> None:
    facts, missing = PROOFS[demand]()
    prove(**facts)
    if missing:
        raise Unproven(demand, missing)


def prove_versions() -> None:
    """What the kernel's FUSE and the server say of themselves."""
    init = [line for line in iomap.kernel_log().decode(errors="replace").split("\n") if "fuse: init" in line]
    if init:
        prove(fuse_init=init[0].partition(";")[2][:200])
    if SERVER:
        try:
            done = subprocess.run([SERVER, "-V"], capture_output=True, timeout=20, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return
        words = (done.stderr + done.stdout).decode(errors="replace").split("\n")
        prove(server_version="; ".join(filter(None, (word.strip() for word in words)))[:400])


def try_mount(demands: list[str]) -> None:
    """Make both filesystems, mount one once. Only what was demanded may fail the leg."""
    try:
        mkfs("TEST_DEV")
        mkfs("SCRATCH_DEV")
        if "iomap" in demands:
            iomap.note(iomap.MOUNTING)
        started = time.monotonic()
        mount()
        prove(mount_seconds=round(time.monotonic() - started, 2))
    except (Failed, NotRun) as why:
        print(server_log(), end="")
        prove(mount=f"failed: {why}")
        if demands:
            said = containment.why_not_mounted() if "containment" in demands else iomap.why_not_mounted()
            raise Unproven(", ".join(demands), said or str(why)) from None
        return
    line = mount_line()
    prove(mount=f"{line[1] if line else FSTYP} rw")
    try:
        if SERVER:
            prove_libraries()
        for demand in demands:
            prove_demand(demand)
    finally:
        umount()


def main(demands: list[str]) -> int:
    try:
        for serial in ("TEST_DEV", "SCRATCH_DEV"):
            device(serial)
        for place in (MNT, "/mnt/scratch"):
            os.makedirs(place, exist_ok=True)
        check_kernel(demands)
        check_programs()
        containment.demand("containment" in demands)
        prove_versions()
        try_mount(demands)
    except (Problem, Failed) as why:
        say(problem=str(why))
        return 1
    return 0
