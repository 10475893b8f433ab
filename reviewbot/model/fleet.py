# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts that run shards: how a site names them, and who does what."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, Field

from reviewbot.model.base import Model

ROWS = "fleet.json"
"""File of a run: which host has which shard, as `FleetRows`."""
_WEEK = 7 * 24 * 60.0
"""Minutes."""


class _Engine(Model):
    """What all engines are told."""

    shards: Annotated[int, Field(ge=1, le=256)] | Literal["auto"] = "auto"
    """Into how many shards the fstests of a leg are cut; auto: by their durations, `workers` and `minutes`."""
    workers: int = Field(default=8, ge=1, le=256)
    """Shards at once, as far as is known."""
    minutes: float = Field(default=20.0, gt=0, le=_WEEK)
    """That a shard takes at most, with `shards: auto`."""
    start: ClassVar[float] = 10.0
    """Seconds, about, from handing a shard out to its first test."""
    attempts: int = Field(default=3, ge=1, le=10)
    """How often a shard is handed out before its tests are given up."""
    lease: float = Field(default=15.0, gt=0, le=_WEEK)
    """Minutes, at least, in which a worker that runs must get further, or its shard is handed out again."""
    poll: float = Field(default=5.0, gt=0, le=3600)
    """Seconds between two questions to the engine."""
    store: str = Field(default="", pattern=r"^$|^https?://\S+$|^/")
    """Where workers fetch kernels and disks: a URL, or a folder that they see; empty: this host's own folder."""
    objects: str = Field(default="", pattern=r"^$|^/")
    """Folder that gets what the store serves; empty: `objects` of the cache."""
    accelerator: Literal["auto", "kvm", "tcg"] = "auto"
    """What workers are expected to have, for choosing tests; auto: as this host. Each worker finds out by itself."""


class LocalEngine(_Engine):
    """Processes on this host: to try a fleet without one."""

    engine: Literal["local"]
    workers: int = Field(default=2, ge=1, le=64)
    """Shards at once, no more."""
    start: ClassVar[float] = 4.0
    command: tuple[str, ...] = ("reviewbot",)


class SlurmEngine(_Engine):
    """An array of a Slurm partition."""

    engine: Literal["slurm"]
    folder: str = Field(default="", pattern=r"^$|^/")
    """That this host and all nodes see, under the same path; empty: the cache's."""
    command: tuple[str, ...] = ("reviewbot",)
    """How a node calls reviewbot."""
    options: tuple[str, ...] = ()
    """Further words for sbatch: `--partition=vm`, `--account=ci`."""
    kinds: dict[str, tuple[str, ...]] = {}
    """Kind of host -> words for sbatch that lead there."""
    most: int = Field(default=1000, ge=1)
    """Tasks of one array: MaxArraySize of the cluster."""


class GithubEngine(_Engine):
    """The matrix of a workflow of GitHub Actions: `workflows/run-shards.yml`."""

    engine: Literal["github"]
    repository: str = Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}/[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$")
    """OWNER/NAME that has the workflow."""
    workflow: str = Field(default="run-shards.yml", pattern=r"^[A-Za-z0-9._-]{1,100}$")
    ref: str = "main"
    """Branch or tag whose workflow runs."""
    api: str = Field(
        default="https://api.github.com", pattern=r"^https://\S+$|^http://(127\.0\.0\.1|localhost)(:\d+)?$"
    )
    token: str = Field(default="GITHUB_TOKEN", pattern=r"^[A-Z][A-Z0-9_]*$")
    """Environment variable that holds a token with `actions: write`."""
    poll: float = Field(default=20.0, gt=0, le=3600)
    start: ClassVar[float] = 90.0


class KubernetesEngine(_Engine):
    """An Indexed Job of Kubernetes 1.33 or later."""

    engine: Literal["kubernetes"]
    image: str = Field(pattern=r"^\S+$")
    """Of a container with reviewbot and QEMU, best by its digest."""
    server: str = Field(default="http://127.0.0.1:8001", pattern=r"^https?://\S+$")
    """Of the API: by default `kubectl proxy` on this host."""
    namespace: str = Field(default="reviewbot", pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
    token_file: str = Field(default="", pattern=r"^$|^/")
    """File with a token for the API, read for each request; empty: none."""
    ca_file: str = Field(default="", pattern=r"^$|^/")
    """Of the authorities that the API's certificate is checked against; empty: the system's."""
    cpu: str = "2"
    memory: str = "6Gi"
    disk: str = "20Gi"
    """Of a pod: Kubernetes' quantities."""
    kvm: str = Field(default="", pattern=r"^$|^[a-z0-9.-]+/[A-Za-z0-9._-]+$")
    """Resource of the device plugin that gives `/dev/kvm`, `devices.kubevirt.io/kvm`; empty: CPUs are emulated."""
    egress: tuple[str, ...] = ()
    """Networks that pods may speak to, at the store's port; empty: the addresses of the store's host."""
    parallel: int = Field(default=64, ge=1)
    """Pods of one Job at once."""
    kinds: dict[str, dict[str, str]] = {}
    """Kind of host -> labels of the nodes that are of it."""
    poll: float = Field(default=10.0, gt=0, le=3600)
    start: ClassVar[float] = 40.0


EngineSettings = Annotated[LocalEngine | SlurmEngine | GithubEngine | KubernetesEngine, Field(discriminator="engine")]


class ShardState(StrEnum):
    """How far a shard is."""

    TO_DO = "to do"
    WAITS = "waits"
    """In the engine's queue."""
    RUNS = "runs"
    DONE = "done"
    GIVEN_UP = "given up"


class ShardRow(Model):
    """Who does a shard of a run."""

    shard: str
    """`ext4 fstests 3/8`."""
    state: ShardState
    where: str = ""
    """Host, or the engine's name of the task."""
    kind: str = ""
    """Of the host."""
    attempt: int = 0
    """How often it was handed out."""
    done: int = 0
    total: int = 0
    since: AwareDatetime | None = None
    """When it got this state."""
    why: str = ""
    """What became of the attempt before, or why it was given up."""


class FleetRows(Model):
    """`fleet.json`: who does what of a run that others help with."""

    schema_version: Literal[1] = 1
    run: str
    fleet: str
    """Its name in the site file."""
    engine: str
    shards: tuple[ShardRow, ...] = ()
