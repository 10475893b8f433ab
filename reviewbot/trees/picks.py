# SPDX-License-Identifier: GPL-2.0-or-later
"""Put a pulled part on a head: as it is where that fits, else commit by commit."""

import hashlib
from pathlib import Path

from reviewbot.host.files import remove_tree
from reviewbot.host.git import find_commit, git, git_in
from reviewbot.trees.apply import SPARSE, WHO
from reviewbot.trees.errors import UnusablePull
from reviewbot.trees.pulls import Pulled, is_ancestor, merge_in


def put_on(repository: Path, component: str, head: str, pulled: Pulled, scratch: Path) -> tuple[str, tuple[str, ...]]:
    """New head and the commits that were added. Raises UnusablePull."""
    if is_ancestor(repository, head, pulled.tip):
        added = git(repository, "rev-list", "--reverse", "--topo-order", f"{head}..{pulled.tip}").output.split()
        return pulled.tip, tuple(added)
    url, ref = pulled.pull.url, pulled.pull.ref
    if merge := merge_in(repository, pulled.commits):
        raise UnusablePull(
            component,
            url,
            ref,
            f"it contains the merge {merge[:12]} and does not start at {head[:12]}",
            hint="commits can be picked, merges cannot; give its own base with --base, or mail the patches",
        )
    key = hashlib.sha256(f"{head} {pulled.base} {pulled.tip}".encode()).hexdigest()[:40]
    kept = f"refs/reviewbot/picked/{key}"
    new = find_commit(repository, kept) or _pick(repository, component, head, pulled, scratch)
    git(repository, "update-ref", kept, new)
    return new, tuple(git(repository, "rev-list", "--reverse", f"{head}..{new}").output.split())


def _pick(repository: Path, component: str, head: str, pulled: Pulled, scratch: Path) -> str:
    remove_tree(scratch)
    git(repository, "worktree", "prune")
    scratch.mkdir(parents=True)
    worktree = scratch / "tree"
    try:
        git(repository, "worktree", "add", "--quiet", "--no-checkout", "--detach", worktree, head)
        sparse = worktree / git_in(worktree, "rev-parse", "--git-path", "info/sparse-checkout").output.strip()
        sparse.parent.mkdir(parents=True, exist_ok=True)
        sparse.write_text("/.nothing-of-the-tree\n")
        git_in(worktree, "read-tree", "-mu", "HEAD", settings=SPARSE)
        date = git(repository, "show", "-s", "--format=%cd", "--date=raw", pulled.tip).output.strip()
        done = git_in(
            worktree,
            "cherry-pick",
            "--allow-empty",
            "--keep-redundant-commits",
            *pulled.commits,
            settings=SPARSE,
            env={**WHO, "GIT_COMMITTER_DATE": date},
            check=False,
        )
        if done.status:
            stopped = git_in(worktree, "rev-parse", "--verify", "CHERRY_PICK_HEAD", check=False).output.strip()
            subject = git(repository, "show", "-s", "--format=%s", stopped or pulled.tip).output.strip()
            places = git_in(worktree, "diff", "--name-only", "--diff-filter=U", check=False).output.split()
            raise UnusablePull(
                component,
                pulled.pull.url,
                pulled.pull.ref,
                f"its commit {stopped[:12]} “{subject}” does not apply on top of {head[:12]}"
                + (f": conflict in {', '.join(places[:3])}" if places else ""),
                hint="give its own base with --base, or name the parts in the order in which they were written",
            )
        return git_in(worktree, "rev-parse", "HEAD").output.strip()
    finally:
        remove_tree(scratch)
        git(repository, "worktree", "prune", check=False)
