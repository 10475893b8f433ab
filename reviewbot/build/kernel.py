# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel: tinyconfig and fragments, out of tree, with kept objects."""

import hashlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from reviewbot.build.affected import changes, profiled
from reviewbot.build.kconfig import check_survival, fragment_text, load_fragments, parse_config
from reviewbot.host.files import read_regular
from reviewbot.host.git import checkout
from reviewbot.host.locks import locked
from reviewbot.host.sandbox import LOG_LIMIT, Bind, Sandbox
from reviewbot.model.artifacts import Artifact, Fact
from reviewbot.model.trees import Tree
from reviewbot.model.variants import PLAIN, Variant
from reviewbot.store import Store

VERSION = "2"
_LIMIT = 3 * 3600.0
_SCRIPT = Path(__file__).parent / "recipes" / "kernel.sh"


def local_version(tree: Tree) -> str:
    """End of `uname -r`: it carries the head's tree, so that a run can prove which kernel ran."""
    return f"-rb-{tree.head_tree[:12]}"


def scratch_name(variant: Variant) -> str:
    """Under which name a variant's source and objects are kept: none makes another one compile again."""
    return f"kernel-{variant.folder}" if variant.fragments else "kernel"


def kept_objects(store: Store, root: Artifact, variant: Variant) -> Path:
    """The folder of them; who uses it holds the lock named `scratch_name`."""
    return store.scratch(f"obj/kernel-{root.key[:12]}{scratch_name(variant).removeprefix('kernel')}")


def kernel(store: Store, tree: Tree, root: Artifact, log: Path, variant: Variant = PLAIN) -> Artifact:
    """`bzImage`, `config`, `System.map`. Facts: `release`, `fuse_iomap`, how many symbols, which were unknown.

    Of a variant with counters also `gcno/`, the compiler's notes of each object in directories that the tree's patches
    touch: these count what runs.
    Raises CommandFailed (its log holds the compiler's words), ConfigLost.
    """
    fragments = load_fragments(variant.fragments)
    text = fragment_text(fragments)
    inputs = {"tree": tree.head_tree, "config": hashlib.sha256(text.encode()).hexdigest(), "buildroot": root.key,
              "recipe": hashlib.sha256(_SCRIPT.read_bytes()).hexdigest(), "version": VERSION}  # fmt: skip
    folders = profiled(changes(Path(tree.repository), tree.base_commit, tree.head_commit)) if variant.counters else ()
    if folders:
        inputs["profiled"] = " ".join(folders)

    def build(folder: Path) -> Mapping[str, Fact]:
        kept = scratch_name(variant)
        source, objects = store.scratch(f"src/{kept}"), kept_objects(store, root, variant)
        with locked(store.lock(kept)):
            checkout(Path(tree.repository), tree.head_commit, source)
            box = partial(
                Sandbox(Path(root.path) / "root").run,
                binds={"/src": Bind(source), "/obj": Bind(objects, writable=True), "/recipe": Bind(_SCRIPT.parent),
                       "/out": Bind(folder, writable=True)},
                env={"LOCAL_VERSION": local_version(tree), "PROFILED": " ".join(folders)}, log=log, log_limit=LOG_LIMIT,
                timeout=_LIMIT,
            )  # fmt: skip
            box(["bash", "-eu", "/recipe/kernel.sh", "config"], stdin=text.encode())
            config = parse_config(read_regular(folder / "config"))
            unknown = check_survival(fragments, config, source)  # before the long part, not after it
            box(["bash", "-eu", "/recipe/kernel.sh", "build"])
        return {
            "release": read_regular(folder / "release").strip(),
            "fuse_iomap": config.get("CONFIG_FUSE_IOMAP") == "y",
            "symbols": len(config),
            "unknown_symbols": " ".join(unknown),
        }

    return store.get("kernel", inputs, build)
