# SPDX-License-Identifier: GPL-2.0-or-later
"""The payload disk: everything of ours and of the stack that the guest sees at /stack."""

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reviewbot.build.debian import forget_times, make_image
from reviewbot.build.recipe import OURS, WrongProduct, refuse_ours
from reviewbot.host.data import data_path
from reviewbot.host.files import remove_tree
from reviewbot.host.gate import Refused, follow, shown
from reviewbot.model.artifacts import PART, Artifact, Fact
from reviewbot.store import Store
from reviewbot.store.contents import Contents, recorded

VERSION = "3"
LEFT_OUT = ("include", "share/man", "lib/pkgconfig")
"""Folders of a component's /stack that no guest needs."""
_STACK = "root/stack/"


class Collision(WrongProduct):
    """A component installs what an earlier one, or a link of one, has in its place."""

    def __init__(self, component: str, other: str, path: str) -> None:
        super().__init__(component, f"it installs {shown(path)}, which {other} has too")
        self.other, self.path = other, path


@dataclass(frozen=True, slots=True)
class Piece:
    """One file, folder or link of the payload."""

    component: str
    kind: str
    """`file`, `folder`, `link`."""
    mode: int
    value: str
    """Of a link: its target."""


def payload(store: Store, built: Mapping[str, Artifact], log: Path) -> Artifact:
    """`payload.img`, from the accepted `root/stack` of each artifact that has one. Raises WrongProduct."""
    contents = contents_of(built)
    parts = {name: built[name] for name in contents}
    ours = {name: data_path(f"qemu/{source}") for name, source in OURS.items()}
    inputs = {
        "version": VERSION,
        **{f"{PART}{name}": artifact.key for name, artifact in parts.items()},
        **{f"qemu/{OURS[name]}": tree_hash(path) for name, path in ours.items()},
    }

    def build(folder: Path) -> Mapping[str, Fact]:
        whole = joined(contents)
        stack = folder / "stack"
        stack.mkdir()
        for path, piece in whole.items():
            _lay(piece, Path(parts[piece.component].path) / _STACK / path, stack / path)
        for name, source in ours.items():
            _copy_ours(source, stack / name)
        files = (stack, *stack.rglob("*"))
        for file in files:
            os.utime(file, (0, 0), follow_symlinks=False)
        make_image(stack, folder / "payload.img", log, label="payload")
        forget_times(folder / "payload.img", len(files) - 1)
        remove_tree(stack)
        return {"size": (folder / "payload.img").stat().st_size}

    return store.get("payload", inputs, build)


def contents_of(built: Mapping[str, Artifact]) -> dict[str, Contents]:
    """Of those artifacts that have something for the guest. Raises OSError, ValueError (damaged)."""
    found = {name: recorded(Path(artifact.path)) for name, artifact in built.items()}
    return {name: contents for name, contents in found.items() if contents.get("root/stack", ("",))[0] == "folder"}


def joined(parts: Mapping[str, Contents]) -> dict[str, Piece]:
    """Path below /stack -> what comes there; folders before what is in them. parts: in the order they were built.

    Two components may share folders and nothing else. Raises Collision, WrongProduct.
    """
    whole: dict[str, Piece] = {}
    for component, contents in parts.items():
        for name, (kind, mode, value) in sorted(contents.items()):
            path = name.removeprefix(_STACK)
            if not name.startswith(_STACK) or any(path == out or path.startswith(f"{out}/") for out in LEFT_OUT):
                continue
            there = whole.get(path)
            if there and not there.kind == kind == "folder":
                raise Collision(component, there.component, path)
            whole.setdefault(path, Piece(component, kind, mode, value))
    for name in OURS.keys() & whole.keys():
        refuse_ours(whole[name].component, [name])
    links = {path: piece.value for path, piece in whole.items() if piece.kind == "link"}
    for path in links:  # one that stays inside its own component may leave over a link of another
        try:
            follow(path, links)
        except Refused as refused:
            raise WrongProduct(whole[path].component, str(refused)) from refused
    return whole


def _lay(piece: Piece, source: Path, target: Path) -> None:
    """source: a file of the store."""
    match piece.kind:
        case "folder":
            target.mkdir()
        case "link":
            target.symlink_to(piece.value)
        case _:
            shutil.copyfile(source, target, follow_symlinks=False)
            target.chmod(0o755 if piece.mode & 0o100 else 0o644)


def _copy_ours(source: Path, target: Path) -> None:
    """All executable: a wheel does not keep that bit of its data files."""
    if source.is_file():
        target.mkdir()
        shutil.copyfile(source, target / source.name)
    else:
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    for path in target.rglob("*"):
        path.chmod(0o755)


def tree_hash(path: Path) -> str:
    """Hash of a file, or of all files of a folder with their names."""
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file() and "__pycache__" not in file.parts:
            digest.update(str(file.relative_to(path)).encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
