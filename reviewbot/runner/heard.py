# SPDX-License-Identifier: GPL-2.0-or-later
"""What the machines of one shard answered: those that ended, and those that run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from reviewbot import suites
from reviewbot.model import protocol
from reviewbot.model.lab import JobReply, StepReply
from reviewbot.model.shard import Shard
from reviewbot.runner.results import answered
from reviewbot.runner.resume import EARLIER


@dataclass(slots=True)
class Heard:
    """Not thread-safe: who calls holds a lock."""

    ended: list[JobReply] = field(default_factory=list)
    running: dict[int, list[StepReply]] = field(default_factory=dict)
    """Number of a machine -> its replies by now."""
    doing: dict[int, str] = field(default_factory=dict)
    """Number of a machine -> the test that it runs."""

    @classmethod
    def before(cls, shard: Shard, kept: Mapping[str, StepReply], accelerator: str) -> "Heard":
        """What needs no machine: answers of an earlier run, and tests that are known not to run."""
        found = cls()
        if kept:
            replies = tuple(kept.values())
            found.ended.append(JobReply(name=EARLIER, complete=True, replies=replies, accelerator=accelerator))
        if known := [step for step in shard.tests if step.known and step.name not in kept]:
            said = tuple(
                StepReply(name=s.name, status="known", exit_status=protocol.NOTRUN, output=s.known) for s in known
            )
            found.ended.append(JobReply(name="known", complete=True, replies=said, accelerator=accelerator))
        return found

    def machines(self) -> tuple[JobReply, ...]:
        """Of those that run, a reply each with what they said by now."""
        running = [JobReply(name="running", complete=True, replies=tuple(said)) for said in self.running.values()]
        return (*self.ended, *running)

    def count(self) -> int:
        """Tests that have an answer."""
        return sum(not reply.name.startswith("setup/") for reply in self._replies())

    def hung(self) -> list[str]:
        """Steps that hung."""
        return [r.name for r in self._replies() if r.status == "timeout" or (r.death and r.death.hung)]

    def left(self, number: int) -> set[str]:
        """A machine is gone: names of the steps that it answered."""
        self.doing.pop(number, None)
        return {reply.name for reply in self.running.pop(number)}

    def end(self, reply: JobReply) -> None:
        """All that a machine said, without the steps that it never started."""
        self.ended.append(reply.model_copy(update={"replies": answered(reply.replies)}))

    def _replies(self) -> Iterator[StepReply]:
        for machine in self.ended:
            yield from machine.replies
        for said in self.running.values():
            yield from said


def setup_failure(reply: JobReply) -> str:
    """Why the machine's setup went wrong, or an empty string."""
    said = answered(reply.replies)
    return suites.read_setup(said).reason if said else ""
