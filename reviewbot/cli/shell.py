# SPDX-License-Identifier: GPL-2.0-or-later
"""`reviewbot shell`: an interactive shell in a leg's machine as its tests saw it."""

import json
import sys
import tempfile
from pathlib import Path

import click

from reviewbot import lab, suites
from reviewbot.cli import values
from reviewbot.cli.group import reviewbot
from reviewbot.cli.working import at_work
from reviewbot.config import load_site
from reviewbot.host.paths import cache_dir, data_dir
from reviewbot.lab import Accelerator, Ends
from reviewbot.model.errors import InfraError, UsageError
from reviewbot.model.lab import JobReply, StepReply
from reviewbot.model.progress import Event
from reviewbot.model.stack import LegSpec
from reviewbot.model.verdict import ExitStatus
from reviewbot.pipeline import reproduce
from reviewbot.pipeline.reproduce import Recorded
from reviewbot.runner import SuiteName
from reviewbot.store import Runs, Store


@reviewbot.command(short_help="Open a root shell in a leg's machine.")
@click.argument("run", type=values.Run(), default="latest")
@click.option(
    "--leg",
    type=values.Word("LEG", values.run_legs),
    default="",
    help="Which leg's machine [default: the run's only leg].",
)
@click.option(
    "--suite",
    type=click.Choice(["smoke", "fstests"]),
    default=None,
    help="Set it up as for this suite [default: fstests if the run has them].",
)
@click.option("--site", "site_path", type=click.Path(path_type=Path), help="Site file to use.")
@click.option("--json", "as_json", is_flag=True, help="Start nothing; print what the machine would consist of.")
def shell(run: str, leg: str, suite: SuiteName | None, site_path: Path | None, as_json: bool) -> int:
    """Open a root shell in a leg's machine, set up as for the tests of RUN.

    The same kernel, root, programs, disks, memory and QEMU options, set up as before the first test: the server is
    configured, filesystems are created but not mounted, fstests is configured. RUN is an id, a unique prefix, or
    `latest`. The machine has no network, and what is written in it is lost when it ends.

    `exit` ends it with the exit status of the shell; Ctrl-] kills it, even if the guest hangs. All other keys,
    including Ctrl-C, go to the guest. Without a terminal the shell reads commands from stdin.

    \b
    reviewbot shell latest --leg fuse4fs
    reviewbot shell 20261125 --leg ext4 --suite fstests
    echo 'uname -r' | reviewbot shell latest --leg ext4

    In a machine of suite fstests, `cd /stack/fstests && ./check generic/001` runs a test.
    """
    site, store = load_site(site_path), Store(cache_dir())
    recorded = reproduce.read_run(Runs(data_dir() / "runs").find(run), site)
    spec = recorded.leg(leg or _only_leg(recorded))
    kind = suite or ("fstests" if "fstests" in recorded.lock.artifacts.artifacts else "smoke")
    if kind == "fstests":
        reproduce.artifact_of(recorded, "fstests", store)
    accelerator = reproduce.accelerator_of(recorded, site, cache_dir(), store)
    ends = Ends()
    job = reproduce.shell_job(spec, kind, ends, reproduce.context_of(recorded, accelerator, store, cache_dir()))
    if as_json:
        click.echo(json.dumps(job.model_dump(mode="json", exclude={"steps", "ports"}), indent=1))
        return ExitStatus.PASS
    words = _Words(recorded, spec, kind, accelerator, sys.stderr.isatty())
    words.begin()
    with at_work(quiet=True), tempfile.TemporaryDirectory(prefix="reviewbot-shell-") as folder:
        try:
            reply = lab.run_session(job, accelerator, Path(folder), ends, on_reply=words.answered, progress=words.hear)
        except lab.Left:
            click.echo("\nreviewbot: machine ended by Ctrl-]", err=True)
            return ExitStatus.INTERRUPTED
    return _end(reply)


def _only_leg(recorded: Recorded) -> str:
    legs = [leg.name for leg in recorded.conditions.legs]
    if len(legs) == 1:
        return legs[0]
    raise UsageError("which leg?", hint=f"--leg {' | --leg '.join(legs)}")


class _Words:
    """What the user is told on stderr; a script hears of troubles only."""

    def __init__(
        self, recorded: Recorded, leg: LegSpec, suite: SuiteName, accelerator: Accelerator, person: bool
    ) -> None:
        self.recorded, self.leg, self.suite, self.accelerator, self.person = recorded, leg, suite, accelerator, person
        self.setup: list[StepReply] = []

    def say(self, text: str, *, always: bool = False) -> None:
        if self.person or always:
            click.echo(f"reviewbot: {text}", err=True)

    def begin(self) -> None:
        for note in self.recorded.notes:
            self.say(note, always=True)
        conditions = self.recorded.conditions
        self.say(
            f"{self.leg.name} of run {self.recorded.folder.id}: booting "
            f"({self.accelerator.name}, {conditions.memory} MiB, {conditions.cpus} CPUs)"
        )

    def answered(self, reply: StepReply) -> None:
        if reply.name.startswith("setup/"):
            self.setup.append(reply)

    def hear(self, event: Event) -> None:
        if event.text != lab.SHELL:
            return
        found = suites.read_setup(self.setup)
        if found.reason:
            self.say(f"setup failed: {found.reason}", always=True)
        options = f"-o {self.leg.mount_options} " if self.leg.mount_options else ""
        self.say(f"to mount: mount -t {self.leg.fstyp} {options}/dev/disk/by-serial/TEST_DEV /mnt/test")
        if self.suite == "fstests":
            self.say("to test: cd /stack/fstests && ./check generic/001")
        self.say("`exit` ends the machine, Ctrl-] kills it")


def _end(reply: JobReply) -> int:
    """The shell's own status. Raises InfraError when the machine was lost."""
    shell = next(step for step in reply.replies if step.name == lab.SHELL)
    if shell.output:  # all that a shell says goes elsewhere: this is the complaint of what should have started it
        click.echo(f"reviewbot: {shell.output.rstrip()}", err=True)
    if shell.exit_status is not None and shell.status in ("done", "crash"):
        if shell.splat:
            click.echo(f"reviewbot: kernel messages meanwhile: {shell.splat}", err=True)
        return shell.exit_status if shell.exit_status >= 0 else 128 - shell.exit_status
    raise InfraError(f"the machine was lost: {shell.splat or reply.problem or shell.status}")
