# SPDX-License-Identifier: GPL-2.0-or-later
"""What helps the author of a patch that does not apply: what base has there, since when, and who would take it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reviewbot.host.git import git
from reviewbot.host.objects import objects
from reviewbot.host.process import CommandTimeout
from reviewbot.model.words import counted
from reviewbot.trees.candidates import Ref
from reviewbot.trees.diffs import Hunk, hunks_of
from reviewbot.trees.history import day, shallow
from reviewbot.trees.importer import IMPORTER
from reviewbot.trees.probe import probe
from reviewbot.trees.queue import Queued

_LINES = 14
"""Of base that are shown."""
_MAX_FILE = 4 << 20
_TIMEOUT = 20.0
_UNKNOWN = "the last change to these lines is unknown"
_HISTORY_GONE = "the history of this source is not available"


@dataclass(frozen=True, slots=True)
class Window:
    """Lines of a file that look like what a hunk wants."""

    first: int
    """Line number, 1-based."""
    lines: tuple[str, ...]
    match: int
    """How many of the hunk's lines are there."""
    wanted: int


def nearest(text: str, hunk: Hunk) -> Window | None:
    """The place in a file that has the most of the hunk's lines, near the hunk's own line if several do."""
    lines = text.removesuffix("\n").split("\n")
    before = [line.strip() for line in hunk.before]
    telling = {line for line in before if line}
    if not lines or not before:
        return None
    size = len(before)
    places: dict[int, int] = {}
    for number, line in enumerate(lines):
        if line.strip() in telling:
            places[number] = 1
    best, score = max(0, hunk.line - 1), (-1, 0, 0)
    starts = sorted({max(0, place - offset) for place in places for offset in range(min(size, 40))} or {best})
    for start in starts:
        shown = [line.strip() for line in lines[start : start + size]]
        in_place = sum(one == other != "" for one, other in zip(shown, before, strict=False))
        here = (len(set(shown) & telling), in_place, -abs(start - hunk.line + 1))
        if here > score:
            best, score = start, here
    if best >= len(lines):
        best = max(0, len(lines) - size)
    return Window(best + 1, tuple(lines[best : best + min(size, _LINES)]), max(score[0], 0), len(telling))


def of_failure(
    repository: Path,
    base: str,
    base_name: str,
    entry: Queued,
    place: str,
    hint: str,
    kept: Sequence[Queued],
    others: Sequence[Ref],
) -> tuple[str, ...]:
    """Lines for people, at most some forty. place: `file:line` of the hunk that failed, or a file."""
    said = [hint] if hint else []
    path, _, line = place.rpartition(":")
    if path and line.isdigit():
        said += _there(repository, base, base_name, path, int(line), entry)
    elif place:
        said += _missing(repository, base, base_name, place)
    return (*said, *_takers(repository, base, entry, kept, others))


def _there(repository: Path, base: str, base_name: str, path: str, line: int, entry: Queued) -> list[str]:
    hunk = next((h for h in hunks_of(entry.diff) if h.path == path and h.line == line), None)
    text = _content(repository, base, path)
    if text is None:
        return _missing(repository, base, base_name, path)
    window = nearest(text, hunk) if hunk else None
    if window is None:
        return []
    last = window.first + len(window.lines) - 1
    said = [
        f"{path} at {base_name}, lines {window.first}-{last} "
        f"({window.match} of {counted(window.wanted, 'line')} that the hunk expects are there):"
    ]
    said += [f"{number:6} {shown[:160]}" for number, shown in enumerate(window.lines, window.first)]
    said.append(last_touched(repository, base, path, window.first, last))
    return said


def _missing(repository: Path, base: str, base_name: str, path: str) -> list[str]:
    if _content(repository, base, path) is not None:
        return [f"{path} is in {base_name}"]
    name = path.rsplit("/", 1)[-1]
    listed = git(repository, "ls-tree", "-r", "--name-only", "--full-tree", base, check=False).output.splitlines()
    alike = [other for other in listed if other.rsplit("/", 1)[-1] == name][:3]
    return [f"{path} is not in {base_name}" + (f"; there is {', '.join(alike)}" if alike else "")]


def _content(repository: Path, commit: str, path: str) -> str | None:
    """None when there is no such file; an empty text when it is too large to look at."""
    with objects(repository) as there:
        size = there.size(f"{commit}:{path}")
        content = there.blob(f"{commit}:{path}") if size is not None and size <= _MAX_FILE else b""
    return None if size is None or content is None else content.decode(errors="replace")


def last_touched(repository: Path, commit: str, path: str, first: int, last: int) -> str:
    """Commit, subject, author and day of the youngest change to these lines, or why that is not known."""
    try:
        done = git(
            repository,
            "blame",
            "--root",
            "--line-porcelain",
            f"-L{first},{last}",
            commit,
            "--",
            path,
            check=False,
            timeout=_TIMEOUT,
        )
    except CommandTimeout:
        return f"{_UNKNOWN}: git blame took more than {_TIMEOUT:.0f} s"
    found: tuple[int, str] = (0, "")
    cut = set(shallow(repository))
    blocks = re.split(r"(?m)^(?=[0-9a-f]{40} \d+ \d+)", done.output)
    for block in blocks:
        facts = dict(line.partition(" ")[::2] for line in block.splitlines() if not line.startswith("\t"))
        if "summary" not in facts or block[:40] in cut or facts.get("author-mail") == f"<{IMPORTER}>":
            continue
        when = int(facts.get("committer-time", "0"))
        text = f"{block[:12]} “{facts['summary'][:100]}” ({facts.get('author', '')[:60]}, {day(when)})"
        found = max(found, (when, text))
    return f"last touched by {found[1]}" if found[1] else f"{_UNKNOWN}: {_HISTORY_GONE}"


def _takers(repository: Path, base: str, entry: Queued, kept: Sequence[Queued], others: Sequence[Ref]) -> list[str]:
    """Which other bases would take everything, or this patch alone."""
    said: list[str] = []
    for ref in others[:12]:
        if ref.commit == base:
            continue
        if len(kept) > 1 and probe(repository, ref.commit, [e.diff for e in kept]).all:
            said.append(f"{ref.name} would accept all {len(kept)} patches")
        elif probe(repository, ref.commit, [entry.diff]).all:
            said.append(f"{ref.name} would accept this patch" + (" alone" if len(kept) > 1 else ""))
    tried = sum(ref.commit != base for ref in others[:12])
    if tried and not said:
        said.append(f"none of {counted(tried, 'other base')} would accept this patch")
    return said
