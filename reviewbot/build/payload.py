# SPDX-License-Identifier: GPL-2.0-or-later
"""The payload disk: everything of ours and of the stack that the guest sees at /stack."""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

from reviewbot.build.debian import make_image
from reviewbot.host.data import data_path
from reviewbot.host.files import remove_tree
from reviewbot.host.process import run
from reviewbot.model.artifacts import PART, Artifact, Fact
from reviewbot.store import Store

VERSION = "2"
OURS = ("agent.py", "helpers", "suites")
"""Files and folders of `qemu/` that go along."""


def payload(store: Store, built: Mapping[str, Artifact], log: Path) -> Artifact:
    """`payload.img`, from the `root/stack` of each artifact that has one."""
    parts = {name: artifact for name, artifact in built.items() if (Path(artifact.path) / "root" / "stack").is_dir()}
    ours = {name: data_path(f"qemu/{name}") for name in OURS}
    inputs = {"version": VERSION, **{f"{PART}{name}": artifact.key for name, artifact in parts.items()},
              **{f"qemu/{name}": tree_hash(path) for name, path in ours.items()}}  # fmt: skip

    def build(folder: Path) -> Mapping[str, Fact]:
        stack = folder / "stack"
        stack.mkdir()
        for artifact in parts.values():
            run(["cp", "-a", f"{Path(artifact.path, 'root', 'stack')}/.", stack], timeout=600)
        for name in ("include", "share/man", "lib/pkgconfig"):
            remove_tree(stack / name)
        (stack / "agent").mkdir()
        shutil.copy(ours["agent.py"], stack / "agent" / "agent.py")
        (stack / "agent" / "agent.py").chmod(0o755)
        for name in ("helpers", "suites"):
            shutil.copytree(ours[name], stack / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        # A wheel does not keep the executable bit of its data files.
        for path in (*(stack / "helpers").rglob("*"), *(stack / "suites").rglob("*")):
            path.chmod(0o755)
        make_image(stack, folder / "payload.img", log, label="payload")
        remove_tree(stack)
        return {"size": (folder / "payload.img").stat().st_size}

    return store.get("payload", inputs, build)


def tree_hash(path: Path) -> str:
    """Hash of a file, or of all files of a folder with their names."""
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file() and "__pycache__" not in file.parts:
            digest.update(str(file.relative_to(path)).encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
