# SPDX-License-Identifier: GPL-2.0-or-later
"""One component from its source and parts to its tree."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.parser import BytesHeaderParser
from email.utils import parsedate_to_datetime
from pathlib import Path

from reviewbot.config import Network
from reviewbot.host.git import date_of, git, tree_of
from reviewbot.model.posting import Part
from reviewbot.model.progress import Event, Progress
from reviewbot.model.stack import ComponentSpec
from reviewbot.model.trees import AppliedPatch, Attempt, Tree
from reviewbot.model.words import counted
from reviewbot.trees.apply import Applied, Refusal, apply_patches, failure
from reviewbot.trees.bases import Case, Choice, choose
from reviewbot.trees.candidates import Away, Ref, refs
from reviewbot.trees.errors import DoesNotApply, UnusablePull
from reviewbot.trees.evidence import of_failure
from reviewbot.trees.fit import Has, fit
from reviewbot.trees.picks import put_on
from reviewbot.trees.pulls import Pulled, pull_part
from reviewbot.trees.queue import Queued, segments
from reviewbot.trees.safety import unsafe_commit
from reviewbot.trees.sources import Origin

_FUTURE = 4_102_444_800
"""2100: a mail that is dated later has no date."""
_OTHERS = 12
"""Bases that are looked at for the author of a patch that does not apply."""


@dataclass(frozen=True, slots=True)
class Work:
    """A component whose source was reached."""

    spec: ComponentSpec
    origin: Origin
    repository: Path
    cache: Path
    parts: tuple[Part, ...]
    mails: Mapping[str, bytes]
    away: Away
    progress: Progress
    manifest: bool = False
    """Whether it is a manifest that names the base, if anything does."""
    network: Network = field(default_factory=Network)

    @property
    def scratch(self) -> Path:
        return self.cache / "worktrees" / self.spec.name


@dataclass(slots=True)
class _State:
    """How far a tree is."""

    head: str
    patches: list[AppliedPatch] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    plain: bool = True


def make_tree(work: Work, wanted: str | None) -> Tree:
    """Choose the base, apply everything. wanted: of --base or a manifest.

    Raises WrongBase, DoesNotApply, PullGone, UnusablePull.
    """
    name = work.spec.name
    order = segments(name, work.parts, work.mails)
    pulled = {
        number: pull_part(name, part.pull, work.repository, work.origin, work.network)
        for number, part in enumerate(order)
        if isinstance(part, Part) and part.pull
    }
    first = order[0] if order else ()
    queue = first if isinstance(first, tuple) else ()
    date = _sent(work)
    case = Case(
        work.spec,
        work.origin,
        work.repository,
        work.cache,
        work.parts,
        queue,
        date,
        work.away,
        work.progress,
        work.manifest,
    )
    choice = choose(case, wanted, _pulled_base(pulled.get(0)))
    state = _State(choice.commit, attempts=list(choice.attempts))
    for number, segment in enumerate(order):
        if isinstance(segment, tuple):
            try:
                _apply(work, state, choice, segment, leading=number == 0)
            except Refusal as refusal:
                raise _explained(work, state, choice, refusal, segment, date) from None
        else:
            _pull(work, state, pulled[number])
    why = choice.why if state.plain or not work.parts else f"{choice.why}; applies with a three-way merge only"
    return Tree(
        component=name,
        repository=str(work.repository),
        source=work.origin.label,
        provider=work.origin.source.provider,
        url=work.origin.source.url,
        base_commit=choice.commit,
        base_tree=tree_of(work.repository, choice.commit),
        base_why=why,
        head_commit=state.head,
        head_tree=tree_of(work.repository, state.head),
        head_date=date_of(work.repository, state.head),
        justified=choice.justified,
        patches=tuple(state.patches),
        attempts=tuple(state.attempts),
    )


def _sent(work: Work) -> int:
    """When the parts were sent, seconds since the epoch; 0 if nobody knows."""
    found = [part.date for part in work.parts if part.date]
    for part in work.parts:
        for message_id in (part.cover, *(patch.message_id for patch in part.patches[:1])):
            if not part.date and message_id and message_id in work.mails:
                headers = BytesHeaderParser().parsebytes(work.mails[message_id][: 1 << 16])
                try:
                    found.append(int(parsedate_to_datetime(str(headers.get("date", ""))).timestamp()))
                except (ValueError, OverflowError, TypeError):
                    continue
    return max((when for when in found if 0 < when < _FUTURE), default=0)


def _pulled_base(found: Pulled | None) -> Ref | None:
    if found is None:
        return None
    return Ref(found.base_name, found.base, f"base of the pull of {found.pull.ref}: {found.base_name}")


def _apply(work: Work, state: _State, choice: Choice, entries: tuple[Queued, ...], *, leading: bool) -> None:
    found = choice.fit if leading else fit(work.repository, state.head, entries, None)
    state.attempts += [_skipped(has) for has in found.has]
    if found.crlf:
        which = counted(found.crlf, "patch")
        state.attempts.append(Attempt(what="CRLF line ends", result=f"lost in transit, restored in {which}"))
    work.progress(Event("trees", work.spec.name, "note", f"git am, {counted(len(found.kept), 'patch')}"))
    done = apply_patches(work.repository, work.spec.name, state.head, found.kept, found.probe, work.scratch)
    state.attempts += done.attempts
    state.plain = state.plain and done.plain
    state.head = done.head
    state.patches += _listed(entries, {has.entry.patch.message_id: has for has in found.has}, done)


def _listed(entries: tuple[Queued, ...], has: Mapping[str, Has], done: Applied) -> list[AppliedPatch]:
    commits = iter(done.commits)
    found = []
    for entry in entries:
        there = has.get(entry.patch.message_id)
        commit = there.commit if there else next(commits)
        found.append(
            AppliedPatch(
                message_id=entry.patch.message_id,
                subject=entry.patch.subject,
                commit=commit,
                merged=there is not None or not commit,
                prerequisite=entry.prerequisite,
            )
        )
    return found


def _skipped(has: Has) -> Attempt:
    kind = "prerequisite" if has.entry.prerequisite else "patch"
    how = f"in base as {has.commit[:12]}" if has.commit else "in base: it can be reverted there"
    return Attempt(what=f"{kind} “{has.entry.patch.subject}”", result=f"{how}, left out")


def _explained(
    work: Work, state: _State, choice: Choice, refusal: Refusal, segment: tuple[Queued, ...], date: int
) -> DoesNotApply:
    """The error with its evidence. For a base that somebody named, the candidates are looked at only now."""
    shown = f"{choice.commit[:12]} ({work.origin.label})"
    error = failure(work.spec.name, refusal, shown)
    others = choice.seen
    if not others:
        work.progress(Event("trees", work.spec.name, "note", "looking for a base that it applies to"))
        found = itertools.islice(refs(work.spec, work.origin, work.repository, work.cache, date, work.away), _OTHERS)
        others = tuple(ref for ref in found if isinstance(ref, Ref))
    hint = choice.fit.hint if refusal.entry in choice.fit.kept else ""
    evidence = of_failure(work.repository, choice.commit, choice.name, refusal.entry, error.file, hint, segment, others)
    error.commit, error.base_why = choice.commit, choice.why
    error.evidence, error.attempts = evidence, tuple(state.attempts[:24])
    return error


def _pull(work: Work, state: _State, pulled: Pulled) -> None:
    before = state.head
    state.head, commits = put_on(work.repository, work.spec.name, before, pulled, work.scratch)
    if bad := unsafe_commit(work.repository, before, state.head):
        raise UnusablePull(
            work.spec.name, pulled.pull.url, pulled.pull.ref, f"commit {bad[0][:12]} is refused: {bad[1]}"
        )
    how = "taken as it is" if state.head == pulled.tip else f"picked onto {before[:12]}"
    state.attempts.append(
        Attempt(
            what=f"pull of {pulled.pull.ref} from {pulled.pull.url}",
            result=f"{counted(len(commits), 'commit')} up to {pulled.tip[:12]}, {how}",
        )
    )
    said = (
        git(
            work.repository, "log", "--no-walk=unsorted", "--format=%H %s", "--stdin", stdin="\n".join(commits).encode()
        ).output
        if commits
        else ""
    )
    subjects = dict(line.partition(" ")[::2] for line in said.splitlines())
    state.patches += [AppliedPatch(message_id="", subject=subjects[commit], commit=commit) for commit in commits]
