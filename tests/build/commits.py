# SPDX-License-Identifier: GPL-2.0-or-later
"""Handmade series on top of a commit of a cached repository, which stays as it is."""

import os
from collections.abc import Callable
from pathlib import Path

from reviewbot.host.git import find_commit, git, init_bare, tree_of
from reviewbot.model.trees import AppliedPatch, Tree

_PERSON = {"NAME": "A U Thor", "EMAIL": "author@example.org", "DATE": "1700000000 +0000"}
WHO = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in _PERSON.items()}
Edit = Callable[[str], str | None]
"""From a file's text (empty: there is none) to its new text; None removes it."""


class Series:
    """Commits on top of `base`."""

    def __init__(self, repository: Path, base: str, component: str) -> None:
        self.repository, self.base, self.component = repository, base, component
        self.patches: list[AppliedPatch] = []

    @classmethod
    def on(cls, source: Path, base: str, folder: Path, component: str) -> "Series":
        """In a repository of their own that borrows the objects of `source`."""
        repository = init_bare(folder / f"{component}.git")
        (repository / "objects" / "info" / "alternates").write_text(f"{source / 'objects'}\n")
        return cls(repository, base, component)

    @classmethod
    def from_nothing(cls, folder: Path, component: str) -> "Series":
        """On an empty commit."""
        repository = init_bare(folder / f"{component}.git")
        tree = git(repository, "mktree").output.strip()
        return cls(repository, git(repository, "commit-tree", "-m", "empty", tree, env=WHO).output.strip(), component)

    @property
    def head(self) -> str:
        return self.patches[-1].commit if self.patches else self.base

    def text(self, path: str) -> str:
        shown = git(self.repository, "cat-file", "blob", f"{self.head}:{path}", check=False)
        return shown.output if shown.status == 0 else ""

    def patch(self, subject: str, edits: dict[str, Edit], *, prerequisite: bool = False) -> AppliedPatch:
        """One more commit."""
        env = {"GIT_INDEX_FILE": str(self.repository / f"index.{os.getpid()}")}
        git(self.repository, "read-tree", self.head, env=env)
        for path, edit in edits.items():
            text = edit(self.text(path))
            if text is None:
                gone = f"0 {'0' * 40}\t{path}\n".encode()
                git(self.repository, "update-index", "--index-info", env=env, stdin=gone)
                continue
            blob = git(self.repository, "hash-object", "-w", "--stdin", stdin=text.encode()).output.strip()
            git(self.repository, "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=env)
        tree = git(self.repository, "write-tree", env=env).output.strip()
        commit = git(self.repository, "commit-tree", "-p", self.head, "-m", subject, tree, env=WHO).output.strip()
        patch = AppliedPatch(message_id="", subject=subject, commit=commit, prerequisite=prerequisite)
        self.patches.append(patch)
        return patch

    def tree(self) -> Tree:
        return Tree(
            component=self.component,
            repository=str(self.repository),
            source="handmade",
            base_commit=self.base,
            base_tree=tree_of(self.repository, self.base),
            base_why="handmade",
            head_commit=self.head,
            head_tree=tree_of(self.repository, self.head),
            head_date=1700000000,
            patches=tuple(self.patches),
        )


def newest_import(repository: Path, provider: str = "deb") -> str | None:
    """The newest commit that a source provider imported into a cached repository."""
    if not (repository / "HEAD").exists():
        return None
    refs = git(repository, "for-each-ref", "--sort=-creatordate", "--format=%(refname)", f"refs/reviewbot/{provider}")
    names = refs.output.split()
    return find_commit(repository, names[0]) if names else None
