# SPDX-License-Identifier: GPL-2.0-or-later
"""The review of a posting: between `build` (does each patch build?) and `review` (what is to be said of it?);
neither knows the other.

A review is kept by its inputs, as legs are: the same series on the same base is not reviewed twice.
"""

import functools
import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from reviewbot import build, review
from reviewbot.config import Reviewer
from reviewbot.host.data import data_path
from reviewbot.host.files import write_atomic
from reviewbot.model.artifacts import Artifact, Fact
from reviewbot.model.progress import Event
from reviewbot.model.review import PatchBuild, Review, Severity
from reviewbot.model.trees import Trees
from reviewbot.model.words import counted
from reviewbot.pipeline.run import TOOL, Job, Run

LOGS = "review"
"""Folder below the run's `logs/`."""


def review_posting(job: Job, trees: Trees, built: Mapping[str, Artifact]) -> Review:
    """Every patch, built by itself on those before it and looked at; then the series. Writes review.json.

    built: what head's builds left, by component, and the build root; what is missing is not used, and that is said.
    Raises InfraError.
    """
    run, found = job.run, job.found
    inputs = _inputs(job, trees, built)
    if not job.request.how.fresh and (earlier := run.store.find("review", inputs)):
        made = _reused(run, earlier)
    else:
        logs = run.folder.logs(LOGS)
        builds = build_each(run, trees, built) if job.request.how.build else {}
        root = Path(built["buildroot"].path) / "root" if "buildroot" in built else None
        made = review.review(
            found.posting,
            found.mails,
            trees,
            builds,
            root=root,
            reviewers=run.site.reviewers,
            scratch=run.store.scratch(LOGS),
            logs=logs,
            run=run.folder.id,
            tool=TOOL,
            progress=run.progress,
        )
        if not any(one.name in made.skipped for one in run.site.reviewers):  # tomorrow they may answer
            _keep(job, inputs, made, logs)
    run.folder.write("review.json", made)
    return made


def build_each(run: Run, trees: Trees, built: Mapping[str, Artifact], only: str = "") -> dict[str, PatchBuild]:
    """Commit -> how it builds on top of those before it; `only`: of one component. Raises InfraError."""
    wanted = tuple(tree for tree in trees.trees if only in ("", tree.component))
    return build.build_patches(
        trees.model_copy(update={"trees": wanted}),
        run.stack,
        store=run.store,
        built=built,
        logs=run.folder.logs(LOGS),
        progress=run.progress,
    )


def _inputs(job: Job, trees: Trees, built: Mapping[str, Artifact]) -> Mapping[str, str]:
    """All that the review depends on."""
    found = job.found
    parts = [
        {"component": part.component, "counter": part.counter, "patches": [p.message_id for p in part.patches]}
        for part in found.posting.parts
    ]
    digest = hashlib.sha256()
    for part in found.posting.parts:
        for message_id in filter(None, (part.cover, *(patch.message_id for patch in part.patches))):
            digest.update(found.mails.get(message_id, b"") + b"\0")
    commits = {tree.component: f"{tree.base_commit} {tree.head_commit}" for tree in trees.trees}
    known = ("buildroot", *commits)
    keys = {kind: built[kind].key for kind in known if kind in built}
    return {
        "parts": json.dumps(parts),
        "mails": digest.hexdigest(),
        "trees": json.dumps(commits, sort_keys=True),
        "unavailable": json.dumps(sorted(trees.unavailable)),
        "each": str(job.request.how.build),
        "built": json.dumps(keys),
        "reviewers": json.dumps([_identity(reviewer) for reviewer in job.run.site.reviewers]),
        "rules": _rules_digest(),
    }


def _identity(reviewer: Reviewer) -> list[str]:
    """A reviewer's settings, and a digest of its program or folder."""
    path = Path(reviewer.path)
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
        digest.update(f"{file} {file.stat().st_size}\n".encode() + file.read_bytes())
    return [reviewer.model_dump_json(), digest.hexdigest()]


@functools.cache
def _rules_digest() -> str:
    """Hex digest of all that judges or builds a patch: the code and data of both steps, the kernel's configuration."""
    digest = hashlib.sha256()
    for folder in (Path(review.__file__).parent, Path(build.__file__).parent, data_path("kconfigs")):
        for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix != ".pyc"):
            digest.update(f"{path.relative_to(folder)} {path.stat().st_size}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _keep(job: Job, inputs: Mapping[str, str], made: Review, logs: Path) -> None:
    def fill(folder: Path) -> Mapping[str, Fact]:
        shutil.copytree(logs, folder / "logs")
        write_atomic(folder / "review.json", made.model_dump_json())
        return {"patches": len(made.patches)}

    store = job.run.store
    if job.request.how.fresh and (old := store.find("review", inputs)):
        store.drop(old)
    store.get("review", inputs, fill)


def _reused(run: Run, earlier: Artifact) -> Review:
    folder = Path(earlier.path)
    shutil.copytree(folder / "logs", run.folder.logs(LOGS), dirs_exist_ok=True)
    made = Review.model_validate_json((folder / "review.json").read_bytes())
    text = f"{counted(len(made.patches), 'patch')}, {made.words()}, from an earlier run"
    state = "failed" if made.broken or made.count(Severity.ERROR) else "done"
    run.progress(Event("review", "series", state, text))
    return made.model_copy(update={"run": run.folder.id, "tool": TOOL})
