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
from dataclasses import dataclass
from pathlib import Path

from reviewbot import build, review
from reviewbot.config import Reviewer
from reviewbot.host.data import data_path
from reviewbot.host.files import write_atomic
from reviewbot.model.artifacts import Artifact, Fact
from reviewbot.model.posting import Posting
from reviewbot.model.progress import Event, Progress
from reviewbot.model.review import PatchBuild, Review, Severity
from reviewbot.model.stack import Stack
from reviewbot.model.trees import Trees
from reviewbot.model.words import counted
from reviewbot.store import RunFolder, Store

LOGS = "review"
"""Folder below the run's `logs/`."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What a review is made with."""

    posting: Posting
    mails: Mapping[str, bytes]
    trees: Trees
    stack: Stack
    reviewers: tuple[Reviewer, ...]
    store: Store
    run: RunFolder
    tool: str
    progress: Progress
    each: bool = True
    """False: no patch is built."""
    fresh: bool = False
    """True: review again what was reviewed before."""


def review_posting(desk: Desk, built: Mapping[str, Artifact]) -> Review:
    """Every patch, built by itself on those before it and looked at; then the series.

    built: what head's builds left, by component, and the build root; what is missing is not used, and that is said.
    Raises InfraError.
    """
    inputs = _inputs(desk, built)
    if not desk.fresh and (found := desk.store.find("review", inputs)):
        return _kept(desk, found)
    logs = desk.run.logs(LOGS)
    builds = build_each(desk, built) if desk.each else {}
    root = Path(built["buildroot"].path) / "root" if "buildroot" in built else None
    made = review.review(
        desk.posting, desk.mails, desk.trees, builds, root=root, reviewers=desk.reviewers,
        scratch=desk.store.scratch(LOGS), logs=logs, run=desk.run.id, tool=desk.tool, progress=desk.progress,
    )  # fmt: skip
    if not _passing_trouble(made, desk.reviewers):
        _keep(desk, inputs, made, logs)
    return made


def build_each(desk: Desk, built: Mapping[str, Artifact], only: str = "") -> dict[str, PatchBuild]:
    """Commit -> how it builds on top of those before it; `only`: of one component. Raises InfraError."""
    trees = tuple(tree for tree in desk.trees.trees if only in ("", tree.component))
    return build.build_patches(
        desk.trees.model_copy(update={"trees": trees}),
        desk.stack,
        store=desk.store,
        built=built,
        logs=desk.run.logs(LOGS),
        progress=desk.progress,
    )


def _inputs(desk: Desk, built: Mapping[str, Artifact]) -> Mapping[str, str]:
    """All that the review depends on."""
    parts = [
        {"component": part.component, "counter": part.counter, "patches": [p.message_id for p in part.patches]}
        for part in desk.posting.parts
    ]
    digest = hashlib.sha256()
    for part in desk.posting.parts:
        for message_id in filter(None, (part.cover, *(patch.message_id for patch in part.patches))):
            digest.update(desk.mails.get(message_id, b"") + b"\0")
    trees = {tree.component: f"{tree.base_commit} {tree.head_commit}" for tree in desk.trees.trees}
    known = ("buildroot", *trees)
    keys = {kind: built[kind].key for kind in known if kind in built}
    return {
        "parts": json.dumps(parts), "mails": digest.hexdigest(), "trees": json.dumps(trees, sort_keys=True),
        "unavailable": json.dumps(sorted(desk.trees.unavailable)), "each": str(desk.each), "built": json.dumps(keys),
        "reviewers": json.dumps([_identity(reviewer) for reviewer in desk.reviewers]), "rules": _rules_digest(),
    }  # fmt: skip


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


def _passing_trouble(made: Review, reviewers: tuple[Reviewer, ...]) -> bool:
    """Whether the same review may say more tomorrow: an external reviewer did not answer."""
    return any(reviewer.name in made.skipped for reviewer in reviewers)


def _keep(desk: Desk, inputs: Mapping[str, str], made: Review, logs: Path) -> None:
    def fill(folder: Path) -> Mapping[str, Fact]:
        shutil.copytree(logs, folder / "logs")
        write_atomic(folder / "review.json", made.model_dump_json())
        return {"patches": len(made.patches)}

    if desk.fresh and (old := desk.store.find("review", inputs)):
        desk.store.drop(old)
    desk.store.get("review", inputs, fill)


def _kept(desk: Desk, found: Artifact) -> Review:
    folder = Path(found.path)
    shutil.copytree(folder / "logs", desk.run.logs(LOGS), dirs_exist_ok=True)
    made = Review.model_validate_json((folder / "review.json").read_bytes())
    text = f"{counted(len(made.patches), 'patch')}, {made.words()}, from an earlier run"
    state = "failed" if made.broken or made.count(Severity.ERROR) else "done"
    desk.progress(Event("review", "series", state, text))
    return made.model_copy(update={"run": desk.run.id, "tool": desk.tool})
