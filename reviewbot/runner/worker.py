# SPDX-License-Identifier: GPL-2.0-or-later
"""A shard run by a host that has nothing of the run: what its machines boot from is found, or fetched, by its hash."""

import contextlib
import platform
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from reviewbot import __version__, lab, suites
from reviewbot.config import Site, use_boxes
from reviewbot.host.files import sha256_file, write_atomic
from reviewbot.lab import Accelerator
from reviewbot.model.errors import InfraError, UsageError
from reviewbot.model.progress import Progress
from reviewbot.model.shard import IMAGES, Need, Shard, ShardResult
from reviewbot.model.worker import Beat, Worker
from reviewbot.runner.machines import how_many
from reviewbot.runner.plan_suites import lengths_of
from reviewbot.runner.resume import KeptAnswers
from reviewbot.runner.schedule import run_all
from reviewbot.runner.shard_files import read_shard
from reviewbot.runner.shard_run import ShardRun
from reviewbot.store import Store
from reviewbot.store.contents import recorded
from reviewbot.store.objects import DIGEST, Objects, check_source
from reviewbot.suites.suite import SUITES

_CPUINFO = Path("/proc/cpuinfo")
_BY_HASH = "sha256:"
OnUpdate = Callable[[ShardResult, int], None]
"""Gets all that is known by now, after each answer, and how many tests there are."""
_BEAT = 2.0
"""Seconds between two words of how far it is, at least."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a worker looks for what it has not."""

    objects: Objects
    """What it fetched before."""
    stores: Sequence[str] = ()
    """URLs and folders of objects."""
    beside: Path | None = None
    """Folder of `KIND-KEY` folders with images."""


class Beats:
    """Writes how far a shard is into a file, for whoever waits for it."""

    def __init__(self, path: Path) -> None:
        self.path, self._due = path, 0.0

    def __call__(self, result: ShardResult, total: int) -> None:
        if result.worker and (not self._due or time.monotonic() >= self._due):
            done = min(len(result.tests), total)
            beat = Beat(host=result.worker.host, kind=result.worker.kind, done=done, total=total)
            with contextlib.suppress(OSError):  # nobody hears of it: the result is what counts
                write_atomic(self.path, beat.model_dump_json())
            self._due = time.monotonic() + _BEAT


def find_shard(name: str, objects: Objects, stores: Sequence[str]) -> tuple[Shard, Sources]:
    """The shard of a file, or of a store as `sha256:HEX`. Raises UsageError, ObjectMissing, OSError."""
    for store in stores:
        check_source(store)
    if name.startswith(_BY_HASH):
        digest = name.removeprefix(_BY_HASH)
        if not DIGEST.fullmatch(digest):
            raise UsageError(f"no shard: {name[:80]}", hint="a file, or sha256: and 64 hex digits")
        return read_shard(objects.get(digest, stores)), Sources(objects, stores)
    return read_shard(Path(name)), Sources(objects, stores, Path(name).parent / "artifacts")


def run_shard(
    shard: Shard,
    sources: Sources,
    logs: Path,
    store: Store,
    site: Site,
    progress: Progress,
    on_update: OnUpdate = lambda result, total: None,
) -> ShardResult:
    """Run a shard here; its logs go to `logs`. What was answered before an interruption is not run again.

    Raises InfraError when what its machines boot from is not here, or when this is not the kind of host that it wants.
    """
    use_boxes(site)
    images: dict[str, Path] = {need.kind: _image(need, store, sources) for need in shard.needs}
    chosen = lab.choose_accelerator(site.accelerator, images["kernel"], images["guest"], store.root, progress=progress)
    worker = this_host(chosen)
    if shard.kind and shard.kind != worker.kind:
        raise InfraError(f"the shard is for hosts of kind {shard.kind}, and this one is {worker.kind}")
    running, count = _running(shard, images, chosen, logs, store, site, progress)

    def heard() -> None:
        on_update(running.result().model_copy(update={"worker": worker}), len(shard.tests))

    running.on_update = heard
    heard()
    run_all([running], count, lambda job: [], running.stop)
    result = running.result()
    if running.kept_answers and not result.problem:
        running.kept_answers.forget()
    slow = [factor for machine in result.machines if (factor := _slow(machine.hello.get("slow_factor"))) > 0]
    ran = {need.kind: need.sha256 for need in shard.needs if need.sha256}
    measured = worker.model_copy(update={"slow": min(slow, default=0.0)})
    return result.model_copy(update={"worker": measured, "ran": ran})


def this_host(accelerator: Accelerator) -> Worker:
    """What machines of this host run on."""
    host = re.sub(r"[^A-Za-z0-9._-]", "-", platform.node())[:100].lstrip(".-_") or "unnamed"
    cpus = [line.partition(":")[2].strip() for line in _read(_CPUINFO) if line.startswith("model name")]
    return Worker(
        host=host,
        tool=f"reviewbot {__version__}",
        accelerator=accelerator.name,
        cpu=cpus[0][:100] if cpus else platform.machine(),
        cores=max(1, len(cpus)),
    )


def _running(
    shard: Shard, images: dict[str, Path], chosen: Accelerator, logs: Path, store: Store, site: Site, progress: Progress
) -> tuple[ShardRun, int]:
    """The shard with no machine yet, and how many it may have."""
    count, _ = how_many(site.machine.model_copy(update={"memory": shard.memory, "cpus": shard.cpus}), chosen.name)
    kept_answers = (
        KeptAnswers(store, {"shard": shard.key, "accelerator": chosen.name}) if SUITES[shard.suite].resumable else None
    )
    known = suites.durations_in(store.root).tests(shard.measured_as, chosen.name)
    logs.mkdir(parents=True, exist_ok=True)
    running = ShardRun(
        shard,
        images,
        chosen,
        logs,
        progress,
        threading.Event(),
        lengths_of([step.name for step in shard.tests], known) if known else {},
        kept_answers=kept_answers,
        store=store if site.machine.saved == "auto" else None,
        bounds=lab.Bounds(time.monotonic() + site.machine.hours * 3600),
    )
    return running, count


def _slow(told: object) -> float:
    try:
        return float(str(told))
    except ValueError:
        return 0.0


def _read(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []


def _hash(image: Path, store: Store, key: str) -> str:
    """SHA-256 of an image; of one that the store has checked lately it is in its records, and nothing is read."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        if store.read(image.parent, key):
            return recorded(image.parent)[image.name][2]
    return sha256_file(image)


def _image(need: Need, store: Store, sources: Sources) -> Path:
    """Of this host's cache, beside the shard, or from a store; it is what the shard was made for. Raises InfraError."""
    kept = store.path(need.kind, need.key)
    for folder in (kept, sources.beside / kept.name if sources.beside else kept):
        image = folder / IMAGES[need.kind]
        if image.is_file():
            if need.sha256 and _hash(image, store, need.key) != need.sha256:
                raise InfraError(
                    f"{image} is not the one that the shard was made for", hint="copy it again, or remove it"
                )
            return image
    if need.sha256 and sources.stores:
        return sources.objects.get(need.sha256, sources.stores)
    raise InfraError(
        f"{kept.name} is missing, and the shard's machines boot from it",
        hint=f"copy artifacts/{kept.name} of the shard folder, or from the cache of the machine that made the shard, "
        f"to {kept.parent} or beside the shard into artifacts/; or name a --store",
    )
