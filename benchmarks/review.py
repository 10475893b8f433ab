# SPDX-License-Identifier: GPL-2.0-or-later
"""What the review of a series costs: each patch built, then the head."""

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Figure
from reviewbot.build import build_components, build_patches
from reviewbot.config import load_site, load_stack
from reviewbot.host.paths import cache_dir
from reviewbot.model.artifacts import Artifact
from reviewbot.model.trees import Trees
from reviewbot.store import Store
from tests.build.commits import Edit, Series, newest_import

TOTAL = 360.0
PER_PATCH = 15.0
# What a series to fs/fuse touches: sources, the header that all of them include, the makefile, the user API.
FILES = ("fs/fuse/dir.c", "fs/fuse/file.c", "fs/fuse/fuse_i.h", "fs/fuse/inode.c", "fs/fuse/Makefile", "fs/fuse/dev.c",
         "include/uapi/linux/fuse.h", "fs/fuse/ioctl.c", "fs/fuse/fuse_i.h", "fs/fuse/readdir.c")  # fmt: skip


def review_of_ten() -> Iterator[Figure]:
    """The whole review build, and its slowest patch. The objects are those of the last demo."""
    total, slowest = "review build of a 10-patch fs/fuse series", "its slowest patch"
    repository = cache_dir() / "repos" / "kernel.git"
    base = newest_import(repository)
    root = next((a for a in Store(cache_dir()).of("buildroot") if _has_objects(a)), None)
    if base is None or root is None:
        yield Figure(total, (), TOTAL, "run `make demo` first")
        return
    with tempfile.TemporaryDirectory(prefix="reviewbot-bench-", dir=cache_dir().parent) as name:
        folder = Path(name)
        series = Series.on(repository, base, folder, "kernel")
        for number, path in enumerate(FILES, 1):
            series.patch(f"fuse: change {number}", {path: _commented(path, f"{number} of {time.time():.0f}")})
        store = _with_kept_objects(folder / "cache", root)
        trees, stack, logs = Trees(trees=(series.tree(),)), load_stack(), folder / "run" / "logs" / "review"
        started = time.monotonic()
        artifacts, failures = build_components(trees, stack, store=store, site=load_site(), kinds={"kernel"}, logs=logs)
        builds = build_patches(trees, stack, store=store, built=artifacts.artifacts, logs=logs)
        seconds = time.monotonic() - started
        bad = [build.error or build.why for build in builds.values() if build.state != "built"]
        if failures or bad:
            yield Figure(total, (), TOTAL, str(failures[0]) if failures else bad[0])
            return
    yield Figure(total, (seconds,), TOTAL)
    yield Figure(slowest, (max(build.seconds for build in builds.values()),), PER_PATCH)


def _has_objects(root: Artifact) -> bool:
    records = (cache_dir() / "layers").glob("kernel-*/layer.json")
    return any(json.loads(record.read_bytes())["inputs"]["buildroot"] == root.key for record in records)


def _commented(path: str, words: str) -> Edit:
    """The file with one more comment at its end."""
    comment = f"\n# {words}\n" if path.endswith("Makefile") else f"\n/* {words} */\n"
    return lambda text: text + comment


def _with_kept_objects(folder: Path, root: Artifact) -> Store:
    """A store that has the build root and shares all layers with the user's own, but none of its results."""
    (folder / "artifacts").mkdir(parents=True)
    for name in ("layers", "locks", f"artifacts/{Path(root.path).name}"):
        (folder / name).symlink_to(cache_dir() / name)
    return Store(folder)
