# SPDX-License-Identifier: GPL-2.0-or-later
"""Build everything a run needs, in the order of what needs what."""

from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from reviewbot.build.components import RECIPES, needs
from reviewbot.build.debian import buildroot, guest
from reviewbot.build.errors import BaseFails, BuildFails, FirstError, first_error
from reviewbot.build.kconfig import ConfigLost
from reviewbot.build.kernel import kernel
from reviewbot.build.payload import contents_of, joined, payload
from reviewbot.build.recipe import WrongProduct, run_recipe
from reviewbot.config import Site
from reviewbot.host.cancel import carried
from reviewbot.host.git import tree_of
from reviewbot.host.process import CommandFailed, LimitExceeded, no_room
from reviewbot.model.artifacts import Artifact, Artifacts
from reviewbot.model.errors import DiskFull, InfraError
from reviewbot.model.progress import STORED, Event, Progress, silent
from reviewbot.model.stack import Stack
from reviewbot.model.trees import Tree, Trees
from reviewbot.model.variants import PLAIN, Variant
from reviewbot.store import Durations, Store

FAILURES = (CommandFailed, LimitExceeded, WrongProduct, ConfigLost)
"""How the build of a component fails. Each is InfraError until it is known that base does not fail so."""


class KernelUnbuildable(InfraError):
    """The unpatched kernel does not build: nothing can be said about the series."""


def build_all(
    trees: Trees,
    stack: Stack,
    *,
    store: Store,
    site: Site,
    kinds: Collection[str],
    logs: Path,
    progress: Progress = silent,
    variant: Variant = PLAIN,
) -> Artifacts:
    """Build root, guest, the named components, and the payload made of them.

    A component that fails without patches, its own or of what it needs, becomes unavailable. With patches the series
    is at fault if base builds in the same way and within the same limits. Raises BuildFails, BaseFails,
    KernelUnbuildable, InfraError.
    """
    return _Builder(trees, stack, store, site, logs, progress, variant).run(kinds)


def build_components(
    trees: Trees,
    stack: Stack,
    *,
    store: Store,
    site: Site,
    kinds: Collection[str],
    logs: Path,
    progress: Progress = silent,
) -> tuple[Artifacts, tuple[BuildFails | BaseFails, ...]]:
    """What a review needs: the build root and the named components, no guest and no payload.

    Goes on past a patched component that does not build: it is unavailable, and its failure is returned.
    Raises KernelUnbuildable, InfraError.
    """
    builder = _Builder(trees, stack, store, site, logs, progress)
    failures = builder.components(kinds, give_up=False)
    return Artifacts(artifacts=builder.built, unavailable=builder.unavailable), failures


