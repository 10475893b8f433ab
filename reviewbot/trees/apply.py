# SPDX-License-Identifier: GPL-2.0-or-later
"""Apply mailed patches with `git am`, in a sparse worktree that is gone afterwards."""

import hashlib
import itertools
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reviewbot.host.files import remove_tree
from reviewbot.host.git import find_commit, git, git_in
from reviewbot.host.process import CommandFailed, no_room
from reviewbot.model.errors import DiskFull
from reviewbot.model.trees import Attempt
from reviewbot.model.words import counted
from reviewbot.trees.diffs import files_of, hunks_of
from reviewbot.trees.errors import DoesNotApply
from reviewbot.trees.fit import place_of
from reviewbot.trees.probe import Probe
from reviewbot.trees.queue import Queued, refused
from reviewbot.trees.safety import paths_of, unsafe_commit

WHO = {
    "GIT_COMMITTER_NAME": "reviewbot",
    "GIT_COMMITTER_EMAIL": "reviewbot@invalid",
}
SPARSE = ("core.sparseCheckout=true", "core.sparseCheckoutCone=false", "index.sparse=false", "core.protectHFS=true",
          "core.protectNTFS=true", "core.symlinks=true")  # fmt: skip
_HUNK_LINES, _WIDTH = 30, 200
_WORDS = 12
"""Lines of git that are kept."""


@dataclass(frozen=True, slots=True)
class Applied:
    """Where patches led."""

    head: str
    commits: tuple[str, ...]
    """One per patch, in their order; empty for one that a three-way merge found to be there."""
    attempts: tuple[Attempt, ...] = ()
    plain: bool = True
    """False: `git am` alone did not do it."""


class Refusal(Exception):
    """`git am` stopped, with and without its three-way merge: how many patches had gone in, and its words."""

    def __init__(self, entry: Queued, words: str) -> None:
        super().__init__(words)
        self.entry, self.words = entry, words


def apply_patches(
    repository: Path, component: str, base: str, entries: Sequence[Queued], tried: Probe, scratch: Path
) -> Applied:
    """One commit per patch on top of `base`. tried: of these entries there. Raises Refusal, RefusedPatch.

    The same base and mails give the same commits; what was applied before is not applied again.
    """
    if not entries:
        return Applied(base, ())
    ref = f"refs/reviewbot/applied/{_key(base, entries)}"
    if (head := find_commit(repository, ref)) and len(commits := _commits(repository, base, head)) == len(entries):
        _check(repository, component, base, head, dict(zip(commits, entries, strict=True)), frozenset())
        return Applied(head, commits)
    if not tried.all and not _mergeable(repository, entries[tried.applied]):
        raise Refusal(entries[tried.applied], tried.words)
    made: list[str] = []
    merged: set[str] = set()
    attempts: tuple[Attempt, ...] = ()
    with worktree_at(repository, base, entries, scratch) as worktree:
        for _, group in itertools.groupby(entries, key=lambda e: (e.part.counter, e.part.cover, e.prerequisite)):
            commits, said = _apply_group(worktree, component, list(group))
            made += commits
            merged |= set(commits) if said else set()
            attempts += said
        head = _head(worktree)
    entry_of = dict(zip(made, entries, strict=True))
    if bad := unsafe_commit(repository, base, head):
        raise refused(component, entry_of[bad[0]], bad[1])
    _check(repository, component, base, head, entry_of, merged)
    if not attempts:
        git(repository, "update-ref", ref, head)
    return Applied(head, tuple(made), attempts, not attempts)


def _check(
    repository: Path, component: str, base: str, head: str, entry_of: Mapping[str, Queued], merged: Collection[str]
) -> None:
    """Each commit changes what the posting says that its patch changes, or something that nobody looked at is tested.

    merged: commits of a three-way merge; it may find that some of the changes are there. Raises RefusedPatch.
    """
    changed = paths_of(repository, base, head)
    for commit, entry in entry_of.items():
        if not commit:
            continue
        found = {_shown(path) for path in changed.get(commit, ())}
        said = {_shown(path) for path in entry.patch.paths or (p for f in files_of(entry.diff) for p in f.paths)}
        lost = said - found
        if commit in merged or b"\ncopy from " in entry.diff:  # what is copied stays as it is
            lost = set()
        if lost or found - said:
            raise refused(
                component, entry, f"the mail says it changes {_some(said)}, but git am changed {_some(found)}"
            )


def _shown(path: str) -> str:
    """As text, whatever its bytes are."""
    return path.encode(errors="surrogateescape").decode(errors="replace")


def _some(paths: Collection[str]) -> str:
    listed = sorted(paths)
    more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return ", ".join(listed[:3]) + more if listed else "nothing"


def _mergeable(repository: Path, entry: Queued) -> bool:
    """Whether all contents that the patch starts from are here: git merges with them, and with nothing else."""
    blobs = [file.blob for file in files_of(entry.diff) if file.old]
    return all(
        blob and git(repository, "cat-file", "-e", f"{blob}^{{blob}}", check=False).status == 0 for blob in blobs
    )


def _commits(repository: Path, base: str, head: str) -> tuple[str, ...]:
    return tuple(git(repository, "rev-list", "--reverse", f"{base}..{head}").output.split())


def _key(base: str, entries: Sequence[Queued]) -> str:
    digest = hashlib.sha256(base.encode())
    for entry in entries:
        digest.update(hashlib.sha256(entry.mail).digest())
    return digest.hexdigest()[:40]


