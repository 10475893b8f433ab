# SPDX-License-Identifier: GPL-2.0-or-later
"""Every patch built on top of those before it: does it build, and which warnings came with it."""

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from reviewbot.build.affected import Affected, changes
from reviewbot.build.components import needs
from reviewbot.build.errors import FirstError
from reviewbot.build.layers import Layers, put_aside
from reviewbot.build.warnings import new_warnings
from reviewbot.build.workplace import Compiled, KernelPlace, UserPlace, Workplace
from reviewbot.host.files import write_atomic
from reviewbot.host.git import tree_of
from reviewbot.host.process import LimitExceeded
from reviewbot.model.artifacts import Artifact, Fact
from reviewbot.model.progress import Event, Progress, silent
from reviewbot.model.review import BuildWarning, PatchBuild
from reviewbot.model.stack import Stack
from reviewbot.model.trees import AppliedPatch, Tree, Trees
from reviewbot.model.words import counted
from reviewbot.store import Store

PATCH_LIMIT = 600.0
"""Seconds one patch may take."""
_BEFORE_LIMIT = 1800.0
_TIMEOUTS = 2
"""Builds that may take too long before the other patches of a component are skipped."""
_PER_PATCH = ("kernel", "libfuse", "e2fsprogs")
_KIND = "patch-build"


def build_patches(
    trees: Trees, stack: Stack, *, store: Store, built: Mapping[str, Artifact], logs: Path, progress: Progress = silent
) -> dict[str, PatchBuild]:
    """Commit -> its build, for each patch of the posting that base does not have.

    built: at least `buildroot`, and the components (at head) that others need. logs: the folder `logs/<name>` of a
    run. What was built before with the same state before and after it is taken from the store. Raises InfraError.
    """
    found: dict[str, PatchBuild] = {}
    for tree in trees.trees:
        if not any(_reviewed(patch) for patch in tree.patches):
            continue
        recipe = stack.component(tree.component).recipe
        missing = next((need for need in ("buildroot", *needs(recipe)) if need not in built), None)
        if recipe not in _PER_PATCH:
            found |= _skipped(tree, f"{tree.component} is built at head only", "head-only")
        elif missing:
            found |= _skipped(tree, f"it needs {missing}, which could not be built")
        else:
            layers = Layers(store, built["buildroot"], progress)
            patched = any((need := trees.get(name)) and need.patches for name in needs(recipe))
            with _place(recipe, tree, layers, built, patched=patched) as place:
                found |= _Series(tree, place, store, logs, progress).run()
    return found


def blame(builds: Mapping[str, PatchBuild], tree: Tree) -> AppliedPatch | None:
    """The patch from which on the component does not build any more, up to its head.

    None if head builds, or if base fails in the same way.
    """
    guilty = None
    for patch in tree.patches:
        build = builds.get(patch.commit)
        if build is None or patch.merged:
            continue
        if build.state == "failed" and not build.of_base:
            guilty = guilty or patch
        elif build.state == "built":
            guilty = None
    return guilty


def _reviewed(patch: AppliedPatch) -> bool:
    return not (patch.merged or patch.prerequisite)


def _skipped(tree: Tree, why: str, state: Literal["head-only", "skipped"] = "skipped") -> dict[str, PatchBuild]:
    return {p.commit: PatchBuild(commit=p.commit, state=state, why=why) for p in tree.patches if _reviewed(p)}


def _place(recipe: str, tree: Tree, layers: Layers, built: Mapping[str, Artifact], *, patched: bool) -> Workplace:
    """patched: what it needs has patches of the posting, so nothing that is built with it may be kept for others."""
    if recipe == "kernel":
        return KernelPlace(layers, recipe, tree)
    needed = {name: built[name] for name in needs(recipe)}
    return UserPlace(layers, recipe, tree, needed, layered=not patched)


