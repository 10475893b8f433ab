# SPDX-License-Identifier: GPL-2.0-or-later
"""The QEMU command line, each odd flag with its reason, and the files that it names."""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reviewbot.host.files import remove_tree
from reviewbot.model.lab import GuestJob

QEMU = "qemu-system-x86_64"
KERNEL, MEMORY = "kernel", "memory"
"""Names of descriptors that QEMU inherits; `disk_name` has those of disks."""
READ_ONLY = ":ro"
SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
"""QEMU's own seccomp filter: it starts no program, changes no user, and asks for no other priority."""
PROBE_MEMORY = 512
"""MiB of a machine that only shows whether it boots."""
RESULTS_BYTES = 256 << 20
"""Size of the results disk (sparse)."""


@dataclass(frozen=True, slots=True)
class Places:
    """Files of one running machine."""

    sockets: Path
    """Short: a unix socket's path has at most 107 bytes."""
    disks: Path
    logs: Path

    @property
    def qmp(self) -> Path:
        return self.sockets / "qmp"

    @property
    def control(self) -> Path:
        return self.sockets / "control"

    @property
    def results(self) -> Path:
        return self.sockets / "results"

    @property
    def results_disk(self) -> Path:
        return self.disks / "results.img"

    @property
    def keyboard(self) -> Path:
        """What is written here is typed at the console."""
        return self.sockets / "console"

    @property
    def console(self) -> Path:
        return self.logs / "console.log"


@dataclass(frozen=True, slots=True)
class Memory:
    """The guest's memory in a file."""

    file: Path
    restored: bool
    """False: the guest's memory is the file. True: the file is how it begins, and each machine keeps to itself what it
    changes; QEMU then waits to be told where the state of the devices is."""


def make_disks(job: GuestJob, places: Places) -> None:
    """The machine's own disks, empty, whatever was there before."""
    remove_tree(places.disks)
    places.disks.mkdir(parents=True)
    sizes = {"results": RESULTS_BYTES, **{disk.serial: disk.size for disk in job.disks}}
    for serial, size in sizes.items():
        with (places.disks / f"{serial}.img").open("wb") as file:
            file.truncate(size)


def kernel_line(*, accelerator: str, extra: Sequence[str] = ()) -> str:
    """Kernel command line."""
    words = [
        "root=/dev/vda", "ro", "init=/sbin/reviewbot-init",
        "console=ttyS0",  # works before virtio does, so that an early panic is seen
        "console=hvc0",
        "loglevel=5",  # warnings and worse; the agent reads everything from /dev/kmsg
        "panic=-1",  # reboot at once, which -no-reboot turns into QEMU's end
        "oops=panic",  # a kernel that oopsed may hold locks for ever; nothing after it counts
        "mitigations=off", "no_timer_check", "random.trust_cpu=1",
        "net.ifnames=0", "raid=noautodetect", "reboot=t",
    ]  # fmt: skip
    if accelerator == "tcg":
        # An emulated CPU is descheduled for seconds when the host is busy; these would be reported as stalls.
        words += ["rcupdate.rcu_cpu_stall_timeout=300", "nowatchdog", "hung_task_timeout_secs=600", "tsc=unstable"]
        # QEMU translates code for the address it runs at. A library at a new address in each process is translated
        # again in each process, which makes starting a program some four times slower.
        words.append("norandmaps")
    return " ".join([*words, *extra])


def command(
    job: GuestJob,
    accelerator: str,
    places: Places,
    memory: Memory | None = None,
    wires: Mapping[str, int] | None = None,
) -> list[str]:
    """argv of QEMU for one job. memory: for a machine that will be saved, or that is restored.

    wires: descriptors that QEMU inherits (see `lab.wires` and `lab.held`), so that it opens no file of ours by path.
    None: QEMU opens the files and makes sockets and logs at `places`; such a command can be read, and run by hand.
    """
    cpus = min(job.cpus, os.cpu_count() or 1)
    return [
        QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-name", job.name,
        *_machine(accelerator, ",memory-backend=memory" if memory else ""),
        *_given(wires), "-sandbox", SANDBOX,
        "-m", str(job.memory), "-smp", str(cpus), *(_memory(job, memory, wires) if memory else ()),
        "-kernel", _opened(KERNEL, job.kernel, wires),
        "-append", kernel_line(accelerator=accelerator, extra=job.kernel_line),
        *_disk(Path(job.root), "root", wires, read_only=True),
        *_disk(Path(job.payload), "payload", wires, read_only=True),
        *_disk(places.results_disk, "results", wires, read_only=False),
        *(word for disk in job.disks
          for word in _disk(places.disks / f"{disk.serial}.img", disk.serial, wires, read_only=False)),
        "-object", "rng-random,id=rng,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng",
        *_consoles(places, wires),
        *_port("control", places.control, wires), *_port("results", places.results, wires),
        *(word for name in job.ports for word in _port(name, places.sockets / name, wires)),
        "-chardev", _line("qmp", places.qmp, wires), "-mon", "chardev=qmp,mode=control",
    ]  # fmt: skip


def _consoles(places: Places, wires: Mapping[str, int] | None) -> list[str]:
    """The serial one, which is there first, and that of virtio, which is faster.

    The latter is a socket that nobody reads, so that keys can be sent; what the guest says goes to a log as well.
    """
    if wires is None:
        early, log = _quoted(places.logs / "serial.log"), _quoted(places.console)
        end = f"path={_quoted(places.keyboard)}"
    else:
        # `append`, or QEMU would truncate the file, which no pipe takes.
        early, log = f"/dev/fdset/{wires['early']},append=on", f"/dev/fdset/{wires['console']},logappend=on"
        end = f"fd={wires['keyboard']}"
    return [
        "-chardev", f"file,id=early,path={early}", "-serial", "chardev:early",
        "-device", "virtio-serial-pci,id=ports",
        "-chardev", f"socket,id=console,{end},server=on,wait=off,logfile={log}",
        "-device", "virtconsole,chardev=console",
    ]  # fmt: skip


