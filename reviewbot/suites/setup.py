# SPDX-License-Identifier: GPL-2.0-or-later
"""The first step of every leg, and what it proves."""

import json
from collections.abc import Mapping, Sequence

from reviewbot.model.artifacts import Fact
from reviewbot.model.base import Model
from reviewbot.model.lab import Disk, GuestStep, StepReply
from reviewbot.model.results import Outcome, TestResult
from reviewbot.model.stack import LegSpec
from reviewbot.suites.outcome import beyond_the_test, kernel, result, tail

SETUP = "setup/leg"
PYTHON = ("python3", "-S", "/stack/suites/run.py")
_TIMEOUT, _AGAIN = 40.0, 15.0
"""Seconds; it takes one or two on a machine that is not emulated."""
STILL, STILL_AGAIN = 30.0, 15.0
"""Seconds in which nothing moves that this or a check may take: none sleeps so long while it waits for an answer."""
_HURRY = {"REVIEWBOT_MOUNT_LIMIT": "60", "REVIEWBOT_UMOUNT_LIMIT": "40"}
"""Seconds in a rerun: a server that hangs at each mount or unmount is waited for several times."""


class Setup(Model):
    """What the setup steps of a leg found."""

    ok: bool
    reason: str = ""
    """One line when not ok."""
    proofs: dict[str, Fact] = {}
    """What the guest said of itself: `sha256:/stack/bin/fuse2fs`, `mount`, `iomap_flags`, …"""


def disks(gib: int) -> tuple[Disk, ...]:
    """The two disks every suite works on, `gib` GiB each (sparse on the host)."""
    return tuple(Disk(serial=serial, size=gib << 30) for serial in ("TEST_DEV", "SCRATCH_DEV"))


def leg_env(leg: LegSpec, *, again: bool = False) -> Mapping[str, str]:
    """What the guest's programs know of the leg. again: of a rerun, whose mounts and unmounts move little data."""
    return {
        **(_HURRY if again else {}),
        "LEG_NAME": leg.name,
        "LEG_FSTYP": leg.fstyp,
        "LEG_SERVER": leg.server,
        "LEG_MOUNT_OPTIONS": leg.mount_options,
        "LEG_MKFS_OPTIONS": leg.mkfs_options,
        "LEG_SCRATCH_MKFS_OPTIONS": leg.scratch_mkfs_options,
        # /stack is read-only: compile the guest's modules once per boot, not once per step.
        "PYTHONPYCACHEPREFIX": "/run/reviewbot/pycache",
    }


def setup_steps(leg: LegSpec, *, again: bool = False) -> tuple[GuestStep, ...]:
    """Names the server, checks disks, kernel and programs, makes the filesystems, hashes what runs.

    again: it ran before, on this stack or another; a server that hangs does so several times.

    A mke2fs or a mount that fails does not fail this step: that is the stack's fault, and the suites' to report.
    """
    argv = (*PYTHON, "setup", *leg.prove)
    return (
        GuestStep(
            name=SETUP,
            argv=argv,
            env=dict(leg_env(leg, again=again)),
            timeout=_AGAIN if again else _TIMEOUT,
            still=STILL_AGAIN if again else STILL,
            gate=True,
        ),
    )


def read_setup(replies: Sequence[StepReply]) -> Setup:
    """The setup steps among `replies`. Not ok when one failed or never ran; its reason is the guest's own."""
    replies = [reply for reply in replies if reply.name.startswith("setup/")]
    proofs: dict[str, Fact] = {}
    problems = [] if replies else ["the leg was never set up"]
    for reply in replies:
        found, said = _read(reply.output)
        proofs |= found
        if reply.status in ("done", "crash") and reply.exit_status == 0:
            continue  # a kernel that only warned is a result, see `setup_result`
        last = reply.output.strip().splitlines()[-1:] or ["no output"]
        match reply.status:
            case "done":
                problems.append(said or f"{reply.name} exited with status {reply.exit_status}: {last[0][:200]}")
            case "timeout":
                problems.append(f"{reply.name} did not finish within its {reply.seconds:.0f} s")
            case "crash":
                problems.append(f"the kernel crashed during {reply.name}: {kernel(reply) or 'no message'}")
            case "lost" | "skipped":
                problems.append(f"{reply.name} was {reply.status}")
    return Setup(ok=not problems, reason=problems[0] if problems else "", proofs=proofs)


def setup_result(suite: str, replies: Sequence[StepReply], logs: str) -> tuple[TestResult, ...]:
    """Splats, deaths and hangs while it booted and the leg was set up, as a result `setup` of the suite.

    Empty without one. The stack under test did it, so it must not end as the lab's fault; of a hang that the lab is to
    blame for, base has one, too. A proof that it does not give makes NOTRUN: only where base gives it this is news.
    """
    for reply in replies:
        found, problem = _read(reply.output) if reply.name.startswith("setup/") else ({}, "")
        if found.get("unproven") and reply.exit_status:
            return (
                TestResult(
                    suite=suite,
                    test="setup",
                    outcome=Outcome.NOTRUN,
                    reason=problem,
                    seconds=reply.seconds,
                    excerpt=tail(reply.output),
                    log=f"{logs}/{reply.name}",
                ),
            )
        judged = beyond_the_test(reply) if reply.name.startswith("setup/") else None
        if judged and judged.outcome in (Outcome.CRASH, Outcome.HANG):
            told = {"reason": f"during {reply.name}: {judged.reason}", "log": f"{logs}/{reply.name}"}
            return (result(suite, "setup", judged, reply).model_copy(update=told),)
    return ()


def _read(output: str) -> tuple[dict[str, Fact], str]:
    """Proofs, and the first problem; lines that are not ours are passed over."""
    proofs: dict[str, Fact] = {}
    problem = ""
    for line in output.splitlines():
        try:
            words = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if not isinstance(words, dict):
            continue
        if isinstance(words.get("proof"), dict):
            for name, value in words["proof"].items():
                if isinstance(value, bool | int):
                    proofs[_text(name)] = value
                elif isinstance(value, float | str):
                    proofs[_text(name)] = _text(value)
        problem = problem or _text(words.get("problem", ""))
    return proofs, problem


def _text(value: object) -> str:
    """A lone surrogate is valid in JSON and cannot be written as UTF-8."""
    return str(value).encode(errors="replace").decode()
