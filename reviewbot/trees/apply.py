# SPDX-License-Identifier: GPL-2.0-or-later
"""Apply parts with `git am`, in a sparse worktree that is gone afterwards."""

import hashlib
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from reviewbot.host.files import remove_tree
from reviewbot.host.git import find_commit, git, git_in
from reviewbot.host.process import CommandFailed
from reviewbot.model.posting import Part, Patch
from reviewbot.model.trees import AppliedPatch, Attempt
from reviewbot.trees.errors import DoesNotApply

_WHO = {
    "GIT_COMMITTER_NAME": "reviewbot",
    "GIT_COMMITTER_EMAIL": "reviewbot@invalid",
}
_SPARSE = ("core.sparseCheckout=true", "core.sparseCheckoutCone=false", "index.sparse=false")


def apply_parts(
    repository: Path, base: str, base_name: str, parts: Sequence[Part], mails: Mapping[str, bytes], scratch: Path
) -> tuple[str, tuple[AppliedPatch, ...], tuple[Attempt, ...]]:
    """Head commit, the patches with their commits, and what had to be tried. Raises DoesNotApply.

    The same base and mails give the same commits; what was applied before is not applied again.
    """
    patches = [patch for part in parts for patch in part.patches]
    if not patches:
        return base, (), ()
    ref = f"refs/reviewbot/applied/{_key(base, patches, mails)}"
    head = find_commit(repository, ref)
    attempts: tuple[Attempt, ...] = ()
    if head is None:
        with _worktree(repository, base, patches, scratch) as worktree:
            for part in parts:
                attempts += _apply_part(worktree, part, mails, base_name)
            head = git_in(worktree, "rev-parse", "HEAD").output.strip()
        git(repository, "update-ref", ref, head)
    commits = git(repository, "rev-list", "--reverse", f"{base}..{head}").output.split()
    applied = tuple(
        AppliedPatch(message_id=patch.message_id, subject=patch.subject, commit=commit)
        for patch, commit in zip(patches, commits, strict=True)
    )
    return head, applied, attempts


def _key(base: str, patches: Sequence[Patch], mails: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256(base.encode())
    for patch in patches:
        digest.update(hashlib.sha256(mails[patch.message_id]).digest())
    return digest.hexdigest()[:40]


@contextmanager
def _worktree(repository: Path, base: str, patches: Sequence[Patch], scratch: Path) -> Iterator[Path]:
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
        paths = sorted({path for patch in patches for path in patch.paths})
        listed.write_text("".join(f"/{_literal(path)}\n" for path in paths))
        git_in(worktree, "read-tree", "-mu", "HEAD", settings=_SPARSE)
        yield worktree
    finally:
        remove_tree(scratch)
        git(repository, "worktree", "prune", check=False)


def _literal(path: str) -> str:
    return re.sub(r"([*?\[\]\\!# ])", r"\\\1", path)


def _apply_part(worktree: Path, part: Part, mails: Mapping[str, bytes], base_name: str) -> tuple[Attempt, ...]:
    before = git_in(worktree, "rev-parse", "HEAD").output.strip()
    with tempfile.TemporaryDirectory(dir=worktree.parent) as name:
        files = []
        for number, patch in enumerate(part.patches, 1):
            file = Path(name) / f"{number:04}"
            file.write_bytes(mails[patch.message_id])
            files.append(file)
        done = _am(worktree, *files)
        if done is None:
            return ()
        said = done
        # git's three-way merge needs blobs that a shallow or imported base may not have; trying costs nothing.
        count = int(git_in(worktree, "rev-list", "--count", f"{before}..HEAD").output)
        git_in(worktree, "am", "--abort", settings=_SPARSE, check=False)
        git_in(worktree, "reset", "--quiet", "--hard", before, settings=_SPARSE)
        if _am(worktree, "--3way", *files) is None:
            failed = part.patches[count]
            what = f"{part.component} part {part.counter}: git am"
            return (
                Attempt(what=what, result=f"stopped at “{failed.subject}”"),
                Attempt(what=f"{what} --3way", result="applied"),
            )
        raise _failure(part, count, said, mails, base_name)


def _am(worktree: Path, *arguments: str | Path) -> str | None:
    """None when all was applied, else git's words."""
    done = git_in(
        worktree, "am", "--quiet", "--committer-date-is-author-date", "--no-gpg-sign",
        *map(str, arguments), settings=_SPARSE, env=_WHO, check=False,
    )  # fmt: skip
    if done.status == 129:  # git does not know an option: our fault, not the patch's
        raise CommandFailed(done.argv, done.status, done.errors)
    return None if done.status == 0 else (done.output + done.errors).strip() or f"git am ended with {done.status}"


def _failure(part: Part, count: int, words: str, mails: Mapping[str, bytes], base_name: str) -> DoesNotApply:
    patch = part.patches[min(count, len(part.patches) - 1)]
    noise = ("hint:", "When you have", "If you prefer", "To restore")
    kept = "\n".join(line for line in words.splitlines() if not line.startswith(noise))
    match = re.search(r"^error: patch failed: (.+):(\d+)$", words, re.MULTILINE)
    other = re.search(r"^error: (.+?): (?!patch does not apply).+$", words, re.MULTILINE)
    file = f"{match[1]}:{match[2]}" if match else (other[1] if other else "")
    hunk = find_hunk(mails[patch.message_id].decode(errors="replace"), match[1], int(match[2])) if match else ""
    return DoesNotApply(
        component=part.component, part=part.counter, number=patch.number, total=len(part.patches),
        message_id=patch.message_id, subject=patch.subject, file=file, hunk=hunk, words=kept, base=base_name,
    )  # fmt: skip


def find_hunk(mail: str, path: str, line: int) -> str:
    """The hunk of a diff that starts at this line of the old file, at most 30 lines; empty if it is not found."""
    current = ""
    lines = mail.splitlines()
    for number, text in enumerate(lines):
        if text.startswith("--- "):
            current = text[4:].split("\t")[0].removeprefix("a/")
        elif text.startswith("+++ ") and current == "/dev/null":
            current = text[4:].split("\t")[0].removeprefix("b/")
        elif current == path and (match := re.match(r"@@ -(\d+)", text)) and int(match[1]) == line:
            end = number + 1
            while end < len(lines) and lines[end][:1] in ("+", "-", " ") and lines[end] != "-- ":
                end += 1
            return "\n".join(lines[number : min(end, number + 30)])
    return ""
