# SPDX-License-Identifier: GPL-2.0-or-later
"""How a user-space component is built: a script in the sandbox, and a check of what came out."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from reviewbot.build.layers import Kept, Layers, put_aside, throwaway
from reviewbot.host.checkout import Checkout, changed
from reviewbot.host.files import read_regular, sha256_file
from reviewbot.host.gate import Accepted, Refused, shown, take
from reviewbot.host.process import CommandFailed
from reviewbot.host.sandbox import LOG_LIMIT, MEMORY, Bind, Sandbox
from reviewbot.model.artifacts import Artifact, Fact
from reviewbot.model.errors import InfraError
from reviewbot.model.progress import Event, Progress, silent
from reviewbot.model.trees import Tree
from reviewbot.model.variants import PLAIN, Variant
from reviewbot.store import Store

OURS = {"agent": "agent", "helpers": "helpers", "suites": "suites"}
"""Folder of the guest's /stack that is reviewbot's own -> what of `qemu/` goes there."""
_FACT = re.compile(r"[a-z][a-z0-9_]{0,39}")
_VALUE = 200
"""Characters of a fact."""
_SCRIPTS = Path(__file__).parent / "recipes"
_ADDRESSES = 1 << 47
"""Bytes: all that a process can have. A program with the address sanitizer reserves 16 TiB, and configure runs some."""


class WrongProduct(InfraError):
    """The build ended well and did not make what it should have: optional things fail silently."""

    def __init__(self, component: str, what: str) -> None:
        super().__init__(f"{component} was built, but {what}")
        self.component, self.what = component, what


@dataclass(frozen=True, slots=True)
class Recipe:
    """One component's recipe.

    The script runs with /src (the tree), /obj, /out (empty; what it puts in /out/stack goes to /stack in the guest)
    and /stack (the libfuse of this stack, if needed), and writes `name=value` lines to /out/facts.
    """

    name: str
    version: int
    """Bump when the meaning changes in a way the script's hash does not show."""
    needs: tuple[str, ...]
    """Artifacts whose `/stack` the script sees."""
    check: Callable[[Path, Mapping[str, Fact]], Mapping[str, Fact]]
    """From the output folder and the script's facts to the artifact's facts; raises WrongProduct."""
    in_tree: bool = False
    """It builds in its tree: /src is writable, empty or as its base left it, and the tree is at /pristine. On standard
    input are the paths that differ from base, each with a NUL. BASE=yes: only what needs nothing of /stack is made.
    """
    timeout: float = 3600.0

    @property
    def script(self) -> Path:
        return _SCRIPTS / f"{self.name}.sh"


def run_recipe(
    recipe: Recipe,
    store: Store,
    tree: Tree,
    root: Artifact,
    built: Mapping[str, Artifact],
    log: Path,
    variant: Variant = PLAIN,
    progress: Progress = silent,
) -> Artifact:
    """The artifact; its `root/` holds what the script made. Raises CommandFailed, WrongProduct.

    The variant's variables for this recipe are in the script's environment.
    """
    deps = {name: built[name] for name in recipe.needs}
    flags = variant.flags(recipe.name)
    inputs = {
        "tree": tree.head_tree,
        "buildroot": root.key,
        "version": str(recipe.version),
        "script": sha256_file(recipe.script),
        **{f"needs {n}": a.key for n, a in deps.items()},
        **{f"flags {name}": value for name, value in flags.items()},
    }

    layers = Layers(store, root, progress)

    def build(folder: Path) -> Mapping[str, Fact]:
        product = folder / "root"
        with throwaway(store.root) as work:
            order = _Order(recipe, layers, tree, deps, flags, log)
            # What the box writes: nothing on the host looks into it but the gate.
            out = order.in_tree(work) if recipe.in_tree else order.beside(work)
            accepted = _accept(recipe.name, layers.sandbox, out, product)
        said = read_regular(product / "facts") if "facts" in accepted.files else ""
        return recipe.check(product, read_facts(recipe.name, said))

    return store.get(recipe.name, inputs, build)


