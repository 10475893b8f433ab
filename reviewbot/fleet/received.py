# SPDX-License-Identifier: GPL-2.0-or-later
"""What a worker brought: believed only as far as it fits the shard that it was given."""

import datetime
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from reviewbot.host.files import read_regular_bytes
from reviewbot.model.lab import JobReply
from reviewbot.model.shard import Shard, ShardResult, is_plain
from reviewbot.model.words import one_line
from reviewbot.runner.results import answered, wrong_program

MOST, PER_STEP = 8 << 20, 256 << 10
"""Bytes that a result may have, and how many more for each step; never more than MOST_OF_ALL."""
MOST_OF_ALL = 64 << 20
SHORT, LONG = 2000, 128 << 10
"""Characters of what is one line, and of any other text."""
_ENTRIES, _KEY, _LARGEST = 1000, 300, 1e15
"""Entries of a list, characters of a name, and size of a number, at most."""
_LINES = ("splat", "fingerprint", "unclean", "splat_note")
_NOTES = 100
_CLOCKS = datetime.timedelta(days=2)
"""That the clocks of two hosts may differ."""


class NotBelieved(ValueError):
    """What came is no result of this shard. One line, for those who look after the workers."""


def received(shard: Shard, path: Path) -> ShardResult:
    """The result in a file that a worker wrote. Raises NotBelieved."""
    limit = min(MOST + PER_STEP * len(shard.steps), MOST_OF_ALL)
    try:
        data = read_regular_bytes(path, limit + 1)
    except OSError as error:
        raise NotBelieved(f"its result cannot be read: {error.strerror or error}") from error
    if len(data) > limit:
        raise NotBelieved(f"its result has more than {limit >> 20} MiB")
    try:
        result = ShardResult.model_validate_json(data)
    except (ValidationError, RecursionError) as error:
        first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else "nested too deeply"
        raise NotBelieved(f"its result is not valid: {one_line(first, 100)}") from error
    if problem := next(_wrong(shard, result), ""):
        raise NotBelieved(one_line(problem, 200))
    machines = tuple(machine.model_copy(update=_without_paths(machine)) for machine in result.machines)
    return result.model_copy(update={"machines": machines, "problem": one_line(result.problem, 300)})


def _wrong(shard: Shard, result: ShardResult) -> Iterator[str]:
    """What does not fit."""
    if (result.shard, result.run, result.nonce) != (shard.key, shard.run, shard.nonce):
        yield "its result is of another shard"
    if result.worker is None:
        yield "its result does not name its worker"
    elif {machine.accelerator for machine in result.machines} - {"", result.worker.accelerator}:
        yield "its machines used a different accelerator than its host has"
    elif shard.kind and result.worker.kind != shard.kind:
        yield f"it ran on a host of kind {result.worker.kind}"
    wanted = {need.kind: need.sha256 for need in shard.needs if need.sha256}
    if dict(result.ran) != wanted:
        yield "it ran other files than those of its shard"
    known = {step.name: step.known for step in shard.steps}
    tests = [
        reply.name for reply in result.replies if not reply.name.startswith("setup/") and reply.status != "skipped"
    ]
    if strange := {reply.name for reply in result.replies} - known.keys():
        yield f"it returned results that were not requested ({min(strange)[:80]})"
    if len(set(tests)) != len(tests):
        yield "it returned more than one result for a test"
    if any(reply.status == "known" and reply.output != known[reply.name] for reply in result.replies):
        yield "it claims learned results that it was not given"
    if not result.problem and (absent := {step.name for step in shard.tests} - result.tests):
        yield f"it left out {min(absent)} without a reason"
    if len(result.machines) > 2 * len(shard.steps) + shard.max_losses:
        yield "it used more machines than its shard can need"
    for machine in result.machines:
        yield from _wrong_machine(shard, machine)
    for reply in result.replies:
        if not (0 <= reply.seconds <= _LARGEST and 0 <= reply.limit <= _LARGEST):
            yield f"impossible times of {reply.name}"
        if any(len(getattr(reply, name)) > SHORT for name in _LINES) or not _within(reply.model_dump()):
            yield f"too much text, or an impossible figure, of {reply.name}"


def _wrong_machine(shard: Shard, machine: JobReply) -> Iterator[str]:
    if not is_plain(machine.name):  # becomes part of links to its logs
        yield "a machine has an odd name"
    replies = [reply for reply in answered(machine.replies) if reply.status != "known"]
    tests = [reply for reply in replies if not reply.name.startswith("setup/")]
    if not all(0 <= value <= _LARGEST for value in (machine.seconds, machine.agent_seconds)):
        yield "impossible times of a machine"
    if not _within(machine.hello):
        yield "a machine reports too much about itself"
    if not tests:
        return
    if "kernel_release" in machine.hello and machine.hello["kernel_release"] != shard.release:
        yield f"a machine ran kernel {str(machine.hello['kernel_release'])[:60]!r}"
    if len(replies) - len(tests) < len(shard.setup):
        yield "a machine ran tests without having been set up"
    if void := wrong_program(replies, shard.expect):
        yield void


def _within(value: object) -> bool:
    """Whether no text is longer, and no number larger, than a lab of ours makes them; what is no number is none."""
    match value:
        case str():
            return len(value) <= LONG
        case int() | float():
            return -_LARGEST <= value <= _LARGEST
        case dict():
            return len(value) <= _ENTRIES and all(len(key) <= _KEY and _within(one) for key, one in value.items())
        case tuple() | list():
            return len(value) <= _ENTRIES and all(map(_within, value))
    return True


def _without_paths(machine: JobReply) -> dict[str, object]:
    """Its files are on another host; a path of its words is none of ours. Nor is a clock that is days away."""
    now = datetime.datetime.now(datetime.UTC)
    odd = machine.started is not None and abs(machine.started - now) > _CLOCKS
    return {
        "replies": tuple(reply.model_copy(update={"files": ""}) for reply in machine.replies),
        "notes": tuple(one_line(note, 300) for note in machine.notes[:_NOTES]),
        "problem": one_line(machine.problem, 300),
        "last_failed": one_line(machine.last_failed, 300),
        "started": None if odd else machine.started,
    }
