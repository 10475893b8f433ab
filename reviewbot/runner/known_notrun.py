# SPDX-License-Identifier: GPL-2.0-or-later
"""Skip tests already known to be NOTRUN, and record new reasons with what they depend on."""

import datetime
import functools
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from reviewbot.lab import machine
from reviewbot.model.artifacts import Artifacts
from reviewbot.model.lab import Disk
from reviewbot.model.results import LegResult
from reviewbot.model.shard import IMAGES, Shard
from reviewbot.model.stack import LegSpec
from reviewbot.runner.context import Context
from reviewbot.runner.suite_job import SuiteJob
from reviewbot.store import Durations, NotRuns
from reviewbot.suites import notruns
from reviewbot.suites.suite import SUITES

_OWN = "qemu/"
"""Inputs of the payload that are our own programs in the guest."""
_LOCALVERSION = "CONFIG_LOCALVERSION"


def answers(leg: LegSpec, tests: Sequence[str], context: Context) -> dict[str, str]:
    """Test -> what it would say, for those that need not be run."""
    if context.notruns is None:
        return {}
    machine = context.conditions
    room = (context.accelerator.name, machine.memory, machine.cpus)
    parts = _parts(leg, context.build.artifacts, machine.disks, room)
    usable = notruns.usable(context.notruns.known(), leg.name, parts, datetime.date.today())
    return {test: notruns.said(usable[test]) for test in tests if test in usable}


def spared(work: SuiteJob, found: Mapping[str, str]) -> SuiteJob:
    """The work without having to run these tests. Its inputs are the same: so is what comes of it."""
    texts = {f"{work.suite}/{test}": text for test, text in found.items()}
    steps = tuple(
        step.model_copy(update={"known": texts[step.name]}) if step.name in texts and not step.known else step
        for step in work.shard.steps
    )
    lengths = {name: seconds for name, seconds in work.lengths.items() if name not in texts}
    expected = round(sum(lengths.values()), 1)
    shard = work.shard.model_copy(update={"steps": steps, "expected": expected})
    return replace(work, shard=shard, lengths=lengths)


def learn(
    shard: Shard, result: LegResult, artifacts: Artifacts, store: NotRuns | None, patched: Collection[str]
) -> None:
    """Keep what the tests of a suite said. shard: all of the suite in one piece. patched: components with patches."""
    if SUITES[shard.suite].learns:
        room = (result.accelerator, shard.memory, shard.cpus)
        parts = _parts(shard.leg, artifacts, shard.disks, room) if _whole(artifacts) else {}
        _keep(shard.leg, shard.run, result, parts, store, confirmed=not patched)


def confirm(leg: LegSpec, result: LegResult, context: Context, store: NotRuns | None) -> None:
    """Keep what tests said on the unpatched stack of a context, where some were run again for a comparison."""
    if not context.build.patched and _whole(context.build.artifacts):
        machine = context.conditions
        room = (result.accelerator, machine.memory, machine.cpus)
        parts = _parts(leg, context.build.artifacts, machine.disks, room)
        _keep(leg, context.run.id, result, parts, store, confirmed=True)


def _whole(artifacts: Artifacts) -> bool:
    return {"kernel", "guest", "payload"} <= artifacts.artifacts.keys()


def _keep(
    leg: LegSpec, run: str, result: LegResult, parts: Mapping[str, str], store: NotRuns | None, *, confirmed: bool
) -> None:
    learning = {name for name, suite in SUITES.items() if suite.learns}
    tests = [test for test in result.tests if test.suite in learning and test.test != "setup"]
    if store is None or not result.accelerator or not parts or not tests:
        return
    today = datetime.date.today()
    store.update(lambda known: notruns.learn(known, leg.name, tests, parts, run, today, confirmed=confirmed))


def durations_for(durations: Durations, artifacts: Artifacts, patched: Collection[str]) -> Durations:
    """Where machines of this stack may put what their tests took. patched: components with patches."""
    keys = [artifacts.artifacts[kind].key for kind in IMAGES if kind in artifacts.artifacts]
    return durations.apart(hashlib.sha256(" ".join(keys).encode()).hexdigest()[:32] if patched else "")


def _parts(leg: LegSpec, artifacts: Artifacts, disks: Sequence[Disk], room: tuple[str, int, int]) -> dict[str, str]:
    """All that a reason can depend on, by the names that `notruns.yaml` uses. room: accelerator, MiB, CPUs."""
    keys = {kind: artifact.key for kind, artifact in artifacts.artifacts.items()}
    payload = artifacts.artifacts["payload"]
    own = {name: key for name, key in payload.inputs.items() if name.startswith(_OWN)}
    return {
        "leg": leg.model_dump_json(exclude={"why"}),
        "fstests": keys.get("fstests", ""),
        "ours": json.dumps({**own, "machine": _machine()}, sort_keys=True),
        "guest": keys["guest"],
        "disks": json.dumps([disk.model_dump() for disk in disks]),
        "machine": json.dumps(room),
        "config": _config(Path(artifacts.artifacts["kernel"].path)) or keys["kernel"],
        "kernel": keys["kernel"],
        "stack": payload.key,
    }


@functools.cache
def _machine() -> str:
    """Hex digest of the code that makes QEMU's command line: what the machine's devices can do."""
    return hashlib.sha256(Path(machine.__file__).read_bytes()).hexdigest()


def _config(kernel: Path) -> str:
    """Hex digest of the built kernel's .config without the name of its tree; empty when there is none."""
    try:
        lines = (kernel / "config").read_bytes().splitlines()
    except OSError:
        return ""
    kept = [line for line in lines if not line.startswith(_LOCALVERSION.encode())]
    return hashlib.sha256(b"\n".join(kept)).hexdigest()
