# SPDX-License-Identifier: GPL-2.0-or-later
"""Build everything a run needs, in the order of what needs what."""

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from reviewbot.build.components import RECIPES, WrongProduct, needs
from reviewbot.build.debian import buildroot, guest
from reviewbot.build.errors import BuildFails, FirstError, first_error
from reviewbot.build.kconfig import ConfigLost
from reviewbot.build.kernel import kernel
from reviewbot.build.payload import payload
from reviewbot.build.recipe import run_recipe
from reviewbot.config import Site
from reviewbot.host.process import CommandFailed, CommandTimeout
from reviewbot.model.artifacts import Artifact, Artifacts
from reviewbot.model.errors import InfraError
from reviewbot.model.progress import Event, Progress, silent
from reviewbot.model.stack import Stack
from reviewbot.model.trees import Tree, Trees
from reviewbot.model.variants import PLAIN, Variant
from reviewbot.store import Durations, Store


class KernelUnbuildable(InfraError):
    """The unpatched kernel does not build: nothing can be said about the series."""


def build_all(
    trees: Trees, stack: Stack, *, store: Store, site: Site, kinds: Collection[str], logs: Path,
    progress: Progress = silent, variant: Variant = PLAIN,
) -> Artifacts:  # fmt: skip
    """Build root, guest, the named components, and the payload made of them.

    A component that fails without patches, its own or of what it needs, becomes unavailable; with patches the
    series is at fault. Raises BuildFails, KernelUnbuildable, InfraError.
    """
    return _Builder(trees, stack, store, site, logs, progress, variant).run(kinds)


def build_components(
    trees: Trees, stack: Stack, *, store: Store, site: Site, kinds: Collection[str], logs: Path,
    progress: Progress = silent,
) -> tuple[Artifacts, tuple[BuildFails, ...]]:  # fmt: skip
    """What a review needs: the build root and the named components, no guest and no payload.

    Goes on past a component that fails because of the series: it is unavailable, and its failure is returned.
    Raises KernelUnbuildable, InfraError.
    """
    builder = _Builder(trees, stack, store, site, logs, progress)
    failures = builder.components(kinds, give_up=False)
    return Artifacts(artifacts=builder.built, unavailable=builder.unavailable), failures


class _Builder:
    def __init__(
        self, trees: Trees, stack: Stack, store: Store, site: Site, logs: Path, progress: Progress,
        variant: Variant = PLAIN,
    ) -> None:  # fmt: skip
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

    def components(self, kinds: Collection[str], *, give_up: bool) -> tuple[BuildFails, ...]:
        """The build root and the named components; give_up: at the first one that the series breaks."""
        root = self._timed("buildroot", lambda log: buildroot(self.store, self.site.debian_suite, log))
        self.built["buildroot"] = root
        failures = []
        for spec in self.stack.components:
            if spec.name in kinds and spec.name not in self.unavailable:
                try:
                    self._component(spec.name, spec.recipe, root)
                except BuildFails as error:
                    if give_up:
                        raise
                    failures.append(error)
                    self.unavailable[spec.name] = str(error)
        return tuple(failures)

    def run(self, kinds: Collection[str]) -> Artifacts:
        """The components, and what a machine needs to run them."""
        with ThreadPoolExecutor(1) as pool:
            # The guest waits for the network and the disk while the kernel wants the CPUs.
            waiting = pool.submit(self._timed, "guest", lambda log: guest(self.store, self.site.debian_suite, log))
            self.components(kinds, give_up=True)
            self.built["guest"] = waiting.result()
        self.built["payload"] = self._timed("payload", lambda log: payload(self.store, self.built, log))
        return Artifacts(artifacts=self.built, unavailable=self.unavailable)

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
            self.built[name] = self._timed(name, lambda log: self._build(recipe, tree, root, log))
        except (CommandFailed, CommandTimeout, WrongProduct, ConfigLost) as error:
            found = self._first_error(error, log)
            self.progress(Event("build", name, "failed", f"{found.place}: {found.what}" if found.place else found.what))
            if tree.patches or any((t := self.trees.get(need)) and t.patches for need in required):
                raise BuildFails(name, found, log) from error
            if recipe == "kernel":
                raise KernelUnbuildable(
                    f"the unpatched kernel does not build: {found.what}", hint=f"see {log}"
                ) from error
            self.unavailable[name] = (
                f"it does not build, unpatched: {found.place + ': ' if found.place else ''}{found.what}"
            )

    def _build(self, recipe: str, tree: Tree, root: Artifact, log: Path) -> Artifact:
        if recipe == "kernel":
            return kernel(self.store, tree, root, log, self.variant)
        return run_recipe(RECIPES[recipe], self.store, tree, root, self.built, log, self.variant)

    def _first_error(self, error: InfraError, log: Path) -> FirstError:
        if isinstance(error, (WrongProduct, ConfigLost)):
            return FirstError(str(error), "", "")
        found = first_error(log.read_text(errors="replace")) if log.exists() else None
        if found is None and isinstance(error, CommandFailed) and not log.exists():
            raise error  # not the build itself: git, bubblewrap, the disk
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-10:]) if log.exists() else ""
        return found or FirstError(str(error), "", tail)

    def _timed(self, kind: str, make: Callable[[Path], Artifact]) -> Artifact:
        with self._shown(kind) as show:
            artifact = make(self.logs / f"{kind}.log")
            show(artifact)
        return artifact

    @contextmanager
    def _shown(self, kind: str) -> Iterator[Callable[[Artifact], None]]:
        name = f"build {kind}{f'[{self.variant.name}]' if self.variant.name else ''}"
        self.progress(Event("build", kind, "start", expected=self.durations.get(name)))

        def show(artifact: Artifact) -> None:
            if not artifact.reused:
                self.durations.put(name, artifact.seconds)
            self.progress(Event("build", kind, "done", "from the store" if artifact.reused else _words(artifact)))

        yield show


def _words(artifact: Artifact) -> str:
    """The facts a reader wants."""
    wanted = ("release", "version", "fuse2fs_libfuse", "fuse4fs", "iomap", "fuse_iomap", "libfuse", "tests")
    words = []
    for name in wanted:
        value = artifact.facts.get(name)
        if value is not None and value != "":
            shown = ("yes" if value else "no") if isinstance(value, bool) else value
            words.append(f"{name} {shown}")
    return ", ".join(words)
