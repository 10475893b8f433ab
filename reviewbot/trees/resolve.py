# SPDX-License-Identifier: GPL-2.0-or-later
"""Choose bases and make heads for all components."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from reviewbot.host.git import find_commit, git, init_bare, tree_of
from reviewbot.host.locks import locked
from reviewbot.model.errors import InfraError
from reviewbot.model.posting import Part, Posting
from reviewbot.model.progress import Event, Progress, silent
from reviewbot.model.stack import ComponentSpec, Source, Stack
from reviewbot.model.trees import Attempt, Tree, Trees
from reviewbot.model.words import counted
from reviewbot.trees.apply import apply_parts
from reviewbot.trees.errors import SourceUnreachable, WrongBase
from reviewbot.trees.sources import Origin, describe, fetch, near_refs, reach


@dataclass(frozen=True, slots=True)
class Preview:
    """Where a component would come from, as far as can be said without fetching anything."""

    component: str
    source: str
    base: str
    why: str


def preview(
    posting: Posting, stack: Stack, bases: Mapping[str, str], *, rfc: bool = True
) -> tuple[Preview, ...]:  # fmt: skip
    """One line per component of the stack."""
    found = []
    for spec in stack.components:
        declared = _declared(posting.component_parts(spec.name, rfc=rfc))
        if spec.name in bases:
            base, why = bases[spec.name], "named by --base"
        elif declared:
            base, why = declared[:12], "base-commit: of the posting, if the source has it"
        else:
            base, why = spec.source.ref or "what it holds", "default of the stack; the posting declares no base"
        found.append(Preview(spec.name, describe(spec.source), base, why))
    return tuple(found)


def resolve(
    posting: Posting | None, mails: Mapping[str, bytes], stack: Stack, *, components: Collection[str],
    bases: Mapping[str, str], cache: Path, rfc: bool = True, progress: Progress = silent,
) -> Trees:  # fmt: skip
    """Base and head of each named component.

    A source that cannot be had makes its component unavailable; when the posting changes it, that is an error.
    Raises SourceUnreachable, WrongBase, DoesNotApply.
    """
    found: list[Tree] = []
    unavailable: dict[str, str] = {}
    for spec in stack.components:
        if spec.name not in components:
            continue
        parts = posting.component_parts(spec.name, rfc=rfc) if posting else ()
        progress(Event("trees", spec.name, "start", describe(spec.source)))
        try:
            with locked(cache / "locks" / f"repository-{spec.name}.lock"):
                tree = _resolve_one(spec, parts, mails, bases.get(spec.name), cache, progress)
        except SourceUnreachable as error:
            progress(Event("trees", spec.name, "failed", str(error)))
            if parts or spec.name in bases:
                raise
            unavailable[spec.name] = f"{error.what} cannot be had: {error.why}"
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


def _resolve_one(
    spec: ComponentSpec, parts: tuple[Part, ...], mails: Mapping[str, bytes], wanted: str | None, cache: Path,
    progress: Progress,
) -> Tree:  # fmt: skip
    repository = init_bare(cache / "repos" / f"{spec.name}.git")
    origin, attempts = _reach(spec, repository, cache)
    base, why, tried = _base(spec, origin, parts, wanted, repository)
    if parts:
        progress(Event("trees", spec.name, "note", f"git am, {counted(sum(len(p.patches) for p in parts), 'patch')}"))
    head, patches, applied = apply_parts(
        repository, base, f"{base[:12]} ({origin.label})", parts, mails, cache / "worktrees" / spec.name
    )
    git(repository, "update-ref", f"refs/reviewbot/kept/{head[:24]}", head)
    return Tree(
        component=spec.name, repository=str(repository), source=origin.label, base_commit=base,
        base_tree=tree_of(repository, base), base_why=why, head_commit=head, head_tree=tree_of(repository, head),
        head_date=int(git(repository, "show", "-s", "--format=%ct", head).output),
        patches=patches, attempts=(*attempts, *tried, *applied),
    )  # fmt: skip


def _reach(spec: ComponentSpec, repository: Path, cache: Path) -> tuple[Origin, tuple[Attempt, ...]]:
    try:
        return reach(spec.name, spec.source, repository, cache), ()
    except SourceUnreachable as error:
        if spec.fallback is None:
            raise
        first = Attempt(what=error.what, result=f"cannot be had: {error.why}")
        origin = reach(spec.name, spec.fallback, repository, cache)
        return origin, (first, Attempt(what=describe(spec.fallback), result=f"taken instead: {origin.label}"))


def _declared(parts: tuple[Part, ...]) -> str:
    return next((part.base_commit for part in parts if part.base_commit), "")


def _base(
    spec: ComponentSpec, origin: Origin, parts: tuple[Part, ...], wanted: str | None, repository: Path
) -> tuple[str, str, tuple[Attempt, ...]]:
    """Commit, why, and what was tried: --base, else base-commit:, else the default ref."""
    if wanted:
        commit = _find(origin.source, wanted, repository)
        if commit is None:
            raise WrongBase(spec.name, wanted, origin.label, near_refs(origin.source, wanted))
        return commit, f"--base {wanted}", ()
    tried: list[Attempt] = []
    others = {part.base_commit for part in parts if part.base_commit}
    if declared := _declared(parts):
        if len(others) > 1:
            tried.append(
                Attempt(what="base-commit:", result=f"the parts declare {len(others)} bases; the first counts")
            )
        commit = _find(origin.source, declared, repository)
        if commit is not None:
            return commit, f"base-commit: {declared[:12]} of the posting", tuple(tried)
        tried.append(Attempt(what=f"base-commit: {declared[:12]}", result=f"{origin.label} does not have it"))
    default = f"default of the stack: {origin.default_name}"
    return (
        origin.default,
        default if not tried else f"{default} (the declared base-commit is not there)",
        tuple(tried),
    )


def _find(source: Source, ref: str, repository: Path) -> str | None:
    if ref.startswith("-"):
        return None
    if source.provider == "git":
        return fetch(source, ref, repository)
    return find_commit(repository, ref) if len(ref) >= 7 else None
