# SPDX-License-Identifier: GPL-2.0-or-later
"""Which commit a component's parts are applied to, and why that one.

In this order: --base, `base-commit:`, the base of a pull, blob ids, a test-apply. docs/bases.md tells it to users.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reviewbot.host.git import find_commit
from reviewbot.model.posting import Part
from reviewbot.model.progress import Event, Progress
from reviewbot.model.stack import ComponentSpec, Source
from reviewbot.model.trees import Attempt
from reviewbot.model.words import counted
from reviewbot.trees.candidates import Away, Ref, deepen, find_elsewhere, refs
from reviewbot.trees.errors import WrongBase
from reviewbot.trees.fit import Fit, failure_place, fit
from reviewbot.trees.history import since
from reviewbot.trees.probe import ls_tree
from reviewbot.trees.queue import Queued, pre_images
from reviewbot.trees.sources import Origin, fetch, near_refs


@dataclass(frozen=True, slots=True)
class Case:
    """A component whose base is wanted."""

    spec: ComponentSpec
    origin: Origin
    repository: Path
    cache: Path
    parts: tuple[Part, ...]
    queue: tuple[Queued, ...]
    """Mailed patches that go on the base itself."""
    date: int
    """When the parts were sent, seconds since the epoch; 0 if nobody knows."""
    away: Away
    progress: Progress
    manifest: bool = False
    """Whether it is a manifest that names the base, if anything does."""

    def note(self, text: str) -> None:
        self.progress(Event("trees", self.spec.name, "note", text))


@dataclass(frozen=True, slots=True)
class Choice:
    """A base, and what speaks for it."""

    commit: str
    name: str
    why: str
    justified: bool
    attempts: tuple[Attempt, ...]
    fit: Fit
    seen: tuple[Ref, ...] = ()
    """Every base that was at hand, in the order of trying."""


def choose(case: Case, wanted: str | None, pulled: Ref | None) -> Choice:
    """The base. Raises WrongBase.

    wanted: of --base or a manifest; pulled: where the first part starts, when that is a pull.
    """
    if wanted:
        return _named(case, wanted)
    if pulled:
        return Choice(
            pulled.commit, pulled.name, pulled.why, True, (), fit(case.repository, pulled.commit, case.queue, None)
        )
    tried: tuple[Attempt, ...] = ()
    if declared := declared_base(case.parts):
        found, tried = _declared(case, declared)
        if found:
            return found
    if not case.queue:
        why = f"default of the stack: {case.origin.default_name}" + _not_there(tried)
        return Choice(case.origin.default, case.origin.default_name, why, True, tried, _fit(case, case.origin.default))
    return _search(case, tried)


def declared_base(parts: Sequence[Part]) -> str:
    """The first `base-commit:` of the parts, or an empty string."""
    return next((part.base_commit for part in parts if part.base_commit), "")


def _not_there(tried: Sequence[Attempt]) -> str:
    return " (the declared base-commit was not found)" if tried else ""


def _fit(case: Case, commit: str, *, name: str = "", fetching: bool = False) -> Fit:
    """With the history of the commit's ref, if it must be known which patches are merged and none is here."""
    found = fit(case.repository, commit, case.queue, case.date)
    if not fetching or (found.probe.all and all(has.commit for has in found.has)):
        return found
    source = case.origin.source
    if deepen(source, name or source.ref or "HEAD", case.repository, since(case.date)):
        return fit(case.repository, commit, case.queue, case.date)
    return found


def _named(case: Case, wanted: str) -> Choice:
    commit, where = find_base(case.origin.source, wanted, case.repository), ""
    tried: tuple[Attempt, ...] = ()
    if commit is None:
        commit, where, tried = find_elsewhere(case.spec, case.origin, wanted, case.repository, case.away)
    if commit is None:
        raise WrongBase(
            case.spec.name, wanted, case.origin.label, near_refs(case.origin.source, wanted), manifest=case.manifest
        )
    why = (f"{wanted}, named by the manifest" if case.manifest else f"--base {wanted}") + (
        f" of {where}" if where else ""
    )
    return _with_merged(case, Choice(commit, wanted, why, True, tried, _fit(case, commit, name=wanted, fetching=True)))


def find_base(source: Source, ref: str, repository: Path) -> str | None:
    """Commit that a source calls `ref`; of a source that is not git, one that an earlier run brought here."""
    if ref.startswith("-") or any(c in ref for c in ":^~ \n"):
        return None
    if source.provider == "git":
        return fetch(source, ref, repository)
    return find_commit(repository, ref) if len(ref) >= 7 else None


def _declared(case: Case, declared: str) -> tuple[Choice | None, tuple[Attempt, ...]]:
    tried: list[Attempt] = []
    others = {part.base_commit for part in case.parts if part.base_commit}
    if len(others) > 1:
        tried.append(
            Attempt(what="base-commit:", result=f"the parts declare {len(others)} bases; the first one is used")
        )
    what = f"base-commit: {declared[:12]}"
    # What a source that is not git holds has no names that a mail could know; the cache's own are not for strangers.
    named = case.origin.source.provider == "git" or re.fullmatch(r"[0-9a-f]{7,64}", declared)
    commit = find_base(case.origin.source, declared, case.repository) if named else None
    where = ""
    if commit is None:
        tried.append(Attempt(what=what, result=f"{case.origin.label} does not have it"))
        commit, where, elsewhere = find_elsewhere(case.spec, case.origin, declared, case.repository, case.away)
        tried += elsewhere
    if commit is None:
        return None, tuple(tried)
    if where:
        tried.append(Attempt(what=what, result=f"found in {where}"))
    why = f"{what} of the posting" + (f", from {where}" if where else "")
    found = _fit(case, commit, name=declared, fetching=not where)
    return _with_merged(case, Choice(commit, declared[:12], why, True, tuple(tried), found)), tuple(tried)


