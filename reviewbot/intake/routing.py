# SPDX-License-Identifier: GPL-2.0-or-later
"""Which component a part belongs to, or that it is for a repository outside the stack.

All paths of the part are looked at together. A path that only one project has decides. Where there are only paths that
many projects have (`src/`, `doc/`, `test/`), something else must speak for a component too: the word in the brackets,
the addresses in To: and Cc:, the prefix of the subject, or that the files exist in its tree.
"""

import functools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from reviewbot.intake.diff import preimage_blobs
from reviewbot.intake.mail import Mail
from reviewbot.intake.pull import PullRequest
from reviewbot.model.stack import ComponentSpec, Elsewhere, Source, Stack

Exists = Callable[[str, Sequence[str]], Mapping[str, bool] | None]
"""Component and paths -> which of them its tree has; None if no tree of it is at hand."""


_PREFIX = re.compile(r"([A-Za-z][\w.+-]{1,30})(?:[/,][^:\s]*)?:\s")
# Words in brackets and prefixes that name no repository.
_GENERIC = re.compile(
    r"(?:git|resend|repost|rft|wip|draft|internal|fix|fixes|doc|docs|documentation|tests?|ci|build|meson|make|lib|include|util|"
    r"treewide|next|stable|backport|cleanup|bug|bugfix|updated?|corrected|net|bpf|tip|mm|master|main|devel|fuse-devel|fuse|"
    r"\S*[-/]next|for-\S+|v?\d\S*|\S*\.y)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Routed:
    """Where a part goes and why, or why it cannot be told."""

    component: str
    """Empty if it cannot be told, or is none of the stack's."""
    why: str
    culprits: tuple[Mail, ...] = ()
    """Patches that keep it from being told."""
    outside: bool = False
    """True: it is for a repository that the stack does not have."""
    elsewhere: str = ""
    """Name of that repository, as far as it can be guessed."""


@dataclass(frozen=True, slots=True)
class Claims:
    """Components that claim a path."""

    own: frozenset[str] = frozenset()
    """By a route that only they have."""
    shared: frozenset[str] = frozenset()
    """By one that many projects have."""


@functools.cache
def _pattern(glob: str) -> re.Pattern[str]:
    """`**` crosses slashes, `*` and `?` do not; `{a,b*}` is one of several."""
    words = {"**": ".*", "*": "[^/]*", "?": "[^/]", "{": "(?:", "}": ")", ",": "|"}
    pieces = re.split(r"(\*\*|\*|\?|\[[^]]+\]|[{},])", glob)
    return re.compile("".join(words.get(p, p if p.startswith("[") else re.escape(p)) for p in pieces) + r"\Z")


def _like(text: str, patterns: Iterable[str]) -> bool:
    return any(_pattern(pattern).match(text) for pattern in patterns)


def claims_of(path: str, stack: Stack) -> Claims:
    """Who claims this path, and how."""
    found: dict[bool, set[str]] = {False: set(), True: set()}
    for component in stack.components:
        for route in component.routes:
            if _pattern(route.path).match(path):
                found[route.shared].add(component.name)
    return Claims(frozenset(found[False]), frozenset(found[True] - found[False]))


def components_of(path: str, stack: Stack) -> frozenset[str]:
    """Components that this path may belong to, as far as a path alone tells; empty if nobody claims it."""
    claims = claims_of(path, stack)
    return claims.own or claims.shared


def fits(name: str, paths: Iterable[str], stack: Stack) -> bool:
    """Whether all paths lie in what is at the top of a component's tree, as far as that is known."""
    top = next((component.top for component in stack.components if component.name == name), ())
    return not top or all(_like(path.split("/", 1)[0], top) for path in paths)


def is_generic(word: str) -> bool:
    """Whether a word in brackets or before a colon names no repository."""
    return bool(_GENERIC.fullmatch(word))


def kin_of(mail: Mail, stack: Stack) -> str:
    """The repository that a mail alone is surely for: by paths that only one has, or by its brackets; else empty."""
    sets = [claims.own for path in mail.paths if (claims := claims_of(path, stack)).own]
    common = frozenset.intersection(*sets) if sets else frozenset()
    if len(common) == 1:
        (name,) = common
        return name
    return _tagged(mail, stack) if not sets else ""


def route(
    patches: Sequence[Mail], cover: Mail | None, stack: Stack, *, exists: Exists | None = None, guess: str = ""
) -> Routed:
    """The component of a part. guess: name of its repository, where something else than its mails tells one."""
    part = _Part(tuple(patches), cover, stack, exists, guess)
    claims = [part.own(mail) for mail in patches]
    mixed = tuple(mail for mail, claim in zip(patches, claims, strict=True) if claim is not None and not claim)
    if mixed:
        names = sorted({c for mail in mixed for path in mail.paths for c in components_of(path, stack)})
        return Routed("", f"“{mixed[0].subject.text}” touches more than one component: {', '.join(names)}", mixed)
    known = [claim for claim in claims if claim is not None]
    common = frozenset.intersection(*known) if known else frozenset()
    if known and not common:
        return Routed("", "its patches belong to different components", part.patches)
    nowhere = sum(claim is None for claim in claims)
    return part.decided(_one(common), nowhere) if len(common) == 1 else part.undecided(common)


def route_pull(cover: Mail, pull: PullRequest, stack: Stack, *, exists: Exists | None = None) -> Routed:
    """By the repository that the URL names, then by the paths of the diffstat, then by the lists."""
    url = _place(pull.url)
    for component in stack.components:
        if url in {_place(source.url) for source in _sources(component)}:
            return Routed(component.name, f"its URL is a source of {component.name}")
    owner, _, name = url.rpartition("/")
    own = {component.name for component in stack.components}
    for text in (f"{owner.rpartition('/')[2]}/{name}", name):
        named = _specs_like([text], stack)
        if len(named) == 1 and named <= own:
            return Routed(_one(named), f"its URL names {text}")
    return route((replace(cover, paths=pull.paths),), cover, stack, exists=exists, guess=name)


def _place(url: str) -> str:
    """Host and path, without what differs between ways to reach the same repository."""
    parts = urlsplit(url)
    return f"{parts.netloc}{parts.path}".rstrip("/").removesuffix(".git")


def _sources(component: ComponentSpec) -> list[Source]:
    found = [component.source, component.fallback, *(candidate.source for candidate in component.candidates)]
    return [source for source in found if source is not None and "://" in source.url]


def _specs_like(words: Iterable[str], stack: Stack) -> frozenset[str]:
    """Components, and repositories elsewhere, that are called so."""
    specs: tuple[ComponentSpec | Elsewhere, ...] = (*stack.components, *stack.elsewhere)
    return frozenset(spec.name for spec in specs for word in words if _like(word, (spec.name, *spec.names)))


def _one(names: frozenset[str]) -> str:
    """Of a set of one."""
    return next(iter(names))


def _tagged(mail: Mail, stack: Stack) -> str:
    """The repository that the words in the brackets name; empty if none or several."""
    found = _specs_like(mail.subject.words, stack)
    return next(iter(found)) if len(found) == 1 else ""


def _listed(addresses: Iterable[str], specs: Iterable[ComponentSpec | Elsewhere]) -> frozenset[str]:
    wanted = set(addresses)
    return frozenset(spec.name for spec in specs if wanted & {address.lower() for address in spec.lists})


@dataclass(frozen=True, slots=True)
class _Part:
    """The mails of one part, and what they say of its repository."""

    patches: tuple[Mail, ...]
    cover: Mail | None
    stack: Stack
    exists: Exists | None
    guess: str

    @property
    def mails(self) -> tuple[Mail, ...]:
        return self.patches if self.cover is None or self.cover in self.patches else (self.cover, *self.patches)

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(path for mail in self.patches for path in mail.paths))

    def own(self, mail: Mail) -> frozenset[str] | None:
        """Components that alone have some path of a patch and may have all others; None if there is no such path."""
        claims = [claims_of(path, self.stack) for path in mail.paths]
        sets = [claim.own for claim in claims if claim.own]
        if not sets:
            return None
        strangers = [path for path, claim in zip(mail.paths, claims, strict=True) if claim.shared and not claim.own]
        common = frozenset.intersection(*sets)
        return frozenset(name for name in common if all(self._fits(name, [path]) for path in strangers))

    def _fits(self, name: str, paths: Iterable[str]) -> bool:
        """Whether all paths lie in what is at the top of the component's tree."""
        return fits(name, paths, self.stack)

    def decided(self, name: str, nowhere: int) -> Routed:
        """The component whose own paths the part touches, unless the mails themselves say that it is another's."""
        elsewhere = self._elsewhere()
        if elsewhere and (not self._fits(name, self.paths) or elsewhere in self._tags()):
            return self._outside(elsewhere)
        example = next(path for path in self.paths if name in claims_of(path, self.stack).own)
        why = f"paths, e.g. {example}"
        # A repository has files that nobody listed. One that is not its own would not apply to it.
        return Routed(name, f"{why}; {nowhere} of {len(self.patches)} touch no known paths" if nowhere else why)

    def undecided(self, common: frozenset[str]) -> Routed:
        """By what else speaks for a component, where the paths do not. common: components that alone have its paths."""
        if not common and (elsewhere := self._elsewhere()):
            return self._outside(elsewhere)
        shared = [found for mail in self.patches if (found := self._shared(mail)) is not None]
        possible = common or frozenset(
            name
            for name in (frozenset.intersection(*shared) if shared else {c.name for c in self.stack.components})
            if self._fits(name, self.paths)
        )
        possible = self._existing(possible)
        for names, why in self._evidence():
            if len(found := names & possible) == 1:
                return Routed(_one(found), why)
        if len(possible) == 1 and shared and (self._unsent or self.exists_in(_one(possible))):
            return Routed(_one(possible), f"paths, e.g. {self.paths[0]}; no other component has such paths")
        if len(possible) > 1 and (common or shared) and not self._guessed():
            return Routed("", f"its paths match more than one component: {', '.join(sorted(possible))}", self.patches)
        return self._outside(self._guessed())

    def exists_in(self, name: str) -> bool:
        """Whether the component's tree is known to have files that the part changes."""
        known = self.exists(name, self.paths) if self.exists else None
        return known is not None and any(known.values())

    def _existing(self, names: frozenset[str]) -> frozenset[str]:
        """Without components whose tree is at hand and has nothing of what the part changes."""
        old = tuple(dict.fromkeys(path for mail in self.patches for path in preimage_blobs(mail.patch.text)))
        if self.exists is None or not old:
            return names
        known = {name: self.exists(name, old) for name in names}
        return frozenset(name for name, there in known.items() if there is None or any(there.values()))

    def _shared(self, mail: Mail) -> frozenset[str] | None:
        """Components that claim all of a patch's paths that anybody claims; None if nobody claims any."""
        sets = [claims.shared for path in mail.paths if (claims := claims_of(path, self.stack)).shared]
        return frozenset.intersection(*sets) if sets else None

    def _evidence(self) -> Iterator[tuple[frozenset[str], str]]:
        """What is said of the component, the surest first."""
        yield self._tags(), "the word in the brackets; the paths are ambiguous"
        for mail in self.mails:
            yield (
                _listed(mail.recipients[: mail.to_count], self.stack.components),
                ("To: of its mails; the paths are ambiguous"),
            )
        for mail in self.mails:
            yield _listed(mail.recipients, self.stack.components), "Cc: of its mails; the paths are ambiguous"
        yield _specs_like([self._prefix()], self.stack), "the prefix of its subject; the paths are ambiguous"

    def _tags(self) -> frozenset[str]:
        return frozenset(name for mail in self.mails if (name := _tagged(mail, self.stack)))

    @property
    def _unsent(self) -> bool:
        """True: nobody was written to, so addresses could not speak for anything."""
        return not any(mail.recipients for mail in self.mails)

    def _elsewhere(self) -> str:
        """Name of a repository outside the stack, if something names one, and nothing one of ours."""
        ours = {component.name for component in self.stack.components}
        tags = self._tags()
        if tags & ours:
            return ""
        if tags:
            return min(tags)
        listed = _listed((a for mail in self.mails for a in mail.recipients), self.stack.elsewhere)
        if listed and not _listed((a for mail in self.mails for a in mail.recipients), self.stack.components):
            return min(listed)
        named = _specs_like([self.guess, self._prefix()], self.stack) - ours
        if named:
            return min(named)
        words = Counter(word for mail in self.mails for word in mail.subject.words if not is_generic(word))
        word, count = words.most_common(1)[0] if words else ("", 0)
        return word if 2 * count > len(self.mails) or (self.cover and word in self.cover.subject.words) else ""

    def _guessed(self) -> str:
        """A name for the repository that nothing surer names: its URL's, else the prefix that most subjects share."""
        prefix = self._prefix()
        places = {piece for path in self.paths for piece in re.split(r"[/.]", path)}
        return self.guess or ("" if prefix in places or is_generic(prefix) else prefix)

    def _prefix(self) -> str:
        """The `fusefatfs` of `fusefatfs: do it`: of the cover, else of most patches."""
        found = [match[1].lower() for mail in self.mails if (match := _PREFIX.match(mail.subject.title))]
        prefix, count = Counter(found).most_common(1)[0] if found else ("", 0)
        return prefix if 2 * count >= len(self.mails) else ""

    def _outside(self, name: str) -> Routed:
        what = ", ".join(self.paths[:3]) or "nothing"
        nowhere = tuple(mail for mail in self.patches if all(not components_of(p, self.stack) for p in mail.paths))
        if not name and nowhere:
            what = f"“{nowhere[0].subject.text}” touches no component: {', '.join(nowhere[0].paths[:3])}"
            return Routed("", what, nowhere, outside=True)
        return Routed("", f"it touches {what}", self.patches, outside=True, elsewhere=name)
