# SPDX-License-Identifier: GPL-2.0-or-later
"""`Fixes: <id> ("subject")`: its form, and whether history has that commit under that subject."""

import difflib
import re
from collections.abc import Iterator
from pathlib import Path

from reviewbot.host.git import find_commit, git
from reviewbot.model.review import ReviewFinding
from reviewbot.model.trees import Tree
from reviewbot.review.commits import Commit, Trailer
from reviewbot.review.message import Remark, Rules, judged

_MOST = 20
_TELLING = 20
"""Letters of a quote that are enough to tell a commit by a part of its subject."""
_ALIKE = 0.85
"""Similarity (difflib) from which on a quote is taken for a misspelt one."""
_FORM = re.compile(r'^([0-9a-fA-F]{12,40})\s+\("(.*)"\)$')
_LOOSE = re.compile(r"^(?:commit\s+)?([0-9a-fA-F]{5,64})\b[\s,:-]*(.*)$")


def parse(value: str) -> tuple[str, str, bool] | None:
    """Id, subject (empty if none is quoted) and whether the form is right; None if it names no commit at all."""
    if match := _FORM.match(value):
        return match[1].lower(), match[2], True
    if match := _LOOSE.match(value):
        quoted = re.search(r"[\"'“‘](.+)[\"'”’]", match[2])
        return match[1].lower(), quoted[1] if quoted else match[2].strip("() "), False
    return None


class History:
    """What one tree's repository knows of the past."""

    def __init__(self, tree: Tree) -> None:
        self.repository, self.head = Path(tree.repository), tree.head_commit
        shallow = git(self.repository, "rev-parse", "--is-shallow-repository").output.strip() == "true"
        parents = git(self.repository, "rev-list", "--parents", "-n", "1", tree.base_commit).output.split()[1:]
        self.complete = not shallow and bool(parents)
        """False: a shallow clone, or files that were imported as one commit."""

    def find(self, commit: str) -> str | None:
        """Full id; None also for an abbreviation that several commits share."""
        return find_commit(self.repository, commit)

    def subject(self, commit: str) -> str:
        return git(self.repository, "log", "-1", "--format=%s", commit).output.strip("\n")

    def holds(self, ancestor: str) -> bool:
        done = git(self.repository, "merge-base", "--is-ancestor", ancestor, self.head, check=False)
        return done.status == 0


def check_fixes(commit: Commit, history: History, component: str, rules: Rules) -> list[ReviewFinding]:
    """Remarks on all Fixes: lines of a message."""
    fixes = [trailer for trailer in commit.trailers if trailer.kind == "fixes"]
    remarks = [remark for trailer in fixes[:_MOST] for remark in _one(trailer, commit, history)]
    if len(fixes) > _MOST:
        remarks.append(("fixes-unchecked", f"only the first {_MOST} of {len(fixes)} Fixes: were checked", ""))
    return judged(remarks, component, rules)


def _one(trailer: Trailer, commit: Commit, history: History) -> Iterator[Remark]:
    line = str(trailer)
    if re.match(r"(https?://|#\d)", trailer.value):  # an issue tracker's number or URL, which GitHub closes
        return
    named = parse(trailer.value)
    if named is None:
        yield "fixes-form", 'Fixes: is not `<12 digits or more> ("<subject>")`', line
        return
    name, quoted, right = named
    if not right:
        wrapped = "(" in trailer.value and not trailer.value.endswith(")")
        what = (
            "is wrapped: the whole tag belongs on one line" if wrapped else 'is not `<12 digits or more> ("<subject>")`'
        )
        yield "fixes-form", f"Fixes: {what}", line
    found = history.find(name) if len(name) <= 40 else None
    if found is None:
        if history.complete:
            yield "fixes-unknown", f"Fixes: names {name[:12]}, which is not in this history", line
        else:
            yield "fixes-unchecked", f"Fixes: {name[:12]} cannot be checked: the history is not available", line
        return
    if found == commit.id or (history.complete and not history.holds(found)):
        yield "fixes-elsewhere", f"Fixes: names {name[:12]}, which is not an ancestor of the patch", line
    if right:
        yield from _subject(quoted, history.subject(found), name, line)


def _subject(quoted: str, real: str, name: str, line: str) -> Iterator[Remark]:
    if quoted == real:
        return
    evidence = f"{line}\n{name[:12]} is: {real}"
    if _means(quoted, real):
        yield "fixes-subject-inexact", f"Fixes: quotes the subject of {name[:12]} inexactly", evidence
    else:
        yield "fixes-subject", f"Fixes: quotes a different subject than that of {name[:12]}", evidence


def _means(quoted: str, real: str) -> bool:
    """Whether a sloppy quote still means this subject: cut short, without its prefix, with a gap, or misspelt."""
    whole = _plain(real)
    pieces = [plain for piece in re.split(r"\.{2,}|…", quoted) if (plain := _plain(piece))]
    bare = " ".join(pieces)
    if bare == whole:
        return True
    telling = len(bare) >= _TELLING or 2 * len(bare) >= len(whole)
    if telling and len(bare.split()) > 1 and re.search(".*".join(rf"\b{re.escape(piece)}" for piece in pieces), whole):
        return True
    if whole and f" {bare} ".endswith(f" {whole} "):  # the quote has a prefix, or words in front, that the commit lacks
        return True
    same_numbers = re.findall(r"\d+", bare) == re.findall(r"\d+", whole)
    return telling and same_numbers and difflib.SequenceMatcher(None, bare, whole, autojunk=False).ratio() >= _ALIKE


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text).strip().casefold()
