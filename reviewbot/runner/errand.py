# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run asks of other hosts, and who carries it out."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from reviewbot.model.shard import Shard, ShardResult
from reviewbot.runner.cut import Shape
from reviewbot.runner.suite_job import SuiteJob


@dataclass(frozen=True, slots=True)
class Errand:
    """Work for hosts that know nothing of the run."""

    work: SuiteJob
    kind: str
    """Of the hosts that may do it; empty: any."""
    images: Callable[[], dict[str, Path]]
    """Kind -> file that machines boot from."""
    cut: Callable[[SuiteJob, Shape, str], Sequence[Shard]]
    """Work, shape, nonce -> shards."""
    logs: Path
    """Folder of the leg's logs."""
    fresh: bool
    """Whether what is known of an earlier call is of no use."""
    stop: threading.Event
    until: float
    """time.monotonic() at which all of it has to be over."""
    got: Callable[[Shard, ShardResult], None]
    """Takes a result: the first of its shard."""
    again: Callable[[Shard, ShardResult], None]
    """Takes another result of a shard that has one."""


class Elsewhere(Protocol):
    """Other hosts, however they are reached."""

    @property
    def name(self) -> str:
        """What the site calls them."""

    def carry_out(self, errand: Errand) -> None:
        """Return when each shard has a result, or has none for good. Raises Stopping, InfraError, OSError."""
