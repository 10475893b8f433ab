# SPDX-License-Identifier: GPL-2.0-or-later
"""Commits that may be the base, in the order in which they are tried; each is fetched when its turn comes."""

import fnmatch
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from reviewbot.host.git import CLEAN, date_of, git, git_in
from reviewbot.host.process import CommandFailed, CommandTimeout, run
from reviewbot.model.stack import Candidate, ComponentSpec, Source
from reviewbot.model.trees import Attempt
from reviewbot.trees.errors import SourceUnreachable
from reviewbot.trees.history import day
from reviewbot.trees.sources import Origin, fetch, reach

ANSWER = 20.0
"""Seconds in which a repository must list its refs."""
TRANSFER = 300.0
"""Seconds in which a candidate must have arrived."""
_ACCESS = re.compile(r"^fatal: unable to access '[^']*': ")
"""The URL is known, and the server is remembered for others."""
_UNREACHABLE = re.compile(r"resolve host|connect|timed out|unreachable", re.IGNORECASE)
_OLDEST = 2 * 365 * 86400
"""A posting that claims to be older than this, against the default base, gets no history fetched for its date."""


@dataclass(slots=True)
class Away:
    """Servers that did not answer in this run; each is asked once."""

    why: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def server(url: str) -> str:
        return urlsplit(url).netloc or url

    def noted(self, url: str, error: CommandFailed | CommandTimeout) -> str:
        """What went wrong, one line; a server that cannot be reached is remembered, one that refuses is not."""
        if isinstance(error, CommandTimeout):
            why = f"{self.server(url)} did not respond within {error.timeout:.0f} s"
        else:
            said = (line for line in error.tail.splitlines() if line.startswith(("fatal:", "error:")))
            why = _ACCESS.sub("", next(said, str(error)))
            if not ("://" in url and _UNREACHABLE.search(why)):
                return why
        self.why[self.server(url)] = why
        return why


@dataclass(frozen=True, slots=True)
class Ref:
    """A commit that may be the base."""

    name: str
    """For people: `v7.0-rc1`, `for-next of mszeredi/fuse.git`."""
    commit: str
    why: str
    default: bool = False


def refs(
    spec: ComponentSpec, origin: Origin, repository: Path, cache: Path, date: int, away: Away
) -> Iterator[Ref | Attempt]:
    """The default ref, the same when the posting was sent, then the candidates of site and stack.

    An Attempt stands for one that cannot be had. A commit that came before is left out.
    """
    seen = {origin.default}
    yield Ref(origin.default_name, origin.default, "default of the stack", default=True)
    for found in _as_sent(origin, repository, date):
        if isinstance(found, Attempt) or found.commit not in seen:
            yield found
        if isinstance(found, Ref):
            seen.add(found.commit)
    own = [candidate for candidate in spec.candidates if candidate.source is None]
    if own and origin.source.provider != "git":
        names = ", ".join(candidate.ref or candidate.tags for candidate in own)
        kind = {"deb": "a Debian package", "dir": "a folder", "tarball": "a tarball"}[origin.source.provider]
        yield Attempt(what=f"candidates {names}", result=f"no refs: {kind}")
    for candidate in spec.candidates:
        for found in _of(candidate, spec, origin, repository, cache, date, away):
            if isinstance(found, Attempt) or found.commit not in seen:
                yield found
            if isinstance(found, Ref):
                seen.add(found.commit)


def short(source: Source) -> str:
    """`mszeredi/fuse.git`"""
    return "/".join(source.url.rstrip("/").split("/")[-2:])


def _as_sent(origin: Origin, repository: Path, date: int) -> tuple[Ref | Attempt, ...]:
    source = origin.source
    if source.provider != "git" or not date:
        return ()
    newest = date_of(repository, origin.default)
    if newest <= date:
        return ()
    what = f"{origin.default_name} as of {day(date)}"
    if newest - date > _OLDEST:
        return (Attempt(what=what, result="not searched: the posting is dated more than two years earlier"),)
    deepen(source, source.ref or "HEAD", repository, date - 14 * 86400)
    commit = git(
        repository, "rev-list", "--first-parent", "--max-count=1", f"--before={date}", origin.default
    ).output.strip()
    if not commit:
        return (Attempt(what=what, result="the local history does not go back that far"),)
    return (Ref(what, commit, "the default ref when the posting was sent"),)


def deepen(source: Source, ref: str, repository: Path, start: int) -> bool:
    """Fetch the history of a ref since `start` (seconds since the epoch), if the other side allows it; bounded."""
    if source.provider != "git" or Path(source.url).is_file():
        return False
    url = Path(source.url).resolve().as_uri() if Path(source.url).is_dir() else source.url
    try:
        done = git(
            repository,
            "fetch",
            "--quiet",
            "--no-tags",
            f"--shallow-since={max(start, 1)}",
            url,
            f"+{ref}",
            check=False,
            timeout=TRANSFER,
            env={"GIT_CONFIG_GLOBAL": str(Path.home() / ".gitconfig")},
        )
    except CommandTimeout:
        return False
    return done.status == 0


