# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel: tinyconfig and fragments, out of tree, above the objects of its unpatched base."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from reviewbot.build.affected import Change, changes, profiled
from reviewbot.build.kconfig import (
    ConfigLost,
    Fragment,
    check_survival,
    decides,
    fragment_text,
    load_fragments,
    parse_config,
    symbols,
)
from reviewbot.build.layers import Kept, Layers, put_aside, throwaway
from reviewbot.build.recipe import WrongProduct
from reviewbot.host.checkout import Checkout
from reviewbot.host.files import read_regular
from reviewbot.host.gate import Refused, shown, take, take_text
from reviewbot.host.process import CommandFailed
from reviewbot.host.sandbox import LOG_LIMIT, Bind, Sandbox
from reviewbot.model.artifacts import Artifact, Fact
from reviewbot.model.progress import Event, Progress, silent
from reviewbot.model.trees import Tree
from reviewbot.model.variants import PLAIN, Variant
from reviewbot.store import Store

VERSION = "1"
LIMIT = 3 * 3600.0
_SCRIPT = Path(__file__).parent / "recipes" / "kernel.sh"
_FAILED = re.compile(r"\*\*\* \[[^\]\s]+: (\w[\w./+-]*\.o)\] Error")
_MOST_FAILED = 3
_LONGEST = 64
"""Characters of a release: uname(2) has room for so many."""


def local_version(tree_id: str) -> str:
    """End of `uname -r`: it carries the tree, so that a run can prove which kernel ran."""
    return f"-rb-{tree_id[:12]}"


def kernel(
    store: Store, tree: Tree, root: Artifact, log: Path, variant: Variant = PLAIN, progress: Progress = silent
) -> Artifact:
    """`bzImage`, `config`, `System.map`. Facts: `release`, `fuse_iomap`, how many symbols, which were unknown.

    Of a variant with counters also `gcno/`, the compiler's notes of each object in directories that the tree's patches
    touch: these count what runs.
    Raises CommandFailed (its log holds the compiler's words), ConfigLost, WrongProduct.
    """
    order = Order(Layers(store, root, progress), tree, variant, log)

    def build(folder: Path) -> Mapping[str, Fact]:
        with throwaway(store.root) as work:
            built = order.head(work)
            _accept(order.layers.sandbox, built.out, folder)
        return {
            "release": _release(folder / "release"),
            "fuse_iomap": built.config.get("CONFIG_FUSE_IOMAP") == "y",
            "symbols": len(built.config),
            "unknown_symbols": " ".join(built.unknown),
        }

    return store.get("kernel", order.inputs, build)


def _read(sandbox: Sandbox, out: Path, name: str) -> str:
    """Raises WrongProduct."""
    try:
        return take_text(sandbox, out, name)
    except Refused as refused:
        raise WrongProduct("kernel", str(refused)) from refused


def _accept(sandbox: Sandbox, out: Path, folder: Path) -> None:
    """Raises WrongProduct."""
    try:
        take(sandbox, out, folder)
    except Refused as refused:
        raise WrongProduct("kernel", str(refused)) from refused


def _release(file: Path) -> str:
    """Raises WrongProduct for what uname(2) could not say."""
    said = read_regular(file, 10 * _LONGEST).removesuffix("\n")
    if not 0 < len(said) <= _LONGEST or not said.isprintable():
        raise WrongProduct("kernel", f"not a valid kernel release: {shown(said)}")
    return said


@dataclass(frozen=True, slots=True)
class Built:
    """One build of a kernel, still as its box left it."""

    obj: Bind
    out: Path
    config: Mapping[str, str]
    unknown: tuple[str, ...]
    """Symbols that the tree does not know."""


