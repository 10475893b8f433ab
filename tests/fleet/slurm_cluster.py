# SPDX-License-Identifier: GPL-2.0-or-later
"""A Slurm cluster of three nodes on this host: Debian's slurmctld, slurmd and munged, with files of its own."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

NEEDS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo")
NODES = ("node1", "node2", "node3")
CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser=root
AuthInfo=socket={folder}/munge.sock
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdSpoolDir={folder}/spool-%n
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_interval=2
MpiDefault=none
ReturnToService=2
SlurmdTimeout=6
MinJobAge=3
KillWait=1
AccountingStorageType=accounting_storage/none
NodeName=node[1-3] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{last}] CPUs=1 RealMemory=100
PartitionName=vm Nodes=node[1-3] Default=YES MaxTime=INFINITE State=UP
"""


@dataclass
class Cluster:
    """It is known by its configuration, which `sbatch` and others find by SLURM_CONF."""

    folder: Path
    daemons: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def conf(self) -> Path:
        return self.folder / "slurm.conf"

    def start(self, name: str, *words: str) -> None:
        log = (self.folder / f"{name}.out").open("wb")
        self.daemons[name] = subprocess.Popen(
            words, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, "SLURM_CONF": str(self.conf)}
        )
        (self.folder / f"{name}.pid").write_text(str(self.daemons[name].pid))

    def ask(self, *words: str) -> str:
        env = {**os.environ, "SLURM_CONF": str(self.conf)}
        return subprocess.run(words, env=env, capture_output=True, text=True, check=False).stdout

    def stop(self) -> None:
        for process in reversed(self.daemons.values()):
            if process.poll() is None:
                process.terminate()
        for process in self.daemons.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            if process.poll() is None:
                process.kill()
                process.wait()


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Skips the test where Debian's packages are not installed, or we are not root."""
    absent = [tool for tool in NEEDS if shutil.which(tool) is None]
    if absent or os.geteuid() != 0:
        pytest.skip(f"no {absent[0]}: apt-get install slurmctld slurmd slurm-client munge" if absent else "not root")
    made = Cluster(folder)
    folder.mkdir()
    try:
        _begin(made)
        yield made
    finally:
        made.stop()


def _begin(made: Cluster) -> None:
    folder, host = made.folder, socket.gethostname().partition(".")[0]
    port = free_ports(1 + len(NODES))
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    (folder / "state").mkdir()
    for node in NODES:
        (folder / f"spool-{node}").mkdir()
    made.conf.write_text(CONF.format(folder=folder, host=host, port=port, user="root", first=port + 1, last=port + 3))
    files = {"key-file": "munge.key", "socket": "munge.sock", "pid-file": "munged", "log-file": "munge.log"}
    words = [f"--{option}={folder / name}" for option, name in files.items()]
    made.start("munged", "munged", "--force", "--foreground", f"--seed-file={folder}/seed", *words)
    until(lambda: (folder / "munge.sock").exists(), made)
    made.start("slurmctld", "slurmctld", "-D", "-f", str(made.conf))
    for node in NODES:
        made.start(node, "slurmd", "-D", "-N", node, "-f", str(made.conf))
    until(lambda: made.ask("sinfo", "--noheader", "--format=%T %D").strip() == "idle 3", made)


def until(true: Callable[[], bool], made: Cluster) -> None:
    """Wait for an event; a daemon that ends before it fails the test."""
    while not true():
        dead = [name for name, process in made.daemons.items() if process.poll() is not None]
        assert not dead, (made.folder / f"{dead[0]}.out").read_text()
        time.sleep(0.1)


def free_ports(count: int) -> int:
    """The first of so many ports that follow each other and that nobody listens at."""
    for first in range(20_000 + os.getpid() % 5000, 60_000, count):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + count):
                stack.enter_context(contextlib.closing(socket.create_server(("127.0.0.1", port))))
            return first
    raise AssertionError("no free ports")
