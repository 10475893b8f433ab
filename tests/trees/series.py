# SPDX-License-Identifier: GPL-2.0-or-later
"""Series made by real commits: the mails, and the parts as intake would describe them."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reviewbot.config import Network
from reviewbot.model.posting import Part, Patch, Posting
from reviewbot.model.stack import Candidate, Source
from reviewbot.model.trees import Tree, Trees
from reviewbot.trees import Bases, resolve
from tests.repos import ENV, git, stack_of

NUMBERED = "".join(f"line {number}\n" for number in range(1, 61))
FILE = "fs/fuse/file.c"
DAY = 86400
START = 1_700_000_000


def write(folder: Path, files: Mapping[str, str | bytes | None], message: str, *, day: int = 0) -> str:
    """Commit these files (None: remove) as of `day` days after the first commit; the commit's id."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return commit(folder, message, day=day)


def commit(folder: Path, message: str, *, day: int = 0) -> str:
    """Commit whatever changed."""
    git(folder, "add", "-A")
    when = f"{START + day * DAY} +0000"
    dates = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
    subprocess.run(["git", "commit", "-q", "-m", message], cwd=folder, env={**ENV, **dates}, check=True)
    return git(folder, "rev-parse", "HEAD")


def edited(*lines: int, word: str = "changed", text: str = NUMBERED) -> str:
    """Sixty numbered lines with some of them changed."""
    rows = text.splitlines(True)
    for line in lines:
        rows[line - 1] = f"line {line} {word}\n"
    return "".join(rows)


def new_repository(folder: Path, files: Mapping[str, str | bytes | None] | None = None) -> Path:
    """A repository with `fs/fuse/file.c` of sixty lines on `master`."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "master")
    write(folder, files or {FILE: NUMBERED}, "base")
    return folder


@dataclass(frozen=True)
class Series:
    """A part and its mails."""

    part: Part
    mails: dict[str, bytes] = field(default_factory=dict)

    def but(self, **changes: object) -> "Series":
        return Series(self.part.model_copy(update=changes), self.mails)


def series(folder: Path, span: str, *, name: str = "p", counter: str = "1/1", **more: object) -> Series:
    """The commits of `span` (`A..B`) as `git format-patch` writes them. name: of its Message-IDs."""
    commits = git(folder, "rev-list", "--reverse", span).splitlines()
    raws = [raw_mail(folder, commit, number, len(commits)) for number, commit in enumerate(commits, 1)]
    subjects = [git(folder, "show", "-s", "--format=%s", commit) for commit in commits]
    return by_hand(raws, subjects=subjects, name=name, counter=counter, **more)


def raw_mail(folder: Path, commit: str, number: int = 1, total: int = 1) -> bytes:
    done = subprocess.run(
        ["git", "format-patch", "-1", "--stdout", "--binary", f"--subject-prefix=PATCH {number}/{total}", commit],
        cwd=folder, env=ENV, check=True, capture_output=True,
    )  # fmt: skip
    return done.stdout.partition(b"\n")[2]


def by_hand(
    raws: Sequence[bytes], *, subjects: Sequence[str] = (), name: str = "p", counter: str = "1/1", **more: object
) -> Series:
    """Mails without Message-IDs as a part."""
    ids = [f"{name}{number}@example.org" for number in range(1, len(raws) + 1)]
    mails = {key: f"Message-ID: <{key}>\n".encode() + raw for key, raw in zip(ids, raws, strict=True)}
    patches = tuple(
        Patch(
            message_id=key,
            subject=subjects[n] if subjects else f"step {n + 1}",
            author="A <a@x>",
            number=n + 1,
            paths=(),
        )
        for n, key in enumerate(ids)
    )
    facts = {"component": "kernel", "counter": counter, "rfc": False, "subject": name, "cover": f"{name}@example.org",
             "patches": patches, **more}  # fmt: skip
    return Series(Part.model_validate(facts), mails)


def without_blobs(found: Series) -> Series:
    """As another tool than git writes diffs."""
    mails = {
        key: b"".join(line for line in raw.splitlines(True) if not line.startswith(b"index "))
        for key, raw in found.mails.items()
    }
    return Series(found.part, mails)


def posting_of(*found: Series) -> tuple[Posting, dict[str, bytes]]:
    posting = Posting(
        top="top@example.org", subject="s", author="A <a@x>", source="test", parts=tuple(s.part for s in found)
    )
    return posting, {key: raw for s in found for key, raw in s.mails.items()}


def local(path: Path, ref: str = "master") -> Source:
    return Source(provider="git", url=str(path), ref=ref)


def resolved(
    found: Series | Sequence[Series],
    source: Source | Path,
    cache: Path,
    *,
    base: str = "",
    candidates: Sequence[Candidate] = (),
    mails: Mapping[str, bytes] | None = None,
    network: Network | None = None,
) -> Tree:
    """The kernel's tree."""
    parts = [found] if isinstance(found, Series) else list(found)
    posting, raws = posting_of(*parts)
    source = local(source) if isinstance(source, Path) else source
    stack = stack_of({"kernel": source}, candidates={"kernel": tuple(candidates)})
    trees: Trees = resolve(
        posting,
        {**raws, **(mails or {})},
        stack,
        components=["kernel"],
        bases=Bases({"kernel": base} if base else {}, network=network or Network()),
        cache=cache,
    )
    return trees.trees[0]


def tried(tree: Tree) -> list[tuple[str, str]]:
    return [(attempt.what, attempt.result) for attempt in tree.attempts]


def file_at(tree: Tree, path: str = FILE) -> str:
    """Content of a file at head."""
    return git(Path(tree.repository), "show", f"{tree.head_commit}:{path}")