class _Builder:
    def __init__(
        self,
        trees: Trees,
        stack: Stack,
        store: Store,
        site: Site,
        logs: Path,
        progress: Progress,
        variant: Variant = PLAIN,
    ) -> None:
        self.trees, self.stack, self.store, self.site, self.logs, self.progress = (
            trees,
            stack,
            store,
            site,
            logs,
            progress,
        )
        self.variant = variant
        self.durations = Durations(store.root / "durations.json")
        self.built: dict[str, Artifact] = {}
        self.unavailable: dict[str, str] = {**trees.unavailable, **variant.without}

    def components(self, kinds: Collection[str], *, give_up: bool) -> tuple[BuildFails | BaseFails, ...]:
        """The build root and the named components; give_up: at the first patched one that does not build."""
        root = self._timed("buildroot", lambda log: buildroot(self.store, self.site.debian_suite, log))
        self.built["buildroot"] = root
        failures: list[BuildFails | BaseFails] = []
        for spec in self.stack.components:
            if spec.name in kinds and spec.name not in self.unavailable:
                try:
                    self._component(spec.name, spec.recipe, root)
                except (BuildFails, BaseFails) as error:
                    if give_up:
                        raise
                    failures.append(error)
                    self.unavailable[spec.name] = str(error)
        return tuple(failures)

    def run(self, kinds: Collection[str]) -> Artifacts:
        """The components, and what a machine needs to run them."""
        with ThreadPoolExecutor(1) as pool:
            # The guest waits for the network and the disk while the kernel wants the CPUs.
            timed = carried(self._timed)
            waiting = pool.submit(timed, "guest", lambda log: guest(self.store, self.site.debian_suite, log))
            self.components(kinds, give_up=True)
            self.built["guest"] = waiting.result()
        try:
            self.built["payload"] = self._timed("payload", lambda log: payload(self.store, self.built, log))
        except WrongProduct as error:
            self._clash(error)
        return Artifacts(artifacts=self.built, unavailable=self.unavailable)

    def _clash(self, error: WrongProduct) -> NoReturn:
        """What was built does not go together. Raises BuildFails for the later of two if base goes together, and
        BaseFails if not.
        """
        self.progress(Event("build", error.component, "failed", str(error)))
        found, log = FirstError(str(error), "", ""), self.logs / f"{error.component}.log"
        if not self.trees.patched:
            raise error
        base_log = self.logs / f"{error.component}-base.log"
        names = [spec.name for spec in self.stack.components if spec.name in self.built and spec.recipe in RECIPES]
        root, recipe_of = self.built["buildroot"], {spec.name: spec.recipe for spec in self.stack.components}
        try:
            below = {name: self._at_base(name, recipe_of[name], root, base_log) for name in names}
            joined(contents_of(below))
        except FAILURES as same:
            raise BaseFails(error.component, found, self._first_error(same, base_log), log, base_log) from error
        raise BuildFails(error.component, found, log) from error

    def _component(self, name: str, recipe: str, root: Artifact) -> None:
        tree = self.trees.get(name)
        if tree is None:
            self.unavailable[name] = "it has no source"
            return
        required = needs(recipe)
        missing = next((need for need in required if need not in self.built), None)
        if missing is not None:
            self.unavailable[name] = (
                f"it needs {missing}, which is missing: {self.unavailable.get(missing, 'not asked for')}"
            )
            return
        log = self.logs / f"{name}.log"
        try:
            self.built[name] = self._timed(name, lambda log: self._build(recipe, tree, root, self.built, log))
        except FAILURES as error:
            found = self._first_error(error, log)
            self.progress(Event("build", name, "failed", found.words(), log=str(log)))
            if tree.patches or any((t := self.trees.get(need)) and t.patches for need in required):
                self.built[name] = self._tried_again(name, recipe, tree, root, found, log)
            elif recipe == "kernel":
                raise KernelUnbuildable(
                    f"the unpatched kernel does not build: {found.what}", hint=f"see {log}"
                ) from error
            else:
                self.unavailable[name] = f"it does not build, unpatched: {found.words()}"

    def _tried_again(
        self, name: str, recipe: str, tree: Tree, root: Artifact, found: FirstError, log: Path
    ) -> Artifact:
        """Head did not build: find out by building whose fault that is, not by the words of its log.

        What a machine may have done is tried once more. Then base is built by the same recipe, within the same
        limits, against base's own dependencies. Raises BuildFails when base builds, else BaseFails.
        """
        if found.accident:
            log = self.logs / f"{name}-again.log"
            try:
                return self._timed(name, lambda log: self._build(recipe, tree, root, self.built, log), log)
            except FAILURES as error:
                found = self._first_error(error, log)
                self.progress(Event("build", name, "failed", found.words(), log=str(log)))
        base_log = self.logs / f"{name}-base.log"
        try:
            self._timed(f"{name}-base", lambda log: self._at_base(name, recipe, root, log))
        except FAILURES as error:
            base = self._first_error(error, base_log)
            self.progress(Event("build", f"{name}-base", "failed", base.words(), log=str(base_log)))
            raise BaseFails(name, found, base, log, base_log) from error
        raise BuildFails(name, found, log, compiler=str(root.facts.get("gcc", "")))

    def _at_base(self, name: str, recipe: str, root: Artifact, log: Path) -> Artifact:
        """The component below the series, built against what it needs below the series."""
        tree = self.trees.get(name)
        assert tree is not None
        below = tree.model_copy(
            update={
                "head_commit": tree.below,
                "head_tree": tree_of(Path(tree.repository), tree.below),
                "patches": (),
            }
        )
        built = {need: self._at_base(need, self.stack.component(need).recipe, root, log) for need in needs(recipe)}
        return self._build(recipe, below, root, built, log)

    def _build(self, recipe: str, tree: Tree, root: Artifact, built: Mapping[str, Artifact], log: Path) -> Artifact:
        try:
            if recipe == "kernel":
                return kernel(self.store, tree, root, log, self.variant, self.progress)
            return run_recipe(RECIPES[recipe], self.store, tree, root, built, log, self.variant, self.progress)
        except CommandFailed as error:
            if no_room(self.store.root, log, said=error.tail):
                raise DiskFull(str(self.store.root)) from error
            raise

    def _first_error(self, error: InfraError, log: Path) -> FirstError:
        if isinstance(error, (WrongProduct, ConfigLost, LimitExceeded)):
            return FirstError(str(error), "", "")
        found = first_error(log.read_text(errors="replace")) if log.exists() else None
        if found is None and isinstance(error, CommandFailed) and not log.exists():
            raise error  # not the build itself: git, bubblewrap, the disk
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-10:]) if log.exists() else ""
        return found or FirstError(str(error), "", tail)

    def _timed(self, kind: str, make: Callable[[Path], Artifact], log: Path | None = None) -> Artifact:
        with self._shown(kind) as show:
            artifact = make(log or self.logs / f"{kind}.log")
            show(artifact)
        return artifact

    @contextmanager
    def _shown(self, kind: str) -> Iterator[Callable[[Artifact], None]]:
        name = f"build {kind}{f'[{self.variant.name}]' if self.variant.name else ''}"
        log = str(self.logs / f"{kind}.log")
        self.progress(Event("build", kind, "start", expected=self.durations.get(name), log=log))

        def show(artifact: Artifact) -> None:
            if not artifact.reused:
                self.durations.put(name, artifact.seconds)
            self.progress(Event("build", kind, "done", STORED if artifact.reused else _words(artifact)))

        yield show


def _words(artifact: Artifact) -> str:
    """The facts a reader wants."""
    wanted = ("release", "version", "soname", "protocol", "fuse2fs_libfuse", "fuse4fs", "api", "iomap", "iomap_enabled",
              "fuse_iomap", "libfuse", "tests")  # fmt: skip
    words = []
    for name in wanted:
        value = artifact.facts.get(name)
        if value is not None and value != "":
            shown = ("yes" if value else "no") if isinstance(value, bool) else value
            words.append(f"{name} {shown}")
    return ", ".join(words)