@contextmanager
def worktree_at(repository: Path, base: str, entries: Sequence[Queued], scratch: Path) -> Iterator[Path]:
    """A worktree that holds only the files which the patches touch; an 80,000-file tree costs a second.

    The caller holds the repository's lock, so worktrees that are left were left by killed processes.
    """
    remove_tree(scratch)
    git(repository, "worktree", "prune")
    scratch.mkdir(parents=True)
    worktree = scratch / "tree"
    try:
        git(repository, "worktree", "add", "--quiet", "--no-checkout", "--detach", worktree, base)
        sparse = git_in(worktree, "rev-parse", "--git-path", "info/sparse-checkout").output.strip()
        listed = worktree / sparse
        listed.parent.mkdir(parents=True, exist_ok=True)
        paths = sorted({path for entry in entries for file in files_of(entry.diff) for path in file.paths})
        listed.write_bytes(b"".join(b"/" + _literal(path).encode("utf-8", "surrogateescape") + b"\n" for path in paths))
        git_in(worktree, "read-tree", "-mu", "HEAD", settings=SPARSE)
        yield worktree
    finally:
        remove_tree(scratch)
        git(repository, "worktree", "prune", check=False)


def _literal(path: str) -> str:
    return re.sub(r"[\x00-\x1f]", "?", re.sub(r"([*?\[\]\\!# ])", r"\\\1", path))


def _apply_group(
    worktree: Path, component: str, entries: Sequence[Queued]
) -> tuple[tuple[str, ...], tuple[Attempt, ...]]:
    """A commit per entry, and what had to be tried."""
    before = _head(worktree)
    said = _am(worktree, entries)
    made = tuple(git_in(worktree, "rev-list", "--reverse", f"{before}..HEAD").output.split())
    if said is None and len(made) != len(entries):  # one of the mails holds more than one
        raise refused(component, entries[0], f"git am makes {len(made)} commits of {counted(len(entries), 'mail')}")
    if said is None:
        return made, ()
    stopped = entries[min(len(made), len(entries) - 1)]
    what = f"{component} part {stopped.part.counter}: git am"
    attempts = [Attempt(what=what, result=f"stopped at “{stopped.patch.subject}”")]
    _back_to(worktree, before)
    commits: list[str] = []
    for entry in entries:  # one by one: git leaves out, without a word of status, what the merge finds to be there
        head = _head(worktree)
        if _am(worktree, [entry], "--3way") is not None:
            raise Refusal(stopped, said)
        now = _head(worktree)
        commits.append(now if now != head else "")
        if now == head:
            attempts.append(Attempt(what=f"{what} --3way", result=f"“{entry.patch.subject}” is already in base"))
    return tuple(commits), (*attempts, Attempt(what=f"{what} --3way", result="applied"))


def _head(worktree: Path) -> str:
    return git_in(worktree, "rev-parse", "HEAD").output.strip()


def _back_to(worktree: Path, commit: str) -> None:
    git_in(worktree, "am", "--abort", settings=SPARSE, env=WHO, check=False)  # it wants a committer too
    git_in(worktree, "reset", "--quiet", "--hard", commit, settings=SPARSE)


def _am(worktree: Path, entries: Sequence[Queued], *options: str) -> str | None:
    """None when all was applied, else git's words."""
    mails = [entry.mail for entry in entries]
    if any(entry.crlf for entry in entries):  # then every carriage return that is there is meant
        options = (*options, "--keep-cr")
        mails = [entry.mail if entry.crlf else entry.mail.replace(b"\r\n", b"\n") for entry in entries]
    with tempfile.TemporaryDirectory(dir=worktree.parent) as name:
        files = []
        for number, mail in enumerate(mails, 1):
            file = Path(name) / f"{number:04}"
            file.write_bytes(mail)
            files.append(str(file))
        done = git_in(
            worktree,
            "am",
            "--quiet",
            "--committer-date-is-author-date",
            "--no-gpg-sign",
            "--no-scissors",
            *options,
            *files,
            settings=SPARSE,
            env=WHO,
            check=False,
        )
    if done.status == 129:  # git does not know an option: our fault, not the patch's
        raise CommandFailed(done.argv, done.status, done.errors)
    if done.status and no_room(worktree, said=done.errors):  # the patch may apply
        raise DiskFull(str(worktree))
    return None if done.status == 0 else (done.output + done.errors).strip() or f"git am ended with {done.status}"


def failure(component: str, refusal: Refusal, base: str) -> DoesNotApply:
    """The error of a patch that was refused, without evidence yet."""
    entry, words = refusal.entry, refusal.words
    noise = ("hint:", "Patch failed at", "When you have", "If you prefer", "To restore")
    kept = "\n".join([line for line in words.splitlines() if not line.startswith(noise)][:_WORDS])
    place = place_of(words)
    path, _, line = place.rpartition(":")
    hunk = find_hunk(entry.diff, path, int(line)) if line.isdigit() else ""
    return DoesNotApply(
        component=component,
        part=entry.part.counter,
        number=entry.patch.number,
        total=entry.total,
        message_id=entry.patch.message_id,
        subject=entry.patch.subject,
        file=place,
        hunk=hunk,
        words=kept,
        base=base,
        prerequisite=entry.prerequisite,
    )


def find_hunk(diff: bytes, path: str, line: int) -> str:
    """The hunk of a diff that starts at this line of the old file, at most 30 lines; empty if it is not found."""
    for hunk in hunks_of(diff):
        if hunk.path == path and hunk.line == line:
            return "\n".join(line[:_WIDTH] for line in (hunk.header, *hunk.lines)[:_HUNK_LINES])
    return ""