def _with_merged(case: Case, choice: Choice) -> Choice:
    """With a word on what the base has already."""
    if not choice.fit.has:
        return choice
    own = sum(not has.entry.prerequisite for has in choice.fit.has)
    posted = sum(not entry.prerequisite for entry in case.queue)
    if choice.fit.all_merged and choice.fit.probe.all:
        return replace(choice, why=f"{choice.why}; {_takes(choice.fit)}")
    if own:
        return replace(choice, why=f"{choice.why}; {own} of {counted(posted, 'patch')} are already in it")
    return choice


def _search(case: Case, tried: tuple[Attempt, ...]) -> Choice:
    """Blob ids over all candidates, then a test-apply over all of them, each fetched at most once."""
    suffix = _not_there(tried)
    attempts = list(tried)
    at_hand: list[Ref] = []
    coming = refs(case.spec, case.origin, case.repository, case.cache, case.date, case.away)
    images = pre_images(case.queue)

    def following() -> Ref | None:
        for found in coming:
            if isinstance(found, Ref):
                at_hand.append(found)
                case.note(f"trying {found.name}")
                return found
            attempts.append(found)
        return None

    while images and (ref := following()):
        present = ls_tree(case.repository, ref.commit, set(images))
        match = sum(path in present and present[path][2].startswith(blob) for path, blob in images.items())
        found = fit(case.repository, ref.commit, case.queue, None) if match == len(images) else None
        exact = found is not None and found.probe.all
        result = "chosen" if exact else "not this one" if match == 0 else "close, but not this one"
        if found and not exact:
            result = f"but it stops at {failure_place(found)}"
        attempts.append(Attempt(what=f"{ref.name}: {match} of {len(images)} blobs match", result=result))
        if found and exact:
            ids = f"all {len(images)} blob ids match" if len(images) > 1 else "the one blob id matches"
            why = f"{_label(ref)}; {ids}{suffix}"
            return Choice(ref.commit, ref.name, why, True, tuple(attempts), found, tuple(at_hand))
    fits: list[Fit] = []
    while len(fits) < len(at_hand) or following():
        ref = at_hand[len(fits)]
        found = fit(case.repository, ref.commit, case.queue, case.date)
        attempts.append(_test(ref, found))
        # A base that has the whole series already is where nothing of it can be tested: only if there is no other.
        if found.probe.all and not found.all_merged:
            names = [at_hand[n].name for n, other in enumerate(fits) if other.all_merged]
            suffix += f"; {names[0]} already has them" if names else ""
            return _with_merged(case, _applied(ref, found, attempts, at_hand, suffix))
        fits.append(found)
    return _best(case, fits, attempts, at_hand, suffix)


def _label(ref: Ref) -> str:
    return f"default of the stack: {ref.name}" if ref.default else f"{ref.name} ({ref.why})"


def _takes(found: Fit) -> str:
    """Of a fit that takes everything."""
    count, own = len(found.kept), sum(not has.entry.prerequisite for has in found.has)
    if found.all_merged:
        return f"all {counted(own, 'patch')} are already in it" if own > 1 else "the patch is already in it"
    if own:
        return f"{counted(own, 'patch')} already in it, the other {count} apply"
    return "the patch applies" if count == 1 else f"all {count} patches apply"


def _applied(ref: Ref, found: Fit, attempts: list[Attempt], at_hand: list[Ref], suffix: str) -> Choice:
    alone = ref.default and len(at_hand) == 1
    why = f"{_label(ref)}; {_takes(found)}" if not found.has else _label(ref)
    why += ", no other evidence for this base" if alone and not found.has else ""
    return Choice(ref.commit, ref.name, why + suffix, True, tuple(attempts), found, tuple(at_hand))


def _test(ref: Ref, found: Fit) -> Attempt:
    what = f"{ref.name}: test-apply"
    if found.probe.all:
        return Attempt(what=what, result=_takes(found) + ("" if found.all_merged else "; chosen"))
    return Attempt(what=what, result=f"stopped at {failure_place(found)}")


def _best(case: Case, fits: list[Fit], attempts: list[Attempt], at_hand: list[Ref], suffix: str) -> Choice:
    """No candidate takes all: look whether the default has some of them, else take the one that gets farthest."""
    whole = next((n for n, found in enumerate(fits) if found.all_merged), None)
    if whole is None:
        again = _fit(case, case.origin.default, fetching=True)
        if again.searched.commits:
            count = len(again.searched.found)
            said = f"{counted(count, 'patch')} found" if count else "none of the patches"
            behind = f"patch-ids behind {at_hand[0].name}"
            attempts.append(Attempt(what=behind, result=f"{said} in {again.searched.reach}"))
        fits[0] = again
        whole = 0 if again.probe.all else None
    if whole is not None:
        return _with_merged(case, _applied(at_hand[whole], fits[whole], attempts, at_hand, suffix))
    farthest = max(range(len(fits)), key=lambda n: (fits[n].probe.applied + len(fits[n].has), -n))
    ref, found = at_hand[farthest], fits[farthest]
    why = (
        f"{_label(ref)}; no base takes all patches, this one takes {found.probe.applied} of {found.probe.total}{suffix}"
    )
    return Choice(ref.commit, ref.name, why, False, tuple(attempts), found, tuple(at_hand))