class _Series:
    """The patches of one tree, in order."""

    def __init__(self, tree: Tree, place: Workplace, store: Store, logs: Path, progress: Progress) -> None:
        self.tree, self.place, self.store, self.logs, self.progress = tree, place, store, logs, progress
        self.before = tree.base_commit
        """The last state that builds: each patch is compared with it."""
        self.reference: dict[str, tuple[BuildWarning, ...]] = {}
        self.reference_of = ""
        """The commit whose warnings `reference` holds."""
        self.pending: tuple[str, ...] = ()
        """Targets of patches that failed since."""
        self.errors: list[tuple[FirstError, str]] = []
        """Errors since then, and the subject of the patch that brought each; empty: none of them did."""
        self.note_told = False
        self.timeouts = 0

    def run(self) -> dict[str, PatchBuild]:
        patches = [patch for patch in self.tree.patches if not patch.merged]
        reviewed = [patch for patch in patches if _reviewed(patch)]
        what = f"{self.tree.component} patches"
        self.progress(Event("review", what, "start", total=len(reviewed)))
        repository = Path(self.tree.repository)
        plans = self.place.plan({p.commit: changes(repository, f"{p.commit}^1", p.commit) for p in reviewed})
        found: dict[str, PatchBuild] = {}
        for patch in patches:
            if not _reviewed(patch):
                self.before = patch.commit
                continue
            number = len(found) + 1
            words = f"{number}/{len(reviewed)} {patch.subject}"
            self.progress(Event("review", what, "note", words, done=number - 1, total=len(reviewed)))
            left = [plans[later.commit] for later in reviewed[number - 1 :]]
            found[patch.commit] = self._patch(patch, number, plans[patch.commit], left)
        self.progress(Event("review", what, "done", _summary(tuple(found.values())), total=len(reviewed)))
        return found

    def _patch(self, patch: AppliedPatch, number: int, plan: Affected, left: Sequence[Affected]) -> PatchBuild:
        if not plan.targets:
            return PatchBuild(commit=patch.commit, state="skipped" if plan.later else "not-affected", why=plan.why)
        targets = tuple(sorted({*plan.targets, *self.pending}))
        log = self.logs / f"{self.tree.component}-{number:03}.log"
        inputs = self._inputs(patch, targets)
        build = self._known(inputs, log) or self._build(patch, targets, left, log, inputs)
        why = [build.why, plan.why]
        if build.state == "built":
            self.before, self.pending = patch.commit, ()
            self.errors.clear()
            if self.place.note and not self.note_told:
                self.note_told = True
                why.append(self.place.note)
        else:
            self.pending = targets
        return build.model_copy(update={"commit": patch.commit, "why": "; ".join(word for word in why if word)})

    def _inputs(self, patch: AppliedPatch, targets: Sequence[str]) -> dict[str, str]:
        repository = Path(self.tree.repository)
        return {
            **self.place.inputs,
            "component": self.tree.component,
            "before": tree_of(repository, self.before),
            "tree": tree_of(repository, patch.commit),
            "targets": hashlib.sha256(" ".join(targets).encode()).hexdigest(),
        }

    def _known(self, inputs: Mapping[str, str], log: Path) -> PatchBuild | None:
        artifact = self.store.find(_KIND, inputs)
        if artifact is None:
            return None
        folder = Path(artifact.path)
        build = PatchBuild.model_validate_json((folder / "build.json").read_bytes())
        if not (folder / "log").exists():
            return build
        log.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / "log", log)
        return build.model_copy(update={"log": self._relative(log)})

    def _build(
        self,
        patch: AppliedPatch,
        targets: Sequence[str],
        left: Sequence[Affected],
        log: Path,
        inputs: Mapping[str, str],
    ) -> PatchBuild:
        if self.timeouts >= _TIMEOUTS:
            why = f"{counted(self.timeouts, 'build')} before it timed out"
            return PatchBuild(commit=patch.commit, state="skipped", why=why)
        try:
            if self.reference_of != self.before:
                self._build_before(targets, left)
        except LimitExceeded as error:
            self._give_up(error)
            return PatchBuild(commit=patch.commit, state="skipped", why=f"the state before it {_exceeded(error)}")
        try:
            compiled = self.place.build(patch.commit, targets, log, PATCH_LIMIT)
            if any(self._culprit(error) is None for error in compiled.errors):
                compiled = self._confirmed(patch, targets, left, log, compiled)
        except LimitExceeded as error:  # what was before it stayed within the limits
            self._give_up(error)
            return PatchBuild(
                commit=patch.commit,
                state="failed",
                log=self._relative(log),
                error=f"it {_exceeded(error)}",
                seconds=error.limit if error.what == "time" else 0.0,
            )
        if compiled.errors:
            return self._failed(patch, compiled, log)
        build = self._judge(patch, compiled, log)

        def keep(folder: Path) -> Mapping[str, Fact]:
            write_atomic(folder / "build.json", build.model_dump_json())
            shutil.copyfile(log, folder / "log")
            return {"state": build.state, "warnings": len(build.warnings)}

        self.store.get(_KIND, inputs, keep)
        return build

    def _give_up(self, error: LimitExceeded) -> None:
        """A build was ended: in which state the objects are is not known."""
        self.timeouts += error.what == "time"
        self.reference_of = ""
        self.place.forget()

    def _confirmed(
        self, patch: AppliedPatch, targets: Sequence[str], left: Sequence[Affected], log: Path, compiled: Compiled
    ) -> Compiled:
        """A build that failed above objects of earlier ones, tried in an empty folder before anybody is accused."""
        put_aside(log)
        again = self.place.from_nothing(patch.commit, targets, log, _BEFORE_LIMIT)
        if again.errors:
            return replace(compiled, errors=again.errors)
        self._distrust()
        self._build_before(targets, left)
        return self.place.build(patch.commit, targets, log, PATCH_LIMIT)

    def _distrust(self) -> None:
        name = self.tree.component
        words = f"{name} builds from scratch but not on the cached build of its base: redoing the cached build"
        self.progress(Event("review", name, "say", words))
        self.place.distrust()

    def _build_before(self, targets: Sequence[str], left: Sequence[Affected]) -> None:
        """What the patches that are left may change, as it is before them."""
        union = tuple(sorted({*targets, *(target for plan in left for target in plan.targets)}))
        log = self.logs / f"{self.tree.component}-before.log"
        compiled = self.place.prepare(self.before, union, log, _BEFORE_LIMIT)
        if compiled.errors and self.place.layered:
            put_aside(log)
            again = self.place.from_nothing(self.before, union, log, _BEFORE_LIMIT)
            if not again.errors:
                self._distrust()
                compiled = self.place.prepare(self.before, union, log, _BEFORE_LIMIT)
        if not self.errors:
            self.errors = [(error, "") for error in compiled.errors]
        if said := self.place.judge(union):
            self.progress(Event("review", self.tree.component, "say", f"{self.tree.component}: {said}"))
        self.reference, self.reference_of = dict(self.place.warnings), self.before

    def _judge(self, patch: AppliedPatch, compiled: Compiled, log: Path) -> PatchBuild:
        now = dict(self.place.warnings)
        fresh = new_warnings(self.reference, now, tools=self.place.tools)
        self.reference, self.reference_of = now, patch.commit
        return PatchBuild(
            commit=patch.commit,
            state="built",
            why="its output was truncated" if compiled.cut else "",
            warnings=fresh,
            seconds=round(compiled.seconds, 2),
            compiled=len(compiled.said),
            log=self._relative(log),
        )

    def _failed(self, patch: AppliedPatch, compiled: Compiled, log: Path) -> PatchBuild:
        """Told by an error of its own, if it has one, else by one that came before it."""
        own = [error for error in compiled.errors if self._culprit(error) is None]
        error = own[0] if own else compiled.errors[0]
        culprit = None if own else self._culprit(error)
        self.errors += [(mine, patch.subject) for mine in own]
        return PatchBuild(
            commit=patch.commit,
            state="failed",
            of_base=culprit == "",
            came_with=culprit or "",
            error=error.what,
            place=error.place,
            detail=error.context,
            seconds=round(compiled.seconds, 2),
            compiled=len(compiled.said),
            log=self._relative(log),
        )

    def _culprit(self, error: FirstError) -> str | None:
        """Subject of the patch that brought it, empty if it was there before; None: nobody yet."""
        return next((culprit for known, culprit in self.errors if known.same_as(error)), None)

    def _relative(self, log: Path) -> str:
        return log.relative_to(self.logs.parent.parent).as_posix()


def _exceeded(error: LimitExceeded) -> str:
    return f"was not built within {error.limit:.0f} s" if error.what == "time" else f"exceeded {error.amount}"


def _summary(builds: Sequence[PatchBuild]) -> str:
    words = []
    for state in ("built", "failed", "not-affected", "skipped"):
        if number := sum(build.state == state for build in builds):
            words.append(f"{number} {state.replace('-', ' ')}")
    if warnings := sum(len(build.warnings) for build in builds):
        words.append(counted(warnings, "new warning"))
    return ", ".join(words)
