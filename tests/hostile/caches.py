# SPDX-License-Identifier: GPL-2.0-or-later
"""A cache for attacks: of the user's own it has the accepted build root, and copies of sources that were fetched."""

import shutil
from pathlib import Path

from reviewbot.host.paths import cache_dir
from reviewbot.store import Store

FETCHED = ("apt", "repos")


def make_cache(folder: Path) -> Path:
    """Nothing that is done to it comes back to the user's cache: the one link leads to what a box sees read-only."""
    (folder / "artifacts").mkdir(parents=True)
    for artifact in Store(cache_dir()).of("buildroot"):
        (folder / "artifacts" / Path(artifact.path).name).symlink_to(artifact.path)
    return folder


def copy_repository(cache: Path, name: str) -> None:
    """Of a component, if its sources were fetched before."""
    source = cache_dir() / "repos" / name
    if source.is_dir():
        shutil.copytree(source, cache / "repos" / name, symlinks=True)
