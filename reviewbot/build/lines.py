# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines of the source for functions of a kernel's call trace.

Our kernels have no debug information, which would make each of them slower to build. Instead, the few objects that
hold the functions of a trace are compiled once more with it, and only when there is a trace.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from reviewbot.build.kernel import Order, local_version
from reviewbot.build.layers import Layers, throwaway, written
from reviewbot.host.files import read_regular, write_atomic
from reviewbot.host.sandbox import Bind
from reviewbot.model.artifacts import Artifact, Fact
from reviewbot.model.errors import InfraError
from reviewbot.model.trees import Tree
from reviewbot.model.variants import PLAIN, Variant
from reviewbot.store import Store

VERSION = "1"
MOST = 8
"""Objects that are compiled for one run: some seconds each under emulation's load."""
MOST_FRAMES = 40
_LIMIT = 900.0
_SCRIPT = Path(__file__).parent / "recipes" / "kernel-lines.sh"
_FRAME = re.compile(r"[A-Za-z_][\w.]{0,200}\+0x[0-9a-f]{1,8}/0x[0-9a-f]{1,8}")
_PLACE = re.compile(r"^(?:\(inlined by\) )?[\w.]+ at (?:/src/|\./)*([\w./+-]{1,200}:\d+)")


class NoLines(InfraError):
    """Why a trace stays without lines."""


def source_lines(
    store: Store,
    kernel: Artifact,
    tree: Tree,
    root: Artifact,
    frames: Sequence[str],
    log: Path,
    variant: Variant = PLAIN,
) -> dict[str, str]:
    """`fuse_symlink+0x26/0x60` -> `fs/fuse/dir.c:930`, or `include/linux/x.h:7, inlined at fs/fuse/dir.c:930`.

    frames: the most telling first; those beyond the first 40, or in objects beyond the first eight, are left out, and
    so is a function whose size is not that of the kernel that crashed. Raises InfraError.
    """
    wanted = [frame for frame in dict.fromkeys(frames) if _FRAME.fullmatch(frame)][:MOST_FRAMES]
    inputs = {"kernel": kernel.key, "frames": " ".join(wanted), "version": VERSION, "script": read_regular(_SCRIPT)}

    def build(folder: Path) -> Mapping[str, Fact]:
        said = _ask(store, kernel, tree, root, wanted, log, variant, folder)
        write_atomic(folder / "lines.json", json.dumps(parse(said)))
        return {"frames": len(wanted)}

    if not wanted:
        return {}
    made = store.get("lines", inputs, build)
    found: dict[str, str] = json.loads((Path(made.path) / "lines.json").read_bytes())
    return found


def _ask(
    store: Store,
    kernel: Artifact,
    tree: Tree,
    root: Artifact,
    frames: Sequence[str],
    log: Path,
    variant: Variant,
    folder: Path,
) -> str:
    config = Path(kernel.path) / "config"
    if not config.is_file():
        raise NoLines("the kernel was built on another machine")
    layers = Layers(store, root)
    order = Order(layers, tree, variant, log)
    with throwaway(store.root) as work, order.base() as base, layers.source(tree, tree.head_commit) as source:
        if base is None:
            raise NoLines("its base does not build")
        # The kernel's objects went when it was built: they are made once more, and those with lines above them.
        built = written(order.above(work, source, base).obj)
        for name in ("kept", "lines"):
            (work / name).mkdir()
        binds = {
            "/src": source.bind,
            "/recipe": Bind(_SCRIPT.parent),
            "/kept": Bind(work / "kept", lower=built),
            "/obj": Bind(work / "lines", writable=True, lower=built),
        }
        layers.sandbox.run(
            ["bash", "-eu", "-o", "pipefail", "/recipe/kernel-lines.sh", *frames], binds=binds, log=log,
            env={"LOCAL_VERSION": local_version(tree.head_tree), "MOST": str(MOST)}, timeout=_LIMIT,
            stdin=read_regular(config).encode(), stdout=folder / "said",
            file_size=1 << 30, log_limit=1 << 20,
        )  # fmt: skip
    return read_regular(folder / "said")


def parse(said: str) -> dict[str, str]:
    """Of what the script prints: the first place of each function, and where it is inlined.

    The tree's own scripts wrote it: only what looks like a place is taken.
    """
    found: dict[str, str] = {}
    for block in re.split(r"^== ", said, flags=re.MULTILINE)[1:]:
        frame, _, rest = block.partition("\n")
        places = []
        for line in rest.split("\n")[1:]:
            if match := _PLACE.match(line.strip()):
                places.append(match[1])
            elif not line.strip():
                break  # another function of the same name
        if _FRAME.fullmatch(frame) and places:
            found[frame] = ", inlined at ".join(dict.fromkeys(places[:3]))
    return found
