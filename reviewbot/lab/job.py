# SPDX-License-Identifier: GPL-2.0-or-later
"""Run one job in one machine."""

import socket
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from reviewbot.config import load_servers, load_splats
from reviewbot.host.files import remove_tree
from reviewbot.lab.accel import Accelerator
from reviewbot.lab.machine import Places, make_disks
from reviewbot.lab.machine_run import MachineRun
from reviewbot.lab.ports import (
    NotRestored,
)
from reviewbot.lab.room import Bounds
from reviewbot.lab.snapshot.saved import Start, find_start, note_start
from reviewbot.lab.step_files import StepFiles
from reviewbot.model.lab import GuestJob, GuestStep, JobReply, StepReply
from reviewbot.model.progress import Progress, silent
from reviewbot.store import Store


def run_job(
    job: GuestJob,
    accelerator: Accelerator,
    folder: Path,
    *,
    store: Store | None = None,
    on_reply: Callable[[StepReply], None] | None = None,
    progress: Progress = silent,
    take: Callable[[GuestStep], bool] = lambda step: True,
    stop: threading.Event | None = None,
    bounds: Bounds | None = None,
    ports: Mapping[str, socket.socket] | None = None,
) -> JobReply:
    """Start a machine, run the steps in order, and tell what became of each.

    store: where saved machines are kept, to begin from one where that is faster; None: the machine is booted.
    take: asked when a step that is no gate has its turn; False passes it over (`skipped`), another machine has it.
    stop: once it is set, the machine is ended, and the reply tells of one that was lost.
    bounds: when the machine is ended at the latest, and how much its guest may leave on the host.
    ports: QEMU's ends of the job's further ports.

    Whatever the guest does is in the reply, never an exception. Raises ToolMissing when there is no QEMU, ConfigError
    when `qemu/splats.yaml` or `qemu/servers.yaml` is missing or wrong, and DiskFull or OSError when the host's disk is
    full. Files of tests land in `folder/<step>/`, those of the setup, and the machine's own logs, in `folder/<job>/`.
    """
    load_splats(), load_servers()  # a machine whose words cannot be judged is not worth booting
    logs = folder / job.name
    logs.mkdir(parents=True, exist_ok=True)
    start = find_start(job, accelerator, store, progress, stop) if store else Start()
    with tempfile.TemporaryDirectory(prefix="reviewbot-") as sockets:
        places = Places(Path(sockets), logs / "disks", logs)
        run = MachineRun(
            job,
            accelerator,
            places,
            StepFiles(folder, logs),
            on_reply or (lambda reply: None),
            progress,
            take=take,
            stop=stop or threading.Event(),
            bounds=bounds or Bounds(),
            ports=ports or {},
        )
        run.saved, run.notes = start.saved, list(start.notes)
        try:
            make_disks(job, places)
            try:
                reply = run.run()
            except NotRestored as why:
                run.forget_saved(str(why))
                make_disks(job, places)
                reply = run.run()
        finally:
            remove_tree(places.disks)
    if store:
        note_start(job, accelerator, store, run.given_up or reply.agent_seconds, restored=start.saved is not None)
    return reply
