# SPDX-License-Identifier: GPL-2.0-or-later
"""kvm or tcg: a /dev/kvm that opens proves nothing, so boot the real kernel once and remember."""

import functools
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from reviewbot.host.files import write_atomic
from reviewbot.host.locks import locked
from reviewbot.host.process import CommandFailed, CommandTimeout, ToolMissing, run
from reviewbot.lab.held import held_images
from reviewbot.lab.launch import KVM, launched
from reviewbot.lab.machine import PROBE_MEMORY, QEMU, probe_command
from reviewbot.lab.wires import Wires, wired
from reviewbot.model.errors import InfraError
from reviewbot.model.progress import Event, Progress, silent

PROBE_LIMIT = 13.0
"""Seconds a probe may take; with QEMU's start and end it stays below 15."""
ALIVE = "reviewbot-init: alive"
"""What the guest's init says on the serial console when it is asked for no more."""


@dataclass(frozen=True, slots=True)
class Accelerator:
    """What QEMU uses here, and why."""

    name: Literal["kvm", "tcg"]
    why: str
    unconfirmed: str = ""
    """Why kvm did not boot the kernel at hand, when nothing has shown yet that the kernel boots at all."""


class NoAccelerator(InfraError):
    """kvm was demanded and does not work."""


def choose_accelerator(
    policy: Literal["auto", "kvm", "tcg"], kernel: Path, root: Path, cache: Path, progress: Progress = silent
) -> Accelerator:
    """`auto` probes once per host and QEMU version; the answer is kept in `<cache>/accelerator.json`.

    That kvm does not work is kept by `confirm` only: the kernel under test may be one that boots nowhere.
    Raises ToolMissing when there is no QEMU, NoAccelerator when the policy is kvm and a kernel does not boot with it.
    """
    version = qemu_version()
    if policy == "tcg":
        return Accelerator("tcg", "the site file says so")
    if not KVM.exists():
        return _without_kvm(policy, f"there is no {KVM}")
    if not os.access(KVM, os.R_OK | os.W_OK):
        return _without_kvm(policy, f"this user has no permission to open {KVM}")
    store = cache / "accelerator.json"
    key = this_host(version)
    with locked(cache / "locks" / "accelerator.lock"):
        known = _known(store)
        if key not in known:
            progress(Event("lab", "accelerator", "start", f"checking whether {KVM} works", expected=PROBE_LIMIT))
            answer = _probe(kernel, root)
            told = "KVM does not run a kernel here, so the CPU is emulated" if answer else "KVM works"
            progress(Event("lab", "accelerator", "done", told))
            if answer:
                return replace(_without_kvm(policy, answer), unconfirmed=answer)
            known[key] = ""
            write_atomic(store, json.dumps(known, indent=1))
    if known[key]:
        return _without_kvm(policy, known[key])
    return Accelerator("kvm", f"{KVM} booted a kernel")


def confirm(accelerator: Accelerator, cache: Path) -> None:
    """A guest answered without kvm: the kernel boots, so it was kvm that did not work here. Remember that."""
    if accelerator.unconfirmed:
        store = cache / "accelerator.json"
        with locked(cache / "locks" / "accelerator.lock"):
            known = {**_known(store), this_host(qemu_version()): accelerator.unconfirmed}
            write_atomic(store, json.dumps(known, indent=1))


def answered_before(cache: Path) -> str | None:
    """Why kvm does not run a kernel on this host, empty if it does; None: no run has found out, or there is no QEMU."""
    try:
        return _known(cache / "accelerator.json").get(this_host(qemu_version()))
    except (ToolMissing, CommandFailed, CommandTimeout):
        return None


def this_host(version: str) -> str:
    """What an answer about QEMU on this machine is good for. version: of QEMU."""
    return f"{os.uname().nodename} {os.uname().release} qemu {version}"


def _without_kvm(policy: str, why: str) -> Accelerator:
    if policy == "kvm":
        raise NoAccelerator(f"kvm is required, but {why}", hint="set `accelerator: auto` in the site file")
    return Accelerator("tcg", f"{why}, so the CPU is emulated (10 to 20 times slower)")


def qemu_version() -> str:
    """`7.2.22`. Raises ToolMissing when there is no QEMU."""
    program = shutil.which(QEMU)
    return _asked_once(program, Path(program).stat().st_mtime_ns) if program else _version(QEMU)


@functools.cache
def _asked_once(program: str, changed: int) -> str:
    """Each machine wants to know, and the answer takes 30 ms. changed: when the program was."""
    return _version(program)


def _version(program: str) -> str:
    said = run([program, "--version"], timeout=20).output
    match = re.search(r"version (\S+)", said)
    return match[1] if match else "unknown"


def _known(store: Path) -> dict[str, str]:
    """Host -> why kvm does not work there; empty if it does. A damaged file counts as none."""
    try:
        data = json.loads(store.read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(k): str(v) for k, v in data.items()} if isinstance(data, dict) else {}


def _probe(kernel: Path, root: Path) -> str:
    """Why kvm does not work, or an empty string."""
    with tempfile.TemporaryDirectory(prefix="reviewbot-") as name:
        folder = Path(name)
        with wired(folder, folder / "keyboard", held_images({"root": root}, kernel)) as wires:
            argv = probe_command(kernel, root, "kvm", wires.serial.path, wires.numbers)
            with launched(argv, wires, PROBE_MEMORY) as running:
                return _watched(running.process, wires)


def _watched(qemu: "subprocess.Popen[bytes]", wires: Wires) -> str:
    started = time.monotonic()
    while time.monotonic() - started < PROBE_LIMIT:
        over = qemu.poll() is not None
        if ALIVE in wires.serial.since(0):
            return ""
        if over:
            words = wires.said.since(0).strip().splitlines()
            return f"QEMU exited: {words[-1] if words else f'status {qemu.returncode}'}"
        time.sleep(0.1)
    reached = "reached the kernel but not init" if wires.serial.seen else "printed nothing"
    return f"{KVM} can be opened, but a kernel {reached} within {PROBE_LIMIT:.0f} s"
