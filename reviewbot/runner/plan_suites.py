# SPDX-License-Identifier: GPL-2.0-or-later
"""Plan the suites of a leg: their steps, how long they take, and what their outcome depends on."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from reviewbot import suites
from reviewbot.config import SOAK
from reviewbot.model.artifacts import PART, Artifacts, Fact
from reviewbot.model.lab import GuestStep
from reviewbot.model.shard import IMAGES, Need, Shard, measured_as
from reviewbot.model.stack import LegSpec
from reviewbot.model.variants import Variant
from reviewbot.runner.context import Context
from reviewbot.runner.suite_job import SuiteJob
from reviewbot.store import TestSeconds
from reviewbot.suites.selection import Selection
from reviewbot.suites.suite import SUITES, SuiteName, Wanted

UNKNOWN = 1.0
"""Seconds, on a machine of slow factor 1, of a test when nothing is known of any."""


def missing(leg: LegSpec, artifacts: Artifacts, needs: Sequence[str] = ()) -> str:
    """Why the leg cannot run with these artifacts, or an empty string."""
    for component in (*leg.needs, *needs):
        if component not in artifacts.artifacts:
            return f"no {component}: {artifacts.unavailable.get(component, 'it was not built')}"
    for requirement in leg.requires:
        if not artifacts.fact(requirement):
            component, _, fact = requirement.partition(".")
            return f"this {component} has no {fact.replace('_', ' ')}"
    return next((artifacts.unprovable[word] for word in leg.prove if word in artifacts.unprovable), "")


def suite_job_of(leg: LegSpec, suite: SuiteName, context: Context, selection: Selection | None = None) -> SuiteJob:
    """selection: of fstests. Raises ConfigError for a bad data file."""
    variant, machine, tests = context.build.variant, context.conditions, context.tests
    known = context.durations.tests(measured_as(leg.name, variant.name), context.accelerator.name)
    wanted = Wanted(selection, tests.checks, known, machine.soak or SOAK, again=bool(tests.rerun), rows=tests.rows)
    steps = SUITES[suite].steps(leg, wanted)
    lengths = lengths_of([step.name for step in steps if not step.gate and not step.known], known)
    built = context.build.artifacts.artifacts
    setup = suites.setup_steps(leg, again=bool(tests.rerun))
    shard = Shard(
        run=context.run.id,
        leg=leg,
        suite=suite,
        variant=variant.name,
        steps=tuple(_varied(step, variant) for step in (*setup, *steps)),
        last=_varied(suites.counters_step(leg), variant) if variant.counters else None,
        kernel_line=variant.kernel_line,
        slow=variant.slow,
        renew=variant.renew and not SUITES[suite].ordered,
        needs=tuple(Need(kind=kind, key=built[kind].key) for kind in ("kernel", "guest", "payload")),
        release=str(built["kernel"].facts["release"]),
        expect=_built_programs(context.build.artifacts),
        disks=machine.disks,
        memory=machine.memory,
        cpus=machine.cpus,
        expected=round(sum(lengths.values()), 1),
    )
    return SuiteJob(shard, _inputs(shard, context), lengths)


def _varied(step: GuestStep, variant: Variant) -> GuestStep:
    """A step as the variant wants it run."""
    return step.model_copy(update={"argv": (*variant.wrap, *step.argv), "env": {**step.env, **variant.env}})


def images(context: Context) -> Mapping[str, Path]:
    """Kind -> the file that a machine boots from."""
    return {kind: Path(context.build.artifacts.artifacts[kind].path) / file for kind, file in IMAGES.items()}


def lengths_of(names: Sequence[str], known: Mapping[str, TestSeconds]) -> dict[str, float]:
    """How long each step takes; one of which nothing is known counts as the median of the others."""
    usual = median(found.seconds for found in known.values()) if known else UNKNOWN
    return {name: known[name].seconds if name in known else usual for name in names}


def _built_programs(artifacts: Artifacts) -> dict[str, Fact]:
    facts = {name: value for artifact in artifacts.artifacts.values() for name, value in artifact.facts.items()}
    return {name: facts[name] for name in sorted(facts) if name.startswith("sha256:")}


def _inputs(shard: Shard, context: Context) -> Mapping[str, str]:
    """What the outcome of a suite in a leg depends on.

    Of the payload disk only what the leg uses: the components that it needs and our own programs. Another leg, or a
    suite that is left out, changes the disk and not this outcome; a patched component may, for it can install anything
    where the guest looks for programs. Nor does a test that ends depend on its limit, which
    follows how long the test took before, or on whether its answer is known already.
    """
    decides = {"disks", "memory", "cpus", "release", "kernel_line", "renew", "slow", "last"}
    machine = shard.model_dump(mode="json", include=decides)
    steps = [step.model_dump(mode="json", exclude={"timeout", "still", "known"}) for step in shard.steps]
    built = context.build.artifacts.artifacts
    used = {
        "kernel",
        "guest",
        *shard.leg.needs,
        *SUITES[shard.suite].needs,
        *context.build.patched,
    }
    ours = {name: key for name, key in built["payload"].inputs.items() if not name.startswith(PART)}
    return {
        "leg": shard.leg.model_dump_json(),
        "suite": shard.suite,
        "machine": json.dumps(machine, sort_keys=True),
        "steps": json.dumps(steps, sort_keys=True),
        "accelerator": context.accelerator.name,
        "rules": suites.rules_digest(),
        "ours": json.dumps(ours, sort_keys=True),
        **{f"{PART}{kind}": built[kind].key for kind in sorted(used & built.keys())},
        **({"rerun": context.tests.rerun} if context.tests.rerun else {}),
        **({"fleet": f"{context.elsewhere.name} {context.kind}".strip()} if context.elsewhere else {}),
    }


def inputs_of(leg: LegSpec, suite: SuiteName, tests: Sequence[str], context: Context) -> dict[str, str]:
    """Test -> hex digest of what its outcome depends on: the leg, its artifacts, the machine, the test's steps."""
    first = replace(context, tests=replace(context.tests, rerun="", checks=()))
    whole = suite_job_of(leg, suite, first) if SUITES[suite].ordered else None
    found = {}
    for test in tests:
        work = whole or suite_job_of(leg, suite, first, Selection((test,)))
        found[test] = hashlib.sha256(json.dumps([test, sorted(work.inputs.items())]).encode()).hexdigest()
    return found
