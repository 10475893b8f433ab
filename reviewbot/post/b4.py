# SPDX-License-Identifier: GPL-2.0-or-later
"""Texts into b4's review folder of a repository, for the branch on which a series is reviewed there.

b4 (0.16) reads `.git/b4-review/<tip>/` when its screen is opened, puts what it finds into the branch's tracking commit,
and removes the folder. Branches and their tracking data are read with b4's own code.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reviewbot.host.files import write_atomic
from reviewbot.host.git import git_in
from reviewbot.host.process import CommandFailed
from reviewbot.model.errors import UsageError

IDENTITY = "reviewbot <reviewbot@localhost>"


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch of `b4 review` that holds patches of a posting."""

    repository: Path
    name: str
    tip: str
    """The tracking commit."""
    patches: tuple[tuple[str, str], ...]
    """Message-ID and commit, in the order of the series."""

    @property
    def folder(self) -> Path:
        return self.repository / ".git" / "b4-review" / self.tip

    def diff(self, commit: str) -> str:
        """As b4 shows it."""
        return git_in(self.repository, "diff", "--no-ext-diff", "--no-textconv", f"{commit}~1", commit).output


def review_branch(repository: Path, message_ids: Collection[str]) -> Branch:
    """The branch with most of these patches; of equals the one that was changed last. Raises UsageError."""
    from b4.review import load_tracking
    from b4.review.tracking import get_review_branches

    try:
        top = Path(git_in(repository, "rev-parse", "--show-toplevel").output.strip())
    except CommandFailed as error:
        raise UsageError(f"{repository} is not a git repository", hint="--tree names the one of `b4 review`") from error
    found: list[tuple[int, str, Branch]] = []
    for name in get_review_branches(str(top)):
        try:
            _, tracking = load_tracking(str(top), name)
            branch = _read(top, name, tracking)
        except (SystemExit, ValueError, KeyError, TypeError, CommandFailed):  # of another version, or damaged
            continue
        if number := len({message_id for message_id, _ in branch.patches} & set(message_ids)):
            when = git_in(top, "log", "-1", "--format=%ct", branch.tip).output.strip().zfill(12)
            found.append((number, when, branch))
    if not found:
        raise UsageError(f"{top} has no review branch of this posting", hint="`b4 review` creates one: b4/review/…")
    return max(found, key=lambda one: one[:2])[2]


def _read(top: Path, name: str, tracking: dict[str, Any]) -> Branch:
    series, patches = tracking["series"], tracking["patches"]
    first = str(series.get("first-patch-commit") or "")
    start = f"{first}~1" if first else str(series["base-commit"])
    tip = git_in(top, "rev-parse", name).output.strip()
    commits = git_in(top, "rev-list", "--reverse", f"{start}..{tip}~1").output.split()
    ids = [str(patch.get("header-info", {}).get("msgid", "")) for patch in patches]
    return Branch(top, name, tip, tuple(zip(ids, commits, strict=False)))


def texts_for(branch: Branch, series: str, text_of: Callable[[str, str], str]) -> dict[str, str]:
    """File name -> text, as b4 wants them. text_of: from a Message-ID and a diff; empty: nothing is said."""
    found = {"identity.txt": f"{IDENTITY}\n", "series.txt": series}
    for number, (message_id, commit) in enumerate(branch.patches, 1):
        if text := text_of(message_id, branch.diff(commit)):
            found[f"{number:04}.txt"] = text
    return found


def write_texts(branch: Branch, texts: dict[str, str]) -> None:
    """Put them where b4 looks, instead of older ones of ours. Raises UsageError when another reviewer's are there."""
    folder, identity = branch.folder, branch.folder / "identity.txt"
    if folder.exists() and (not identity.is_file() or identity.read_text(errors="replace").strip() != IDENTITY):
        raise UsageError(f"{folder} holds another review", hint="open `b4 review` once to import it")
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.txt"):
        if old.name not in texts:
            old.unlink()
    for name, text in texts.items():
        write_atomic(folder / name, text)