def _of(
    candidate: Candidate, spec: ComponentSpec, origin: Origin, repository: Path, cache: Path, date: int, away: Away
) -> Iterator[Ref | Attempt]:
    source = candidate.source or origin.source
    if source.provider != "git":
        if candidate.source is not None:
            yield _imported(candidate, spec, source, repository, cache)
        return
    at = f" of {short(source)}" if candidate.source else ""
    wanted = candidate.tags or candidate.ref or source.ref or "HEAD"
    try:
        if why := away.why.get(Away.server(source.url)):
            yield Attempt(what=f"{wanted}{at}", result=f"unavailable: {why}")
            return
        names = _tags(source, candidate, date) if candidate.tags else [wanted]
        if not names:
            yield Attempt(what=f"{wanted}{at}", result="it has no such tag")
        for name in names:
            listed = f"refs/tags/{name}" if candidate.tags else name
            if not candidate.tags:
                _ask(source)
            commit = fetch(source, listed, repository, timeout=TRANSFER)
            if commit is None:
                yield Attempt(what=f"{name}{at}", result="it has no such ref")
            else:
                yield Ref(f"{name}{at}", commit, candidate.why)
    except (CommandFailed, CommandTimeout) as error:
        yield Attempt(what=f"{wanted}{at}", result=f"unavailable: {away.noted(source.url, error)}")


def _ask(source: Source) -> None:
    """Raises CommandFailed or CommandTimeout when nobody answers there: fetching has a much longer limit."""
    run(["git", "-c", "safe.directory=*", "ls-remote", source.url, "HEAD"], env={"GIT_TERMINAL_PROMPT": "0"},
        timeout=ANSWER, split=True)  # fmt: skip


def _imported(
    candidate: Candidate, spec: ComponentSpec, source: Source, repository: Path, cache: Path
) -> Ref | Attempt:
    try:
        other = reach(spec.name, source, repository, cache)
    except SourceUnreachable as error:
        return Attempt(what=error.what, result=f"unavailable: {error.why}")
    return Ref(other.label, other.default, candidate.why)


def _tags(source: Source, candidate: Candidate, date: int) -> list[str]:
    """The newest tags that match; of a repository on this machine, those that were there when the posting was sent."""
    if Path(source.url).is_dir():
        said = git_in(
            Path(source.url),
            "for-each-ref",
            "--sort=-creatordate",
            "--format=%(creatordate:unix) %(refname)",
            "refs/tags",
            env=CLEAN,
        ).output
        rows = [line.partition(" ") for line in said.splitlines()]
        names = [(int(when or 0), name.removeprefix("refs/tags/")) for when, _, name in rows]
        fitting = [(when, name) for when, name in names if fnmatch.fnmatchcase(name, candidate.tags)]
        early = [name for when, name in fitting if not date or when <= date]
        return (early or [name for _, name in fitting])[: candidate.newest]
    said = run(
        ["git", "-c", "safe.directory=*", "-c", "versionsort.suffix=-rc", "ls-remote", "--refs", "--tags",
         "--sort=-version:refname", source.url, candidate.tags],
        env={"GIT_TERMINAL_PROMPT": "0"}, timeout=ANSWER, split=True,
    ).output  # fmt: skip
    listed = [line.partition("\t")[2].removeprefix("refs/tags/") for line in said.splitlines() if "\t" in line]
    return [name for name in listed if fnmatch.fnmatchcase(name, candidate.tags)][: candidate.newest]


def find_elsewhere(
    spec: ComponentSpec, origin: Origin, ref: str, repository: Path, away: Away
) -> tuple[str | None, str, tuple[Attempt, ...]]:
    """Look for a commit or ref in the candidates' repositories: commit, where it was, and where it was not."""
    tried: list[Attempt] = []
    asked = {origin.source.url}
    for candidate in spec.candidates:
        source = candidate.source
        if source is None or source.provider != "git" or source.url in asked:
            continue
        asked.add(source.url)
        try:
            if not (why := away.why.get(Away.server(source.url), "")):
                _ask(source)
                if commit := fetch(source, ref, repository, timeout=TRANSFER):
                    return commit, short(source), tuple(tried)
        except (CommandFailed, CommandTimeout) as error:
            why = away.noted(source.url, error)
        result = f"unavailable: {why}" if why else "not found there"
        tried.append(Attempt(what=f"{ref[:12]} in {short(source)}", result=result))
    return None, "", tuple(tried)
