# SPDX-License-Identifier: GPL-2.0-or-later
"""How long a run should take on this host, before anything is fetched or built."""

import os
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Literal

from reviewbot import lab
from reviewbot.config import Site
from reviewbot.model.plan import Expected
from reviewbot.model.shard import measured_as
from reviewbot.runner.machines import how_many
from reviewbot.runner.select import SLOW, UNKNOWN, in_order
from reviewbot.runner.shard_run import START
from reviewbot.suites import durations_in
from reviewbot.suites.budget import Host, wall

BESIDE = ("buildroot", "guest", "payload")
"""What is made beside the components."""


def expected(
    legs: Sequence[str],
    suites: Sequence[str],
    tests: str,
    components: Sequence[str],
    site: Site,
    cache: Path,
    *,
    rows: str = "",
    variant: str = "",
    budget: float = 0.0,
) -> Expected:
    """Of the tests of all legs and of the builds, by what both took on this host; nothing is looked up in the store.

    tests: a selection for fstests. rows: of bench, as `--rows` has them. components: those that are built.
    """
    accelerator = likely_accelerator(site, cache)
    known = durations_in(cache)
    machines, _ = how_many(site.machine, accelerator)
    names = tests.split() if "fstests" in suites else []
    sure = not any(name.startswith("-") for name in names)
    slow = known.slow(accelerator) or SLOW.get(accelerator, 1.0)
    lengths: list[float] = []
    checks: dict[str, float] = {}
    for leg in legs:
        seconds = {test: one.seconds for test, one in known.tests(measured_as(leg, variant), accelerator).items()}
        usual = mean(seconds.values()) if seconds else UNKNOWN
        lengths += [slow * seconds.get(f"fstests/{name}", usual) for name in names if sure]
        checks[leg] = slow * sum(seconds.get(step, guess) for step, guess in in_order(suites, rows).items())
    most = wall(sum(lengths), max(lengths, default=0.0), Host(machines, slow * START, checks))
    limits = [*([most] if sure else []), *([budget] if budget else [])]
    built = {name: known.get(f"build {name}") for name in (*BESIDE, *components)}
    return Expected(
        tests=round(min(limits), 1) if limits else None,
        machines=machines,
        builds=round(sum(seconds or 0.0 for seconds in built.values()), 1),
        never_built=tuple(name for name, seconds in built.items() if seconds is None),
    )


def likely_accelerator(site: Site, cache: Path, fleet: str = "") -> Literal["kvm", "tcg"]:
    """What the machines will most likely run with: nothing is probed for a plan. fleet: whose machines they are."""
    said = site.fleet[fleet].accelerator if fleet in site.fleet else "auto"
    for policy in (said, site.accelerator):
        if policy != "auto":
            return policy
    why_not = lab.answered_before(cache)
    works = os.access("/dev/kvm", os.R_OK | os.W_OK) if why_not is None else not why_not
    return "kvm" if works else "tcg"
