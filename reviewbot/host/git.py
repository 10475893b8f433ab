# SPDX-License-Identifier: GPL-2.0-or-later
"""git, without the user's or the system's settings in the way."""

import functools
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from reviewbot.host.files import write_atomic
from reviewbot.host.process import Completed, run

# A user's hooks, signing, autocrlf or aliases must not change what a tree id stands for.
CLEAN = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_ADVICE": "0",
}
_BYTE_EXACT = "* -text -crlf -ident -filter !eol !working-tree-encoding\n"
"""Of `info/attributes`, which go before those of the tree: no file is converted."""
_SETTINGS = ("-c", "safe.directory=*", "-c", "core.autocrlf=false", "-c", "core.hooksPath=/dev/null",
             "-c", "core.attributesFile=/dev/null",
             # What is fetched becomes one pack, or nothing: loose objects of a killed fetch lack those they name.
             "-c", "fetch.unpackLimit=1", "-c", "gc.auto=0", "-c", "advice.detachedHead=false")  # fmt: skip


def git(
    repository: Path,
    *arguments: str | os.PathLike[str],
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    cwd: Path | None = None,
    check: bool = True,
    timeout: float = 1800.0,
    stdout: Path | None = None,
    largest: int = 0,
) -> Completed:
    """Run git on a repository (its git directory). stderr is kept apart. Raises CommandFailed, CommandTimeout.

    stdout: file that gets the output as bytes, instead of the result. largest: bytes that a file may have which git
    writes (a pack that it fetches); it is killed by SIGXFSZ when it writes more. 0: no limit.
    """
    settings = {**CLEAN, "GIT_DIR": str(repository), **(env or {})}
    return run(
        [*(("prlimit", f"--fsize={largest}") if largest else ()), "git", *_SETTINGS, *arguments],
        cwd=cwd or repository,
        env=settings,
        stdin=stdin,
        check=check,
        timeout=timeout,
        split=True,
        stdout=stdout,
    )


def git_in(
    worktree: Path,
    *arguments: str | os.PathLike[str],
    settings: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    check: bool = True,
    timeout: float = 1800.0,
) -> Completed:
    """Run git inside a worktree, with more `-c` settings (`name=value`)."""
    more = [word for setting in settings for word in ("-c", setting)]
    return run(
        ["git", *_SETTINGS, *more, *arguments],
        cwd=worktree,
        env={**CLEAN, **(env or {})},
        check=check,
        timeout=timeout,
        split=True,
    )


def patch_ids(diffs: Sequence[bytes]) -> tuple[str, ...]:
    """`git patch-id --stable` of each diff, or mail with its body decoded; empty where git finds no patch.

    One process for all of them.
    """
    if not diffs:
        return ()
    lines = []
    mark = secrets.token_hex(16)  # a mail must not be able to speak for another
    for number, text in enumerate(diffs, 1):
        # What stands above the diff could hold lines that look like the start of another patch.
        start = min((at for at in (text.find(b"\ndiff --git "), text.find(b"\n--- a/")) if at >= 0), default=-1)
        lines.append(f"From {mark}{number:08x} Mon Sep 17 00:00:00 2001\n".encode())
        lines.append((text if text.startswith((b"diff --git ", b"--- a/")) else text[start + 1 :]) + b"\n")
    said = run(["git", "patch-id", "--stable"], stdin=b"".join(lines), env=CLEAN, split=True).output
    rows = (line.split() for line in said.splitlines() if line.count(" ") == 1)
    found = {number: patch_id for patch_id, number in rows}
    return tuple(found.get(f"{mark}{number:08x}", "") for number in range(1, len(diffs) + 1))


def init_bare(repository: Path) -> Path:
    """A bare repository at this path, made if it is not there. Its worktrees hold the bytes of its blobs."""
    if not (repository / "HEAD").exists():
        repository.mkdir(parents=True, exist_ok=True)
        git(repository, "init", "--bare", "--quiet", "--initial-branch=master", repository)
    no_conversions(repository)
    return repository


def remove_stale_locks(repository: Path) -> None:
    """Lock files that a killed git left in a repository, which the caller has for itself."""
    for folder, below in ((repository, False), (repository / "refs", True), (repository / "worktrees", True)):
        for path in folder.rglob("*.lock") if below else folder.glob("*.lock"):
            path.unlink(missing_ok=True)


def no_conversions(repository: Path) -> None:
    """Let every worktree of the repository hold the bytes of its blobs.

    A posting may change `.gitattributes`: neither what is built nor what patches apply to may depend on it.
    """
    path = repository / "info" / "attributes"
    if not path.is_file() or path.read_text() != _BYTE_EXACT:
        write_atomic(path, _BYTE_EXACT)


def find_commit(repository: Path, ref: str) -> str | None:
    """Full id of the commit that `ref` names, or None if the repository has no such commit."""
    if ref.startswith("-"):
        return None
    done = git(repository, "rev-parse", "--quiet", "--verify", f"{ref}^{{commit}}", check=False)
    return done.output.strip() if done.status == 0 else None


def find_fetched(repository: Path, ref: str) -> str | None:
    """As `find_commit`, but None for a commit without its history: a fetch was killed before it was complete."""
    commit = find_commit(repository, ref)
    if commit is None:
        return None
    walked = git(repository, "rev-list", "--quiet", commit, "--not", "--all", check=False)
    return commit if walked.status == 0 else None


def tree_of(repository: Path, commit: str) -> str:
    """Full id of a commit's tree."""
    return _tree_and_date(repository, commit)[0]


def date_of(repository: Path, commit: str) -> int:
    """When a commit was made, seconds since the epoch."""
    return _tree_and_date(repository, commit)[1]


def _tree_and_date(repository: Path, commit: str) -> tuple[str, int]:
    return _kept(repository, commit) if len(commit) == 40 else _ask(repository, commit)


def _ask(repository: Path, commit: str) -> tuple[str, int]:
    tree, date = git(repository, "show", "-s", "--format=%T %ct", f"{commit}^{{commit}}").output.split()
    return tree, int(date)


_kept = functools.lru_cache(maxsize=4096)(_ask)
"""A full id stands for the same commit forever."""