def disk_name(serial: str, *, read_only: bool = False) -> str:
    """Name of the descriptor of a disk; of one that is written, QEMU has two, for it reads the size before."""
    return f"disk-{serial}" + (READ_ONLY if read_only else "")


def _given(wires: Mapping[str, int] | None) -> list[str]:
    """Descriptors that QEMU is to know as files, under their own numbers: `/dev/fdset/NUMBER`."""
    words = []
    for name, number in (wires or {}).items():
        if wires and (name in ("early", "console") or name.startswith("disk-")):
            words += ["-add-fd", f"fd={number},set={wires[name.removesuffix(READ_ONLY)]}"]
    return words


def _opened(name: str, path: str, wires: Mapping[str, int] | None) -> str:
    """What QEMU takes by name only."""
    return path if wires is None else f"/proc/self/fd/{wires[name]}"


def _memory(job: GuestJob, memory: Memory, wires: Mapping[str, int] | None) -> list[str]:
    share = "off" if memory.restored else "on"
    path = _opened(MEMORY, _quoted(memory.file), wires)
    words = ["-object", f"memory-backend-file,id=memory,size={job.memory}M,share={share},mem-path={path}"]
    return [*words, "-incoming", "defer"] if memory.restored else words


def _machine(accelerator: str, options: str = "") -> list[str]:
    if accelerator == "kvm":
        return ["-machine", f"q35,accel=kvm{options}", "-cpu", "host"]
    # `pc` has fewer PCI bridges to probe than q35: half a second under emulation. 512 MB of translated code is room
    # for a kernel and its user space; QEMU's default throws code away and translates it again. One thread for all CPUs:
    # a server and its client wake each other for each request, and a thread of its own would sleep and wake as often.
    return ["-machine", f"pc{options}", "-accel", "tcg,thread=single,tb-size=512", "-cpu", "max,la57=off"]


def _quoted(path: Path) -> str:
    """A path as the value of an option; a comma ends one, two are a comma."""
    return str(path).replace(",", ",,")


def _disk(path: Path, serial: str, wires: Mapping[str, int] | None = None, *, read_only: bool) -> list[str]:
    # Several machines read the same image; QEMU's lock would refuse that. What the disks hold is worth nothing after
    # the machine's end, so no host flush is wanted.
    file = _quoted(path) if wires is None else f"/dev/fdset/{wires[disk_name(serial)]}"
    options = f"if=none,id=d-{serial},format=raw,file.filename={file},file.locking=off"
    options += ",cache=unsafe,discard=unmap" + (",readonly=on" if read_only else "")
    return ["-drive", options, "-device", f"virtio-blk-pci,drive=d-{serial},serial={serial}"]


def _port(name: str, path: Path, wires: Mapping[str, int] | None) -> list[str]:
    return [
        "-chardev",
        _line(f"c-{name}", path, wires, name),
        "-device",
        f"virtserialport,chardev=c-{name},name={name}",
    ]


def _line(chardev: str, path: Path, wires: Mapping[str, int] | None, name: str = "qmp") -> str:
    """A socket to the host: connected already, or made by QEMU."""
    end = f"path={_quoted(path)},server=on,wait=off" if wires is None else f"fd={wires[name]}"
    return f"socket,id={chardev},{end}"


def probe_command(
    kernel: Path, root: Path, accelerator: str, log: Path, wires: Mapping[str, int] | None = None
) -> list[str]:
    """argv of a machine that only shows that it can run the kernel up to init. wires: see `command`."""
    line = kernel_line(accelerator=accelerator, extra=["reviewbot.probe"])
    early = _quoted(log) if wires is None else f"/dev/fdset/{wires['early']},append=on"
    return [
        QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", *_machine(accelerator),
        *_given(wires), "-sandbox", SANDBOX,
        "-m", str(PROBE_MEMORY), "-kernel", _opened(KERNEL, str(kernel), wires), "-append", line,
        *_disk(root, "root", wires, read_only=True),
        "-chardev", f"file,id=early,path={early}", "-serial", "chardev:early",
    ]  # fmt: skip


def bare_command(job: GuestJob, accelerator: str, env: Mapping[str, str]) -> str:
    """Lines for a POSIX shell that boot the job's machine to a shell on its console, with no host side of ours.

    env: of the guest's shell; values hold no quotes. The agent's ports are not there, nor is the results disk.
    """
    for_init = [f'{name}="{value}"' for name, value in env.items()]
    cpus = min(job.cpus, os.cpu_count() or 1)
    line = kernel_line(accelerator=accelerator, extra=[*job.kernel_line, "reviewbot.shell", *for_init])
    files = {disk.serial: Path("$disks") / f"{disk.serial}.img" for disk in job.disks}
    argv = [
        QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-name", job.name,
        *_machine(accelerator), "-m", str(job.memory), "-smp", str(cpus), "-kernel", job.kernel,
        "-append", line.replace("console=hvc0 ", ""),
        *_disk(Path(job.root), "root", read_only=True), *_disk(Path(job.payload), "payload", read_only=True),
        *(word for serial, path in files.items() for word in _disk(path, serial, read_only=False)),
        "-object", "rng-random,id=rng,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng",
        "-serial", "mon:stdio",
    ]  # fmt: skip
    disks = [f"truncate -s {disk.size} {files[disk.serial]}" for disk in job.disks]
    words = [word if "=$disks/" in word else shlex.quote(word) for word in argv]
    return " &&\n".join(["disks=$(mktemp -d)", *disks, " ".join(words)])
