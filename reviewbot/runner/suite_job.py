# SPDX-License-Identifier: GPL-2.0-or-later
"""What is to be done in a leg for one of its suites."""

from collections.abc import Mapping
from dataclasses import dataclass

from reviewbot.model.shard import Shard
from reviewbot.model.stack import LegSpec
from reviewbot.suites.suite import SuiteName


@dataclass(frozen=True, slots=True)
class SuiteJob:
    """One suite of one leg."""

    shard: Shard
    """All of it in one piece."""
    inputs: Mapping[str, str]
    """What the outcome depends on; not how the work is cut."""
    lengths: Mapping[str, float]
    """Step of a test -> seconds it should take on a machine of slow factor 1."""

    @property
    def leg(self) -> LegSpec:
        return self.shard.leg

    @property
    def suite(self) -> SuiteName:
        return self.shard.suite

    @property
    def name(self) -> str:
        return self.shard.name

    @property
    def planned(self) -> list[str]:
        """Names of the tests."""
        return [step.name.removeprefix(f"{self.suite}/") for step in self.shard.tests]
