# SPDX-License-Identifier: GPL-2.0-or-later
"""Trees of a repository, made of names and bytes."""

from collections.abc import Mapping
from pathlib import Path

from reviewbot.host.git import git


def make_tree(repository: Path, files: Mapping[str, bytes], modes: Mapping[str, str] | None = None) -> str:
    """Id of a tree with these files."""
    env = {"GIT_INDEX_FILE": str(repository / "made.index")}
    git(repository, "read-tree", "--empty", env=env)
    for name, content in files.items():
        blob = git(repository, "hash-object", "-w", "--stdin", "--no-filters", stdin=content).output.strip()
        mode = (modes or {}).get(name, "100644")
        git(repository, "update-index", "--add", "--cacheinfo", f"{mode},{blob},{name}", env=env)
    return git(repository, "write-tree", env=env).output.strip()
