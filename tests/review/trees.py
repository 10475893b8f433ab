# SPDX-License-Identifier: GPL-2.0-or-later
"""Small components with patches on top, in real repositories."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from reviewbot.model.posting import Part, Patch, Posting
from reviewbot.model.trees import AppliedPatch, Tree, Trees
from tests.mails import AUTHOR, mail
from tests.repos import git, make_repository

Change = tuple[str, Mapping[str, str]]
"""Commit message, and files with their new content."""
HOST = Path("/")
"""This machine's own files as the root of a sandbox: for our own programs, in tests only."""
SIGNED = "\n\nIt has to be.\n\nSigned-off-by: A <a@x>\n"


def make_tree(
    folder: Path, component: str, base: Mapping[str, str], changes: Sequence[Change], *, history: bool = True
) -> Tree:
    """A component with one commit for each change. history: base has a parent, as in a clone."""
    make_repository(folder, base)
    if history:
        git(folder, "commit", "-q", "--allow-empty", "-m", "second")
    start = git(folder, "rev-parse", "HEAD")
    patches = []
    for number, (message, files) in enumerate(changes, 1):
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "--allow-empty", "-m", message)
        commit = git(folder, "rev-parse", "HEAD")
        patches.append(
            AppliedPatch(message_id=f"{component}.{number}@x", subject=message.partition("\n")[0], commit=commit)
        )
    head = git(folder, "rev-parse", "HEAD")
    return Tree(
        component=component,
        repository=str(folder / ".git"),
        source="test",
        base_commit=start,
        base_tree=git(folder, "rev-parse", f"{start}^{{tree}}"),
        base_why="test",
        head_commit=head,
        head_tree=git(folder, "rev-parse", f"{head}^{{tree}}"),
        patches=tuple(patches),
    )


def posting_of(*trees: Tree, author: str = AUTHOR) -> tuple[Posting, dict[str, bytes], Trees]:
    """A posting with one part per tree, its mails, and the trees."""
    mails: dict[str, bytes] = {}
    parts = []
    for tree in trees:
        cover = f"{tree.component}.0@x"
        mails[cover] = mail(cover, f"[PATCH 0/{len(tree.patches)}] {tree.component}")
        patches = []
        for number, applied in enumerate(tree.patches, 1):
            mails[applied.message_id] = mail(applied.message_id, f"[PATCH {number}/{len(tree.patches)}] do", "a diff\n")
            patches.append(
                Patch(message_id=applied.message_id, subject=applied.subject, author=author, number=number, paths=())
            )
        parts.append(
            Part(component=tree.component, counter="1/1", rfc=False, subject="do", cover=cover, patches=tuple(patches))
        )
    top = parts[0].cover or ""
    posting = Posting(top=top, subject="do", author=author, source="test", parts=tuple(parts))
    return posting, mails, Trees(trees=trees)
