# SPDX-License-Identifier: GPL-2.0-or-later
"""What the lab is asked to do and what it brings back. The lab knows steps, not suites."""

from typing import Literal

from pydantic import AwareDatetime

from reviewbot.model.artifacts import Fact
from reviewbot.model.base import Model
from reviewbot.model.deaths import Death, ServerError
from reviewbot.model.figures import ServerFigures
from reviewbot.model.splats import SplatClass


class GuestStep(Model):
    """One command for the guest's agent."""

    name: str
    """Unique within a job, `smoke/rename`, `fstests/generic/001`."""
    argv: tuple[str, ...]
    env: dict[str, str] = {}
    """Added to the agent's own small environment."""
    timeout: float
    """Seconds on a machine of slow factor 1; the lab multiplies."""
    still: float = 0.0
    """Seconds, on any machine: it is ended when so long nothing moves though somebody waits for an answer; 0: never."""
    collect: tuple[str, ...] = ()
    """Files and folders in the guest whose contents come back under the step's log folder."""
    gate: bool = False
    """True: when it fails, the rest of the job is not run."""
    measure: bool = False
    """True: the agent measures the FUSE servers that live during it."""
    known: str = ""
    """Not empty: no machine is to run it. It counts as NOTRUN, and this is its output."""


class Disk(Model):
    """One empty or ready-made disk for the guest; found there by serial as /dev/disk/by-serial/NAME."""

    serial: str
    """At most 20 bytes (virtio-blk)."""
    size: int
    """Bytes, for an empty one."""


class GuestJob(Model):
    """Everything one VM needs; a value, so that any machine can run it."""

    name: str
    """The leg's name; becomes the log folder."""
    kernel: str
    """Path of bzImage."""
    root: str
    """Path of the root disk image (raw ext4), attached read-only."""
    payload: str
    """Path of the payload disk image (agent, stack's programs, suites), attached read-only."""
    disks: tuple[Disk, ...] = ()
    memory: int = 2048
    """MiB."""
    cpus: int = 2
    kernel_line: tuple[str, ...] = ()
    """Words of the kernel's command line beside the lab's own."""
    renew: bool = False
    """The machine is of no more use after a step in which its kernel splatted: those after it are left to another."""
    slow: float = 1.0
    """How many times slower than usual what is in the images runs, by its making: multiplies limits."""
    steps: tuple[GuestStep, ...]
    last: GuestStep | None = None
    """Run after all steps, for the files it collects. It has no reply; that it failed is a note."""
    expect_release: str = ""
    """Kernel release that uname must give, or the job is INFRA."""
    ports: tuple[str, ...] = ()
    """Names of further ports; who has the machine run gives an end of each."""


StepStatus = Literal["done", "timeout", "lost", "crash", "skipped", "known"]


class StepReply(Model):
    """What became of one step."""

    name: str
    status: StepStatus
    """`done`: exit status is known; `timeout`: ended by its limit, or the VM went silent; `lost`: the VM died;
    `crash`: the command ended, or the VM died, and the kernel had splatted in a way that makes the step a CRASH;
    `skipped`: never started; `known`: not run, for its answer was known before."""
    exit_status: int | None = None
    """Of the command; negative: killed by that signal."""
    seconds: float = 0.0
    limit: float = 0.0
    """Seconds that it had on that machine: its timeout times the machine's slow factor; 0: not told."""
    hang: str = ""
    """What it hung in, when its limit struck: what ended it, FUSE connections, servers, blocked tasks; at most 4 KiB.
    All of it is in `hang/` of its files."""
    unclean: str = ""
    """Why the machine could not be used on after its limit struck, or a signal its command; one line, or empty."""
    output: str = ""
    """stdout and stderr together, last 64 KiB, undecodable bytes replaced."""
    dmesg: str = ""
    """Kernel messages since the step before ended, last 64 KiB."""
    loud: str = ""
    """Those of level warning and above that no program wrote, one `<LEVEL>text` a line, last 8 KiB."""
    splat: str = ""
    """Headline of the weightiest splat in them that is not allowed, without addresses and numbers; or empty."""
    crash: SplatClass | Literal[""] = ""
    """Its class."""
    fingerprint: str = ""
    """First functions of its call trace, joined by `:`; empty without a trace."""
    splat_text: str = ""
    """All of it, first 4 KiB."""
    allowed: str = ""
    """Lines of the splats in them that `qemu/splats.yaml` allows, at most 64 KiB."""
    splat_note: str = ""
    """Which entry allows them; or that the entry for `splat` has expired. One line."""
    files: str = ""
    """Folder with what was collected, or empty."""
    server: ServerFigures | None = None
    """Of a step that was measured and ended."""
    death: Death | None = None
    """A FUSE server that died meanwhile, or reported an error itself."""
    server_errors: tuple[ServerError, ...] = ()
    """What servers said in their log that `qemu/servers.yaml` knows."""


class JobReply(Model):
    """What became of one job."""

    name: str
    complete: bool
    """True only when the guest sent its final record."""
    problem: str = ""
    """One line when not complete: `QEMU died (status 1): …`, `no word from the agent within 60 s`."""
    hello: dict[str, Fact] = {}
    """The agent's first words: kernel release, memory, CPUs, slow factor."""
    replies: tuple[StepReply, ...] = ()
    notes: tuple[str, ...] = ()
    """What the guest said or sent that nobody had asked for; one line each."""
    last_failed: str = ""
    """Why the job's last step brought nothing, one line; empty: it did its work, or there was none."""
    accelerator: str = ""
    restored: bool = False
    """True: the machine began where a saved one stood; False: it was booted."""
    started: AwareDatetime | None = None
    seconds: float = 0.0
    agent_seconds: float = 0.0
    """From QEMU's start to the agent's first word."""