@dataclass(frozen=True)
class Order:
    """A tree's kernel in one variant."""

    layers: Layers
    tree: Tree
    variant: Variant
    log: Path

    @cached_property
    def fragments(self) -> tuple[Fragment, ...]:
        return load_fragments(self.variant.fragments)

    @cached_property
    def profiled(self) -> str:
        """Directories that count what runs, in one line."""
        if not self.variant.counters:
            return ""
        return " ".join(profiled(self._changes))

    @cached_property
    def _changes(self) -> tuple[Change, ...]:
        tree = self.tree
        return changes(Path(tree.repository), tree.base_commit, tree.head_commit)

    @property
    def inputs(self) -> dict[str, str]:
        """Of the artifact."""
        more = {"profiled": self.profiled} if self.profiled else {}
        return {"tree": self.tree.head_tree, **self._conditions, **more}

    @property
    def base_inputs(self) -> dict[str, str]:
        """Of the layer with the objects of base, in which nothing counts."""
        return {"base": self.tree.base_tree, **self._conditions}

    @property
    def _conditions(self) -> dict[str, str]:
        text = fragment_text(self.fragments)
        return {
            "config": hashlib.sha256(text.encode()).hexdigest(),
            "buildroot": self.layers.root.key,
            "recipe": hashlib.sha256(_SCRIPT.read_bytes()).hexdigest(),
            "version": VERSION,
        }

    @contextmanager
    def base(self) -> Iterator[Kept | None]:
        """The objects of base, built if they are not kept; None: base does not build."""
        with ExitStack() as stack:
            try:
                wanted = self.layers.objects("kernel", "kernel", self.base_inputs, self._make_base)
                found: Kept | None = stack.enter_context(wanted)
            except (CommandFailed, ConfigLost) as error:
                if isinstance(error, CommandFailed) and error.log is None:
                    raise  # not the build itself
                self._say("the unpatched kernel does not build, so the patched one is built from scratch")
                found = None
            yield found

    @contextmanager
    def known_base(self) -> Iterator[Kept | None]:
        """The objects of base, if they are kept."""
        with self.layers.known("kernel", "kernel", self.base_inputs) as found:
            yield found

    def _make_base(self, obj: Path, out: Path) -> Mapping[str, Fact]:
        progress, log = self.layers.progress, self.log.with_name("kernel-base.log")
        log.unlink(missing_ok=True)
        progress(Event("build", "kernel base", "start", "starting point for later builds on this base"))
        try:
            with self.layers.source(self.tree, self.tree.base_commit) as source:
                self._build(source, Bind(obj, writable=True), out, log, self.tree.base_tree, "")
        except BaseException as error:
            progress(Event("build", "kernel base", "failed", str(error)))
            raise
        progress(Event("build", "kernel base", "done"))
        return {}

    def head(self, work: Path) -> Built:
        """Built above the objects of base. A failure is confirmed from an empty folder before it is raised.

        work: a throw-away folder. Raises CommandFailed, ConfigLost.
        """
        # In this order: make compares times, and what head changes must be newer than the objects of base.
        with self.base() as base, self.layers.source(self.tree, self.tree.head_commit) as source:
            if base is None:
                return self._in(work / "empty", source)
            try:
                return self.above(work, source, base)
            except (CommandFailed, ConfigLost):
                failed = self._failed()
            built = self._in(work / "empty", source, first=failed)
            self._say(
                "the kernel builds from scratch but not on the cached build of its base: redoing the cached build"
            )
            self.layers.drop("kernel", self.base_inputs)
            return built

    def above(self, work: Path, source: Checkout, base: Kept) -> Built:
        """Built above the objects of base, in a folder `above` of `work`. Raises CommandFailed, ConfigLost."""
        return self._in(work / "above", source, base)

    def _in(self, work: Path, source: Checkout, base: Kept | None = None, first: tuple[str, ...] = ()) -> Built:
        for name in ("obj", "out"):
            (work / name).mkdir(parents=True)
        obj = Bind(work / "obj", writable=True, lower=(base.folder,) if base else ())
        return self._build(source, obj, work / "out", self.log, self.tree.head_tree, self.profiled, first)

    def _failed(self) -> tuple[str, ...]:
        """Kept that did not compile: they go first when it is tried again. Keeps the log under another name."""
        said = self.log.read_text(errors="replace") if self.log.exists() else ""
        put_aside(self.log)
        found = dict.fromkeys(_FAILED.findall(said))
        return tuple(name for name in found if ".." not in name)[:_MOST_FAILED]

    def _build(
        self,
        source: Checkout,
        obj: Bind,
        out: Path,
        log: Path,
        tree_id: str,
        profiled: str,
        first: tuple[str, ...] = (),
    ) -> Built:
        sandbox, script = self.layers.sandbox, f"/recipe/{_SCRIPT.name}"
        binds = {"/src": source.bind, "/obj": obj, "/recipe": Bind(_SCRIPT.parent), "/out": Bind(out, writable=True)}
        env = {"LOCAL_VERSION": local_version(tree_id), "PROFILED": profiled}

        def box(*words: str, stdin: str = "") -> None:
            sandbox.run(
                ["bash", "-eu", *words],
                binds=binds,
                env=env,
                log=log,
                log_limit=LOG_LIMIT,
                timeout=LIMIT,
                stdin=stdin.encode(),
            )

        if obj.lower and not any(decides(change.path) for change in self._changes):
            box("-c", "cp /obj/.config /out/config")
        else:
            box(script, "config", stdin=fragment_text(self.fragments))
        config = parse_config(_read(sandbox, out, "config"))
        defined = symbols(Path(self.tree.repository), tree_id)
        unknown = check_survival(self.fragments, config, defined)  # before the long part, not after it
        if first:
            box("/recipe/kernel-objects.sh", *first)
        box(script, "build")
        return Built(obj, out, config, unknown)

    def _say(self, words: str) -> None:
        self.layers.progress(Event("build", "kernel", "say", words))
