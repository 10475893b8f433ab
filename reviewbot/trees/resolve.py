# SPDX-License-Identifier: GPL-2.0-or-later
"""Choose bases and make heads for all components."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from reviewbot.config import Network
from reviewbot.host.git import date_of, git, init_bare, remove_stale_locks, tree_of
from reviewbot.host.locks import locked
from reviewbot.model.errors import InfraError
from reviewbot.model.posting import Part, Posting
from reviewbot.model.progress import Event, Progress, silent
from reviewbot.model.stack import Candidate, ComponentSpec, Stack
from reviewbot.model.trees import Attempt, Stopped, Tree, Trees
from reviewbot.model.words import counted
from reviewbot.trees.bases import declared_base
from reviewbot.trees.candidates import Away, short
from reviewbot.trees.component import Work, make_tree
from reviewbot.trees.errors import DoesNotApply, SourceUnreachable
from reviewbot.trees.sources import Origin, describe, reach


@dataclass(frozen=True, slots=True)
class Bases:
    """How bases are chosen."""

    named: Mapping[str, str] = field(default_factory=dict)
    """Component -> ref."""
    from_manifest: Collection[str] = ()
    """Components whose base a manifest names."""
    rfc: bool = True
    """Whether RFC parts are applied."""
    network: Network = field(default_factory=Network)
    """Where a request to pull may lead."""


@dataclass(frozen=True, slots=True)
class Preview:
    """Where a component would come from, as far as can be said without fetching anything."""

    component: str
    source: str
    base: str
    why: str


def preview(posting: Posting, stack: Stack, bases: Bases) -> tuple[Preview, ...]:
    """One line per component of the stack."""
    found = []
    for spec in stack.components:
        named = "the manifest" if spec.name in bases.from_manifest else "--base"
        parts = posting.component_parts(spec.name, rfc=bases.rfc)
        base, why = _foreseen(spec, parts, bases.named.get(spec.name), named)
        found.append(Preview(spec.name, describe(spec.source), base, why))
    return tuple(found)


def _foreseen(spec: ComponentSpec, parts: tuple[Part, ...], wanted: str | None, named: str) -> tuple[str, str]:
    default = spec.source.ref or "the source as it is"
    if wanted:
        return wanted, f"named by {named}"
    if declared := declared_base(parts):
        return declared[:12], "base-commit: of the posting, if the source or a candidate has it"
    if not parts:
        return default, "default of the stack; the posting does not change it"
    if pull := parts[0].pull:
        base = pull.base[:12] if len(pull.base) == 40 else pull.base
        return base or f"where the pull branches off {default}", f"base of the pull of {pull.ref}"
    usable = [c for c in spec.candidates if c.source or spec.source.provider == "git"]
    if not usable:
        return default, "default of the stack; the posting declares no base, and there are no other candidates"
    names = ", ".join(dict.fromkeys(map(_name_of, usable)))
    return f"{default}?", f"the posting declares no base; blob ids, then a test-apply, choose among {default}, {names}"


def _name_of(candidate: Candidate) -> str:
    source = candidate.source
    if source is not None and source.provider != "git":
        return describe(source)
    name = candidate.tags or candidate.ref or (source.ref if source else "") or "HEAD"
    return f"{name} of {short(source)}" if source else name


def resolve(
    posting: Posting | None,
    mails: Mapping[str, bytes],
    stack: Stack,
    *,
    components: Collection[str],
    bases: Bases = Bases(),
    cache: Path,
    progress: Progress = silent,
) -> Trees:
    """Base and head of each named component.

    A source that cannot be had makes its component unavailable; when the posting changes it, that is an error.
    Raises SourceUnreachable, WrongBase, DoesNotApply, PullGone, UnusablePull, Blocked.
    """
    return _all(posting, mails, stack, components, bases, cache, progress, keep_going=False)


def try_bases(
    posting: Posting,
    mails: Mapping[str, bytes],
    stack: Stack,
    *,
    components: Collection[str],
    bases: Bases = Bases(),
    cache: Path,
    progress: Progress = silent,
) -> Trees:
    """As resolve, for those of the components that the posting changes; what does not apply is no error.

    Such a component's tree has head = base, no patches, `justified=False`, and says in `stopped` which patch it was.
    Raises SourceUnreachable (of a component of the posting), WrongBase, PullGone, UnusablePull, Blocked.
    """
    wanted = [name for name in components if posting.component_parts(name, rfc=bases.rfc)]
    return _all(posting, mails, stack, wanted, bases, cache, progress, keep_going=True)


def _tell_wait(progress: Progress, component: str, holder: str) -> None:
    words = f"waiting for {holder or 'another run'}"
    progress(Event("trees", component, "say", f"{component} {words}"))
    progress(Event("trees", component, "note", words))


def _all(
    posting: Posting | None,
    mails: Mapping[str, bytes],
    stack: Stack,
    components: Collection[str],
    bases: Bases,
    cache: Path,
    progress: Progress,
    *,
    keep_going: bool,
) -> Trees:
    """keep_going: a patch that does not apply is a fact about the tree, no error."""
    found: list[Tree] = []
    unavailable: dict[str, str] = {}
    away = Away()
    for spec in stack.components:
        if spec.name not in components:
            continue
        parts = posting.component_parts(spec.name, rfc=bases.rfc) if posting else ()
        progress(Event("trees", spec.name, "start", describe(spec.source)))
        try:
            with locked(
                cache / "locks" / f"repository-{spec.name}.lock",
                who=f"process {os.getpid()}, which is fetching and applying {spec.name}",
                waiting=partial(_tell_wait, progress, spec.name),
            ):
                tree = _one(spec, parts, mails, bases, cache, away, progress, keep_going=keep_going)
        except SourceUnreachable as error:
            progress(Event("trees", spec.name, "failed", str(error)))
            if parts or spec.name in bases.named:
                raise
            unavailable[spec.name] = f"could not fetch {error.what}: {error.why}"
            continue
        except InfraError:
            progress(Event("trees", spec.name, "failed"))
            raise
        done = (
            f"{counted(len(tree.patches), 'patch')} on {tree.base_commit[:12]}"
            if tree.patches
            else f"at {tree.base_commit[:12]}"
        )
        progress(Event("trees", spec.name, "done", f"{done}, {tree.source}"))
        found.append(tree)
    return Trees(trees=tuple(found), unavailable=unavailable)


def _one(
    spec: ComponentSpec,
    parts: tuple[Part, ...],
    mails: Mapping[str, bytes],
    bases: Bases,
    cache: Path,
    away: Away,
    progress: Progress,
    *,
    keep_going: bool,
) -> Tree:
    repository = init_bare(cache / "repos" / f"{spec.name}.git")
    remove_stale_locks(repository)
    origin, attempts = _reach(spec, repository, cache)
    by_manifest = spec.name in bases.from_manifest
    work = Work(spec, origin, repository, cache, parts, mails, away, progress, by_manifest, bases.network)
    try:
        tree = make_tree(work, bases.named.get(spec.name))
    except DoesNotApply as error:
        if not keep_going:
            raise
        tree = _stopped(work, error)
    head = tree.head_commit
    git(repository, "update-ref", f"refs/reviewbot/kept/{head[:24]}", head)
    return tree.model_copy(update={"attempts": (*attempts, *tree.attempts)})


def _stopped(work: Work, error: DoesNotApply) -> Tree:
    base = error.commit or work.origin.default
    tree = tree_of(work.repository, base)
    attempts, error.attempts = error.attempts, ()  # they are the tree's own
    return Tree(
        component=work.spec.name,
        repository=str(work.repository),
        source=work.origin.label,
        provider=work.origin.source.provider,
        url=work.origin.source.url,
        base_commit=base,
        base_tree=tree,
        base_why=error.base_why or "default of the stack",
        head_commit=base,
        head_tree=tree,
        justified=False,
        head_date=date_of(work.repository, base),
        attempts=(*attempts, Attempt(what="git am", result=str(error))),
        stopped=Stopped(what=str(error), message_id=error.message_id, detail=error.details),
    )


def _reach(spec: ComponentSpec, repository: Path, cache: Path) -> tuple[Origin, tuple[Attempt, ...]]:
    try:
        return reach(spec.name, spec.source, repository, cache), ()
    except SourceUnreachable as error:
        if spec.fallback is None:
            raise
        first = Attempt(what=error.what, result=f"unavailable: {error.why}")
        origin = reach(spec.name, spec.fallback, repository, cache)
        return origin, (first, Attempt(what=describe(spec.fallback), result=f"used instead: {origin.label}"))
