# SPDX-License-Identifier: GPL-2.0-or-later
"""What the machines of benchmarks are made of: the newest that an earlier run built."""

import hashlib
from pathlib import Path

from reviewbot.build.kconfig import fragment_text, load_fragments
from reviewbot.model.artifacts import Artifact
from reviewbot.model.lab import Disk, GuestJob, GuestStep
from reviewbot.store import Store


def newest(store: Store, *, fstests: bool = False) -> dict[str, Artifact]:
    """Kind -> artifact: the newest kernel, guest and payload, and what is in the payload; empty without one of them.

    fstests: the payload has them.
    """
    plain = hashlib.sha256(fragment_text(load_fragments()).encode()).hexdigest()  # no variant, which is slower
    usable = (artifact for artifact in store if artifact.kind != "kernel" or artifact.inputs["config"] == plain)
    found = sorted(usable, key=lambda artifact: Path(artifact.path).stat().st_mtime)
    built = {a.kind: a for a in found if a.kind != "payload" or not fstests or "artifact fstests" in a.inputs}
    if not {"kernel", "guest", "payload"} <= built.keys():
        return {}
    by_name = {f"{a.kind} {a.key}": a for a in found}
    inputs = built["payload"].inputs.items()
    inside = [f"{name.removeprefix('artifact ')} {key}" for name, key in inputs if name.startswith("artifact ")]
    chosen = [built["kernel"], built["guest"], built["payload"], *(by_name[n] for n in inside if n in by_name)]
    return {artifact.kind: artifact for artifact in chosen}


def job_of(built: dict[str, Artifact], name: str, *steps: GuestStep, disks: tuple[Disk, ...] = ()) -> GuestJob:
    """A job for a machine of these."""
    return GuestJob(
        name=name,
        kernel=f"{built['kernel'].path}/bzImage",
        root=f"{built['guest'].path}/root.img",
        payload=f"{built['payload'].path}/payload.img",
        disks=disks,
        steps=steps,
    )
