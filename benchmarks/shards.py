# SPDX-License-Identifier: GPL-2.0-or-later
"""What reviewbot costs around fstests, and what a second machine saves: 40 tests in leg ext4, in emulated machines.

The yardstick is what an upstream user does: one machine of the same size, one `check` with the whole list.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machines import newest
from benchmarks.measure import Cpu, Figure
from reviewbot import lab, suites
from reviewbot.config import Machine, load_stack
from reviewbot.host.paths import cache_dir
from reviewbot.lab import Accelerator
from reviewbot.model.artifacts import Artifacts
from reviewbot.model.build import Build
from reviewbot.model.lab import GuestJob, GuestStep
from reviewbot.model.lock import Conditions
from reviewbot.model.progress import silent
from reviewbot.model.results import LegResult, Outcome
from reviewbot.model.trees import Trees
from reviewbot.runner import Context, Tests, run_legs
from reviewbot.store import Durations, Runs, Store

OVERHEAD = "40 fstests on two machines: share of their time outside tests (tcg)"
SAVED = "40 fstests on two machines: share of the time of plain check on one (tcg)"
MOST_OVERHEAD = 1.5
MOST_TIME = round(100 / 1.7, 1)
NUMBERS = """
001 002 003 004 005 006 007 008 009 011 012 013 014 015 016 018 020 021 022 023
024 025 026 028 029 030 035 037 070 080 087 091 112 221 236 245 257 258 309 401
"""
TESTS = tuple(f"generic/{number}" for number in NUMBERS.split())
SIZE = Machine()
TCG = Accelerator("tcg", "the promise is about emulation")
PLAIN = """\
tree=/stack/fstests config=/run/plain.config
mkdir -p /run/plain/upper /run/plain/work /results /mnt/test /mnt/scratch
mount -t overlay -o lowerdir=$tree,upperdir=/run/plain/upper,workdir=/run/plain/work plain $tree
{
	echo "export FSTYP=ext4 LOGGER_PROG=true"
	echo "export TEST_DEV=$(readlink -f /dev/disk/by-serial/TEST_DEV) TEST_DIR=/mnt/test"
	echo "export SCRATCH_DEV=$(readlink -f /dev/disk/by-serial/SCRATCH_DEV) SCRATCH_MNT=/mnt/scratch"
} >$config
cd $tree
HOST_OPTIONS=$config RESULT_BASE=/results/plain env --default-signal=PIPE,XFSZ ./check "$@" || true
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """One way to run the list."""

    wall: float
    """Seconds, from nothing to the last answer."""
    cpu: float
    """CPU seconds of this process and of all below it, QEMU among them."""
    outcomes: Mapping[str, str]
    """Test -> PASS, FAIL or NOTRUN."""


def shards(store: Store) -> Iterator[Figure]:
    """Both figures; each needs some six quiet minutes."""
    found = newest(store, fstests=True)
    if "fstests" not in found:
        why = "no payload with fstests: run a leg with --suites fstests first"
        yield Figure(OVERHEAD, (), MOST_OVERHEAD, why, "%")
        yield Figure(SAVED, (), MOST_TIME, why, "%")
        return
    built = Artifacts(artifacts=found)
    ours, result = on_machines(built, 2)
    bad = [t for t in result.tests if t.outcome in (Outcome.INFRA, Outcome.MISS)]
    why = result.reason or (f"{bad[0].test}: {bad[0].reason}" if bad else "")
    inside = sum(test.seconds for test in result.tests)
    yield Figure(OVERHEAD, () if why else (100 * (result.seconds - inside) / result.seconds,), MOST_OVERHEAD, why, "%")
    plain = plain_check(built)
    other = [test for test in TESTS if plain.outcomes.get(test) != ours.outcomes.get(test)]
    if not why and other:
        why = f"{other[0]}: {plain.outcomes.get(other[0])} in plain check, {ours.outcomes.get(other[0])} here"
    used = f"; CPU {ours.cpu:.0f} s in {ours.wall:.0f} s against {plain.cpu:.0f} s in {plain.wall:.0f} s"
    yield Figure(f"{SAVED}{used}", () if why else (100 * ours.wall / plain.wall,), MOST_TIME, why, "%")


def on_machines(built: Artifacts, count: int, machine: Machine = SIZE) -> tuple[Taken, LegResult]:
    """The list as reviewbot runs it: from the first machine's start to the result."""
    with tempfile.TemporaryDirectory(prefix="reviewbot-bench-", dir=cache_dir().parent) as name:
        folder = Path(name)
        known = cache_dir() / "durations.json"
        if known.exists():
            shutil.copy(known, folder)
        context = Context(
            build=Build(trees=Trees(trees=()), artifacts=built),
            conditions=Conditions(
                legs=(), disks=suites.disks(machine.scratch_gib), memory=machine.memory, cpus=machine.cpus
            ),
            tests=Tests(" ".join(TESTS)),
            accelerator=TCG,
            store=Store(folder),
            run=Runs(folder / "runs").create(),
            durations=Durations(folder / known.name, suites.load_typical()),
            progress=silent,
            machines=count,
        )
        started = time.monotonic()
        with Cpu() as cpu:
            (result,) = run_legs([load_stack().leg("ext4")], ["fstests"], context)
        wall = time.monotonic() - started
    return Taken(wall, cpu.seconds, {test.test: test.outcome.value for test in result.tests}), result


def plain_check(built: Artifacts, machine: Machine = SIZE) -> Taken:
    """The list as `check` runs it by itself."""
    leg = load_stack().leg("ext4")
    paths = {kind: built.artifacts[kind].path for kind in ("kernel", "guest", "payload")}
    check = GuestStep(name="fstests/all", argv=("/bin/sh", "-ec", PLAIN, "plain", *TESTS), timeout=1800)
    job = GuestJob(
        name="plain",
        kernel=f"{paths['kernel']}/bzImage",
        root=f"{paths['guest']}/root.img",
        payload=f"{paths['payload']}/payload.img",
        disks=suites.disks(machine.scratch_gib),
        memory=machine.memory,
        cpus=machine.cpus,
        steps=(*suites.setup_steps(leg), check),
    )
    with tempfile.TemporaryDirectory(prefix="reviewbot-bench-", dir=cache_dir().parent) as name:
        started = time.monotonic()
        with Cpu() as cpu:
            reply = lab.run_job(job, TCG, Path(name))
        wall = time.monotonic() - started
    outcomes: dict[str, str] = {}
    for line in reply.replies[-1].output.splitlines():
        for begin, outcome in (("Ran: ", "PASS"), ("Not run: ", "NOTRUN"), ("Failures: ", "FAIL")):
            if line.startswith(begin):  # each says more than the one before it
                outcomes |= dict.fromkeys(line.removeprefix(begin).split(), outcome)
    return Taken(wall, cpu.seconds, outcomes)
