# SPDX-License-Identifier: GPL-2.0-or-later
"""A job array of Slurm: `sbatch`, `squeue`, `scancel`, and a folder that this host and the nodes see.

Jobs are known by their name, so that what a killed coordinator handed out is found again.
"""

import os
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reviewbot.fleet.engine import EngineBusy, Phase, Place, State
from reviewbot.fleet.local import BEAT, beat_of
from reviewbot.host.files import read_regular, write_atomic
from reviewbot.host.process import Completed, LimitExceeded, run
from reviewbot.model.errors import InfraError
from reviewbot.model.fleet import SlurmEngine
from reviewbot.model.words import one_line
from reviewbot.runner.parcel import LOG, RESULT, STATUS

COMMANDS = ("sbatch", "squeue", "scancel")
SCRIPT = "job.sh"
_INHERITED = ("SLURM_CONF", "SLURM_CLUSTERS", "SBATCH_ACCOUNT", "SBATCH_PARTITION", "SBATCH_QOS", "SBATCH_RESERVATION")
_PATIENCE = 60.0
"""Seconds for one answer of Slurm."""
_FORMAT = "%i|%T|%N|%r"
_RUNNING = ("RUNNING", "COMPLETING", "STAGE_OUT", "SIGNALING", "STOPPED", "SUSPENDED")
_WAITING = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT",
            "RESIZING", "PREEMPTED")  # fmt: skip
_HELD = re.compile(r"launch failed|requeued in (?:held|special)|max ?requeue", re.IGNORECASE)
"""Why a task is waiting that Slurm will not start again by itself."""
_BUSY = re.compile(r"unable to contact|timed out|temporarily|connection refused|resource temporarily", re.IGNORECASE)
_NEVER_COMES = re.compile(r"invalid job id", re.IGNORECASE)
_TASK = re.compile(r"\d+_(\d+)")
_JOB = """\
#!/bin/sh
# Runs a shard. What comes of it is in a folder of its own; the last word is the exit status.
umask 077
here={folder}/$SLURM_ARRAY_TASK_ID
mkdir -p "$here"
rm -f "$here/{status}" "$here/{result}"
# Many that start at once do not ask the store at once.
sleep "$(awk -v most={spread} 'BEGIN {{ srand(); print rand() * most }}')"
status=0
{command} run-shard {folder}/shard-"$SLURM_ARRAY_TASK_ID".json --output "$here/{result}" --beat "$here/{beat}" \\
	--store {store} </dev/null >"$here/{log}" 2>&1 || status=$?
echo "$status" >"$here/{status}.new"
mv "$here/{status}.new" "$here/{status}"
exit "$status"
"""


@dataclass(frozen=True, slots=True)
class Slurm:
    """See `Engine`."""

    settings: SlurmEngine
    store: str
    most: int

    def submit(self, place: Place) -> None:
        """Without the hosts to avoid where the others are not enough. Raises InfraError, EngineBusy."""
        write_atomic(place.folder / SCRIPT, self._script(place))
        batch, kinds = place.batch, self.settings.kinds.get(place.batch.kind, ())
        minutes = max(1, round(batch.seconds / 60))
        words = [
            "sbatch", "--parsable", "--quiet", f"--job-name={batch.name}", f"--array=0-{len(batch.shards) - 1}",
            "--requeue", f"--time={minutes}", f"--chdir={place.folder}", "--output=/dev/null", "--open-mode=append",
            *self.settings.options, *kinds,
        ]  # fmt: skip
        avoided = [f"--exclude={','.join(batch.avoid)}"] if batch.avoid else []
        done = self._ask([*words, *avoided, str(place.folder / SCRIPT)])
        if done.status and avoided and not _BUSY.search(done.errors):
            done = self._ask([*words, str(place.folder / SCRIPT)])
        if done.status:
            said = one_line(done.errors, 200)
            raise EngineBusy(said) if _BUSY.search(said) else InfraError(f"sbatch: {said}")

    def _script(self, place: Place) -> str:
        return _JOB.format(
            folder=shlex.quote(str(place.folder)),
            command=shlex.join(self.settings.command),
            store=shlex.quote(self.store),
            status=STATUS,
            result=RESULT,
            beat=BEAT,
            log=LOG,
            spread=min(30, len(place.batch.shards) // 8),
        )

    def poll(self, place: Place) -> Mapping[int, State]:
        """What the queue says; of those that are no longer in it, what they left."""
        done = self._ask(["squeue", "--noheader", "--array", f"--name={place.batch.name}", f"--format={_FORMAT}"])
        if done.status and not _NEVER_COMES.search(done.errors):
            raise EngineBusy(one_line(done.errors, 200))
        queued = dict(filter(None, map(self._queued, done.output.splitlines())))
        held = [index for index, (state, _, why) in queued.items() if state in _WAITING and _HELD.search(why)]
        if held:
            self.cancel(place, held)
        return {index: self._state(place, index, queued.get(index)) for index in range(len(place.batch.shards))}

    @staticmethod
    def _queued(line: str) -> tuple[int, tuple[str, str, str]] | None:
        """Index of the task; its state, node and reason."""
        name, state, node, why = (*line.strip().split("|", 3), "", "", "")[:4]
        found = _TASK.fullmatch(name)
        return (int(found[1]), (state, node.strip(), why)) if found else None

    @staticmethod
    def _state(place: Place, index: int, queued: tuple[str, str, str] | None) -> State:
        folder = place.own(index)
        state, node, reason = queued or ("", "", "")
        if state in _WAITING and _HELD.search(reason):
            return State(Phase.LOST, node, why=f"Slurm holds it: {one_line(reason, 80)}")
        if state in _WAITING:
            return State(Phase.WAITING)
        if state in _RUNNING:
            return State(Phase.RUNNING, node, beat=beat_of(folder / BEAT))
        try:
            status = int(read_regular(folder / STATUS, 20))
        except (OSError, ValueError):
            return State(Phase.LOST, node, why=f"Slurm ended it{f' ({state})' if state else ''}")
        return State(Phase.ENDED, node, status)

    def fetch(self, place: Place, index: int) -> Path | None:
        path = place.own(index) / RESULT
        return path if path.exists() else None

    def cancel(self, place: Place, indexes: Collection[int]) -> None:
        """By the name of the batch; those that are not meant stay."""
        done = self._ask(["squeue", "--noheader", "--array", f"--name={place.batch.name}", f"--format={_FORMAT}"])
        names = [line.partition("|")[0].strip() for line in done.output.splitlines()]
        meant = [name for name in names if (found := _TASK.fullmatch(name)) and int(found[1]) in indexes]
        if meant:
            self._ask(["scancel", "--quiet", *meant])

    @staticmethod
    def _ask(words: Sequence[str]) -> Completed:
        """Raises EngineBusy, ToolMissing."""
        try:
            kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
            return run(words, env=kept, timeout=_PATIENCE, check=False, split=True)
        except LimitExceeded as error:
            raise EngineBusy(str(error)) from error
