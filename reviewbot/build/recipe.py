# SPDX-License-Identifier: GPL-2.0-or-later
"""How a user-space component is built: a script in the sandbox, and a check of what came out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from reviewbot.host.box import give
from reviewbot.host.files import read_regular, remove_tree, sha256_file
from reviewbot.host.git import checkout
from reviewbot.host.locks import locked
from reviewbot.host.sandbox import LOG_LIMIT, MEMORY, Bind, Sandbox
from reviewbot.model.artifacts import Artifact, Fact
from reviewbot.model.trees import Tree
from reviewbot.model.variants import PLAIN, Variant
from reviewbot.store import Store

_SCRIPTS = Path(__file__).parent / "recipes"
_ADDRESSES = 1 << 47
"""Bytes: all that a process can have. A program with the address sanitizer reserves 16 TiB, and configure runs some."""


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
    """The tree is writable and keeps its objects between builds."""
    timeout: float = 3600.0

    @property
    def script(self) -> Path:
        return _SCRIPTS / f"{self.name}.sh"


def run_recipe(
    recipe: Recipe, store: Store, tree: Tree, root: Artifact, built: Mapping[str, Artifact], log: Path,
    variant: Variant = PLAIN,
) -> Artifact:  # fmt: skip
    """The artifact; its `root/` holds what the script made. Raises CommandFailed, WrongProduct.

    The variant's variables for this recipe are in the script's environment.
    """
    deps = {name: built[name] for name in recipe.needs}
    flags = variant.flags(recipe.name)
    inputs = {"tree": tree.head_tree, "buildroot": root.key, "version": str(recipe.version),
              "script": sha256_file(recipe.script), **{f"needs {n}": a.key for n, a in deps.items()},
              **{f"flags {name}": value for name, value in flags.items()}}  # fmt: skip

    def build(folder: Path) -> Mapping[str, Fact]:
        kept = f"{recipe.name}-{variant.folder}" if recipe.in_tree and flags else recipe.name
        out, objects, source = folder / "root", folder / "obj", store.scratch(f"src/{kept}")
        out.mkdir()
        objects.mkdir()
        with locked(store.lock(kept)):
            checkout(Path(tree.repository), tree.head_commit, source, clean=not recipe.in_tree)
            if recipe.in_tree:
                give(source)
            binds = {"/src": Bind(source, writable=recipe.in_tree), "/obj": Bind(objects, writable=True),
                     "/out": Bind(out, writable=True), "/recipe": Bind(_SCRIPTS)}  # fmt: skip
            for artifact in deps.values():
                binds["/stack"] = Bind(Path(artifact.path) / "root" / "stack")
            Sandbox(Path(root.path) / "root").run(
                ["bash", "-eu", "-o", "pipefail", f"/recipe/{recipe.script.name}"], binds=binds, log=log,
                env={"TREE": tree.head_tree, "SOURCE_DATE_EPOCH": str(tree.head_date), **flags}, log_limit=LOG_LIMIT,
                timeout=recipe.timeout, memory=_ADDRESSES if flags else MEMORY,
            )  # fmt: skip
        remove_tree(objects)
        return recipe.check(out, _facts(out / "facts"))

    return store.get(recipe.name, inputs, build)


def _facts(path: Path) -> dict[str, Fact]:
    """`name=value` lines; `yes` and `no` become booleans."""
    found: dict[str, Fact] = {}
    for line in read_regular(path).splitlines() if path.exists() else ():
        name, equals, value = line.partition("=")
        if equals:
            found[name.strip()] = {"yes": True, "no": False}.get(value.strip(), value.strip())
    return found


def hashes(out: Path, *names: str) -> dict[str, Fact]:
    """`sha256:/stack/bin/x` -> digest, for each that is there."""
    return {
        f"sha256:/stack/{name}": sha256_file(out / "stack" / name) for name in names if (out / "stack" / name).is_file()
    }
