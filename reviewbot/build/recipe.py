# SPDX-License-Identifier: GPL-2.0-or-later
"""How a user-space component is built: a script in the sandbox, and a check of what came out."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from reviewbot.host.box import give
from reviewbot.host.files import read_regular, remove_tree, sha256_file
from reviewbot.host.gate import Accepted, Refused, shown, take
from reviewbot.host.git import checkout
from reviewbot.host.locks import locked
from reviewbot.host.sandbox import LOG_LIMIT, MEMORY, Bind, Sandbox
from reviewbot.model.artifacts import Artifact, Fact
from reviewbot.model.errors import InfraError
from reviewbot.model.trees import Tree
from reviewbot.model.variants import PLAIN, Variant
from reviewbot.store import Store

OURS = {"agent": "agent.py", "helpers": "helpers", "suites": "suites"}
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
        # What the box writes: nothing on the host looks into it but the gate.
        out, objects, source = folder / ".out", folder / ".obj", store.scratch(f"src/{kept}")
        out.mkdir()
        objects.mkdir()
        box = Sandbox(Path(root.path) / "root")
        with locked(store.lock(kept)):
            checkout(Path(tree.repository), tree.head_commit, source, clean=not recipe.in_tree)
            if recipe.in_tree:
                give(source)
            binds = {"/src": Bind(source, writable=recipe.in_tree), "/obj": Bind(objects, writable=True),
                     "/out": Bind(out, writable=True), "/recipe": Bind(_SCRIPTS)}  # fmt: skip
            for artifact in deps.values():
                binds["/stack"] = Bind(Path(artifact.path) / "root" / "stack")
            box.run(
                ["bash", "-eu", "-o", "pipefail", f"/recipe/{recipe.script.name}"], binds=binds, log=log,
                env={"TREE": tree.head_tree, "SOURCE_DATE_EPOCH": str(tree.head_date), **flags}, log_limit=LOG_LIMIT,
                timeout=recipe.timeout, memory=_ADDRESSES if flags else MEMORY,
            )  # fmt: skip
        product = folder / "root"
        accepted = _accept(recipe.name, box, out, product)
        for written in (out, objects):
            remove_tree(written)
        said = read_regular(product / "facts") if "facts" in accepted.files else ""
        return recipe.check(product, read_facts(recipe.name, said))

    return store.get(recipe.name, inputs, build)


def _accept(component: str, box: Sandbox, out: Path, product: Path) -> Accepted:
    """What the script made, through the gate. Raises WrongProduct."""
    try:
        accepted = take(box, out, product, absolute="stack")
    except Refused as refused:
        raise WrongProduct(component, str(refused)) from refused
    if "stack" not in accepted.folders:
        raise WrongProduct(component, "its stack is no folder")
    refuse_ours(component, (path.removeprefix("stack/") for path in accepted.paths if path.startswith("stack/")))
    return accepted


def refuse_ours(component: str, paths: Iterable[str]) -> None:
    """Raises WrongProduct when a path below /stack is one of our own names. A folder of it is a path, too."""
    for name in sorted(OURS.keys() & set(paths)):
        raise WrongProduct(component, f"it installs {name}, a name that is reviewbot's own in the guest")


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