@dataclass(frozen=True, slots=True)
class _Order:
    """A tree, and how its recipe is run."""

    recipe: Recipe
    layers: Layers
    tree: Tree
    deps: Mapping[str, Artifact]
    flags: Mapping[str, str]
    log: Path

    def beside(self, work: Path) -> Path:
        """Built from nothing, beside the tree; the folder that the script filled. Raises CommandFailed."""
        with self.layers.source(self.tree, self.tree.head_commit) as source:
            self._run(work, {"/src": source.bind, "/obj": Bind(_new(work / "obj"), writable=True)}, self.log)
        return work / "out"

    def in_tree(self, work: Path) -> Path:
        """Built in a copy of the tree, above the objects that base left there; what fails, from nothing once more."""
        repository = Path(self.tree.repository)
        differ = changed(repository, self.tree.base_commit, self.tree.head_commit)
        # In this order: make compares times, and what head changes must be newer than the objects of base.
        with self._base() as base, self.layers.source(self.tree, self.tree.head_commit) as source:
            if base is not None:
                above = Bind(_new(work / "above" / "tree"), writable=True, lower=(base.folder,))
                try:
                    self._run(work / "above", self._in_tree_binds(source, above), self.log, differ)
                    return work / "above" / "out"
                except CommandFailed:
                    put_aside(self.log)
            self._run(work, self._in_tree_binds(source, Bind(_new(work / "tree"), writable=True)), self.log)
            if base is not None:
                self._say("builds from scratch but not on the cached build of its base: redoing the cached build")
                self.layers.drop(self.recipe.name, self._base_inputs)
        return work / "out"

    @contextmanager
    def _base(self) -> Iterator[Kept | None]:
        """The tree of base with the objects that need nothing of the stack; None: it does not build."""
        with ExitStack() as stack:
            name = self.recipe.name
            try:
                found: Kept | None = stack.enter_context(
                    self.layers.objects(name, name, self._base_inputs, self._make_base)
                )
            except CommandFailed as error:
                if error.log is None:
                    raise  # not the build itself
                self._say("does not build unpatched, so the patched one is built from scratch")
                found = None
            yield found

    @property
    def _base_inputs(self) -> dict[str, str]:
        flags = {f"flags {name}": value for name, value in self.flags.items()}
        return {
            "base": self.tree.base_tree,
            "buildroot": self.layers.root.key,
            "version": str(self.recipe.version),
            "script": sha256_file(self.recipe.script),
            **flags,
        }

    def _make_base(self, tree: Path, out: Path) -> Mapping[str, Fact]:
        log = self.log.with_name(f"{self.recipe.name}-base.log")
        log.unlink(missing_ok=True)
        with self.layers.source(self.tree, self.tree.base_commit) as source:
            binds = {"/src": Bind(tree, writable=True), "/pristine": source.bind}
            self._run(out, binds, log, base=True)
        return {}

    def _in_tree_binds(self, source: Checkout, tree: Bind) -> dict[str, Bind]:
        return {"/src": tree, "/pristine": source.bind}

    def _run(
        self, work: Path, binds: Mapping[str, Bind], log: Path, differ: Iterable[bytes] = (), *, base: bool = False
    ) -> None:
        stack: dict[str, Bind] = {}
        for artifact in () if base else self.deps.values():
            stack["/stack"] = Bind(Path(artifact.path) / "root" / "stack")
        self.layers.sandbox.run(
            ["bash", "-eu", "-o", "pipefail", f"/recipe/{self.recipe.script.name}"],
            binds={**binds, "/out": Bind(_new(work / "out"), writable=True), "/recipe": Bind(_SCRIPTS), **stack},
            env={"TREE": self.tree.head_tree, "SOURCE_DATE_EPOCH": str(self.tree.head_date), **self.flags,
                 **({"BASE": "yes"} if base else {})},
            log=log, log_limit=LOG_LIMIT, timeout=self.recipe.timeout,
            stdin=b"".join(path + b"\0" for path in differ),
            memory=_ADDRESSES if self.flags else MEMORY,
        )  # fmt: skip

    def _say(self, words: str) -> None:
        name = self.recipe.name
        self.layers.progress(Event("build", name, "say", f"{name} {words}"))


def _new(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _accept(component: str, box: Sandbox, out: Path, product: Path) -> Accepted:
    """What the script made, through the gate. Raises WrongProduct."""
    try:
        accepted = take(box, out, product, absolute="stack")
    except Refused as refused:
        raise WrongProduct(component, str(refused)) from refused
    if "stack" not in accepted.folders:
        raise WrongProduct(component, "its stack is not a folder")
    refuse_ours(component, (path.removeprefix("stack/") for path in accepted.paths if path.startswith("stack/")))
    return accepted


def refuse_ours(component: str, paths: Iterable[str]) -> None:
    """Raises WrongProduct when a path below /stack is one of our own names. A folder of it is a path, too."""
    for name in sorted(OURS.keys() & set(paths)):
        raise WrongProduct(component, f"it installs {name}, a name that is reserved for reviewbot in the guest")


def read_facts(component: str, said: str) -> dict[str, Fact]:
    """`name=value` lines of a script that ran a tree's code; `yes` and `no` become booleans. Raises WrongProduct."""
    found: dict[str, Fact] = {}
    for line in said.splitlines():
        name, equals, value = (word.strip() for word in line.partition("="))
        if not equals:
            continue
        if name in found or not _FACT.fullmatch(name) or len(value) > _VALUE or not value.isprintable():
            raise WrongProduct(component, f"its facts cannot be read: {shown(line)}")
        found[name] = {"yes": True, "no": False}.get(value, value)
    return found


def hashes(out: Path, *names: str) -> dict[str, Fact]:
    """`sha256:/stack/bin/x` -> digest, for each that is there."""
    return {
        f"sha256:/stack/{name}": sha256_file(out / "stack" / name) for name in names if (out / "stack" / name).is_file()
    }
