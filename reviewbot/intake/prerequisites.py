# SPDX-License-Identifier: GPL-2.0-or-later
"""What a series says it stands on: found in the archive, verified by patch-id, put in the order of application.

Declared order counts; what a prerequisite itself stands on comes before it; nothing comes twice. Whatever cannot be
found is named and blocks: a series tested without what it stands on is the wrong series.
"""

import contextlib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from reviewbot.intake.archive import Archive
from reviewbot.intake.errors import ArchiveUnreachable, NoPatches, UnknownMessageId
from reviewbot.intake.join import join
from reviewbot.intake.mail import Mail, parse_mail
from reviewbot.intake.patches import identify, patch_of
from reviewbot.intake.routing import components_of
from reviewbot.intake.split import Intake, pieces
from reviewbot.intake.versions import combined, day, part_head
from reviewbot.model.posting import Declared, Part, Patch, Prerequisite, Problem
from reviewbot.model.stack import Stack
from reviewbot.model.words import counted

MAX_PATCHES = 100
MAX_BYTES = 5 << 20
"""Of all prerequisites of a posting, as mails."""
MAX_DEPTH = 5
MAX_THREADS = 20
"""Threads that are fetched for one posting."""

_PATCH_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_CHANGE_ID = re.compile(r"([\w.+@-]+?)(?::\s*v?(\d+))?")
_NESTED = re.compile(r"needed by <([^>]*)>: ")
_PATCHWORK = re.compile(r"(patch|series)[-/](\d+)", re.IGNORECASE)

Status = Literal["found", "missing", "loop", "limit"]


class _Unusable(Exception):
    """Why a declared prerequisite cannot be applied. foreign: it exists, and is for another component."""

    def __init__(self, status: Status, why: str, *, foreign: bool = False) -> None:
        super().__init__(why)
        self.status: Status = status
        self.why, self.foreign = why, foreign


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the search we are."""

    component: str
    position: int
    """Of the part in the posting."""
    path: tuple[str, ...] = ()
    """Message-IDs of the heads and patches that want it, outermost first; empty: the posting itself."""


def resolve_prerequisites(
    found: Intake,
    archive: Archive | None,
    stack: Stack,
    *,
    named_bases: Collection[str] = (),
    rfc: bool = True,
    fresh: bool = False,
) -> Intake:
    """Fills `prerequisites` of the parts and adds their mails; what is not found becomes a Problem.

    archive: None: only the mails at hand are searched. named_bases: components whose base the user chose; it is taken
    to hold what they stand on, so that a missing one is but a note. rfc: whether RFC parts are applied; otherwise
    theirs are left alone.
    """
    if not any(part.prerequisites for part in found.posting.parts):
        return found
    wanted = {position: part for position, part in enumerate(found.posting.parts) if rfc or not part.rfc}
    search = _Search(found, wanted, archive, stack, fresh)
    search.prefetch([entry.declared for part in wanted.values() for entry in part.prerequisites])
    parts: list[Part] = []
    problems: list[Problem] = []
    for position, part in enumerate(found.posting.parts):
        if position not in wanted or not part.prerequisites:
            parts.append(part)
            continue
        place = _Place(part.component, position)
        entries = [entry for old in part.prerequisites for entry in search.resolve(old.declared, place)]
        parts.append(part.model_copy(update={"prerequisites": tuple(entries)}))
        given = part.component in named_bases
        problems += [_problem(part, entry, search.foreign, given) for entry in entries if entry.status != "found"]
    posting = found.posting.model_copy(update={"parts": tuple(parts), "problems": (*found.posting.problems, *problems)})
    return replace(found, posting=posting, mails={**found.mails, **search.mails})


def _problem(part: Part, entry: Prerequisite, foreign: Collection[Declared], given: bool) -> Problem:
    said_by = f"“{part.subject}”"
    why = entry.why
    if nested := _NESTED.match(why):
        said_by, why = f"{said_by} depends on <{nested[1]}>, which", why[nested.end() :]
    name = f"{said_by} says “{entry.declared.trailer}: {entry.declared.value}”"
    kinds = {"loop": "prerequisite-loop", "limit": "prerequisite-limit"}
    kind = "prerequisite-component" if entry.declared in foreign else kinds.get(entry.status, "missing-prerequisite")
    said = "" if not given else f"; the base given for {part.component} is assumed to contain it"
    return Problem(kind=kind, message=f"{name}: {why}{said}", blocking=not given, message_ids=(part_head(part),))


class _Search:
    """One resolution: what was found, what is in the trees already, how much is left of the limits."""

    def __init__(
        self, found: Intake, wanted: Mapping[int, Part], archive: Archive | None, stack: Stack, fresh: bool
    ) -> None:
        self.archive, self.stack, self.fresh = archive, stack, fresh
        self.mails: dict[str, bytes] = {}
        self.foreign: set[Declared] = set()
        self._bytes = 0
        self._threads: dict[str, Intake] = {}
        self._candidates: dict[str, dict[str, Mail]] = {}
        """patch-id -> mails that hold the patch."""
        self._applied: dict[tuple[str, str], str] = {}
        """(component, patch-id) -> for what it was applied."""
        self._own: dict[str, list[tuple[int, Part]]] = {}
        """patch-id or Message-ID of what is applied of the posting -> the parts it is in."""
        for position, part in wanted.items():
            for key in (part_head(part), *(k for p in part.patches for k in (p.message_id, p.patch_id))):
                self._own.setdefault(key, []).append((position, part))
        self._own.pop("", None)
        self._top = found.posting.top
        self._offer([mail for raw in found.mails.values() if (mail := parse_mail(raw)) is not None])

    def prefetch(self, declared: list[Declared]) -> None:
        """All patch-ids at once: some forty in one question."""
        wanted = [d.value for d in declared if d.kind == "patch-id" and _PATCH_ID.fullmatch(d.value)]
        with contextlib.suppress(_Unusable):  # will be said of each one that is looked up again
            self._look_up([value for value in dict.fromkeys(wanted) if value not in self._own])

    def resolve(self, declared: Declared, place: _Place) -> Iterator[Prerequisite]:
        """What it stands on itself, then it."""
        wanted_by = f"needed by <{place.path[-1]}>: " if place.path else ""
        try:
            if declared.kind == "patch-id":
                series, why = self._by_patch_id(declared, place)
            elif declared.kind == "change-id":
                series, why = self._by_change_id(declared, place)
            else:
                series, why = self._by_message_id(declared.value, place)
            patches: list[Patch] = []
            for head, deeper, several in series:
                below_it = replace(place, path=(*place.path, head))
                for entry in deeper:
                    yield from self.resolve(entry, below_it)
                patches += self._take(several, place, head)
        except _Unusable as error:
            if error.foreign:
                self.foreign.add(declared)
            yield Prerequisite(declared=declared, status=error.status, why=wanted_by + error.why)
            return
        if series and not patches:
            why += "; applied already"
        yield Prerequisite(declared=declared, status="found", why=wanted_by + why, patches=tuple(patches))

    def _take(self, several: tuple[Mail, ...], place: _Place, head: str) -> list[Patch]:
        """Those that are not in the tree yet, within the limits."""
        ids = identify(several)
        if empty := next((mail for mail in several if not ids[mail.id]), None):
            raise _Unusable("missing", f"git finds no patch in <{empty.id}>")
        new = [mail for mail in several if (place.component, ids[mail.id]) not in self._applied]
        self._bytes += sum(len(mail.raw) for mail in new)
        if len(self._applied) + len(new) > MAX_PATCHES or self._bytes > MAX_BYTES:
            raise _Unusable("limit", f"more than {MAX_PATCHES} patches or {MAX_BYTES >> 20} MiB of prerequisites")
        for mail in new:
            self._applied[place.component, ids[mail.id]] = head
            self.mails[mail.id] = mail.raw
        return [patch_of(mail, ids[mail.id]) for mail in new]

    def _is_own(self, key: str, place: _Place) -> str:
        """In words, if the posting itself brings it below this part; empty if it is none of the posting's own."""
        homes = [(position, part) for position, part in self._own.get(key, ()) if part.component == place.component]
        if not homes:
            return ""
        position, part = homes[0]
        name = f"“{part.subject}”"
        if position < place.position or (position == place.position and not place.path):
            return f"part of this posting, in {name}"
        if place.path:
            raise _Unusable("loop", f"it is in {name} of this posting, which needs <{place.path[-1]}>")
        raise _Unusable("loop", f"it is in {name} of this posting, which comes after this part")

    def _enter(self, head: str, place: _Place) -> None:
        if head in place.path:
            circle = " → ".join(f"<{key}>" for key in (*place.path[place.path.index(head) :], head))
            raise _Unusable("loop", f"prerequisites in a circle: {circle}")
        if len(place.path) >= MAX_DEPTH:
            raise _Unusable("limit", f"prerequisites of prerequisites, more than {MAX_DEPTH} deep")

    def _by_patch_id(self, declared: Declared, place: _Place) -> tuple["_Found", str]:
        value = declared.value
        if not _PATCH_ID.fullmatch(value):
            raise _Unusable("missing", "that is not a patch-id")
        if own := self._is_own(value, place):
            return (), own
        if (place.component, value) in self._applied:
            return (), f"already applied with <{self._applied[place.component, value]}>"
        if value not in self._candidates:
            self._look_up([value])
        candidates = list(self._candidates.get(value, {}).values())
        if not candidates:
            raise _Unusable("missing", self._nowhere("no mail contains this patch"))
        fitting = [mail for mail in candidates if self._fits(mail, place.component)]
        if not fitting:
            other = candidates[0]
            raise _Unusable("missing", f"“{other.subject.text}” <{other.id}> {self._elsewhere(other)}", foreign=True)
        mail = max(fitting, key=lambda m: (m.date, m.id))
        self._enter(mail.id, place)
        why = f"“{mail.subject.text}” <{mail.id}>, verified"
        return ((mail.id, mail.trailers.declared, (mail,)),), why

    def _by_change_id(self, declared: Declared, place: _Place) -> tuple["_Found", str]:
        match = _CHANGE_ID.fullmatch(declared.value)
        if match is None:
            raise _Unusable("missing", "that is not a change-id")
        name, version = match[1], int(match[2]) if match[2] else None
        heads = [mail for mail in self._search([f'nq:"change-id: {name}"']) if mail.trailers.change_id == name]
        heads = [m for m in heads if m.is_cover or (m.is_patch and m.subject.number in (None, 1))]
        if not heads:
            raise _Unusable("missing", self._nowhere("no series has this change-id"))
        fitting = [mail for mail in heads if version in (None, mail.subject.version)]
        if not fitting:
            have = ", ".join(f"v{number}" for number in sorted({mail.subject.version for mail in heads}))
            raise _Unusable("missing", f"the archive has no v{version} of it, but {have}")
        newest = max(fitting, key=lambda mail: (mail.date, mail.is_cover))
        series, why = self._by_message_id(newest.id, place)
        return series, f"v{newest.subject.version} of {day(newest.date)}, {why}"

    def _by_message_id(self, value: str, place: _Place) -> tuple["_Found", str]:
        if work := _PATCHWORK.fullmatch(value):
            raise _Unusable(
                "missing",
                f"a number of Patchwork ({work[1].lower()} {work[2]}) does not name mails; a Message-ID would",
            )
        if "@" not in value or " " in value:
            raise _Unusable("missing", "that names no mail")
        if value == self._top and value not in self._own:
            raise _Unusable("loop", "that is this posting itself")
        if own := self._is_own(value, place):
            return (), own
        self._enter(value, place)
        thread = self._thread(value)
        heads = {part_head(part): part for part in thread.posting.parts}
        mail = parse_mail(thread.mails.get(value, b""))
        if mail is None or mail.subject.is_reply:
            raise _Unusable("missing", "that mail is neither a cover nor a patch")
        if mail.is_patch and value not in heads:
            return self._single(mail, place)
        return self._parts(value, (heads[value],) if value in heads else thread.posting.parts, thread, place)

    def _single(self, mail: Mail, place: _Place) -> tuple["_Found", str]:
        if not self._fits(mail, place.component):
            raise _Unusable("missing", f"“{mail.subject.text}” {self._elsewhere(mail)}", foreign=True)
        return ((mail.id, mail.trailers.declared, (mail,)),), f"“{mail.subject.text}”, this patch alone"

    def _parts(self, value: str, wanted: tuple[Part, ...], thread: Intake, place: _Place) -> tuple["_Found", str]:
        ours = [part for part in wanted if part.component in (place.component, "unknown")]
        if not ours:
            others = ", ".join(dict.fromkeys(part.component for part in wanted))
            raise _Unusable("missing", f"it is for {others}, this part is for {place.component}", foreign=True)
        alone = value in (part_head(part) for part in ours)
        for problem in thread.posting.problems:
            # Paths that no component claims are taken for this one's: the series says that it belongs below.
            # A part that was named by itself need not have the neighbours that its counter (2/6) promises.
            if problem.blocking and problem.kind not in (
                ("no-component", "missing-part") if alone else ("no-component",)
            ):
                raise _Unusable("missing", f"it is not complete: {problem.message}")
        if any(part.pull for part in ours):
            raise _Unusable("missing", "it is a pull request; only mailed patches can be applied as prerequisites")
        series: list[tuple[str, tuple[Declared, ...], tuple[Mail, ...]]] = []
        for part in ours:
            mails = [parse_mail(thread.mails[patch.message_id]) for patch in part.patches]
            deeper = tuple(entry.declared for entry in part.prerequisites)
            series.append((part_head(part), deeper, tuple(mail for mail in mails if mail is not None)))
        count = sum(len(patches) for _, _, patches in series)
        return tuple(series), f"“{ours[0].subject}” <{value}>, {counted(count, 'patch')}"

    def _thread(self, value: str) -> Intake:
        """The parts that this mail names: of a patch its own one, of a cover all below it."""
        if value in self._threads:
            return self._threads[value]
        if self.archive is None:
            raise _Unusable("missing", self._nowhere("it is not among the available mails"))
        if len(self._threads) >= MAX_THREADS:
            raise _Unusable("limit", f"more than {MAX_THREADS} threads with prerequisites")
        try:
            bag = self.archive.thread(value, fresh=self.fresh)
            thread = join(pieces(bag, (value,), self.stack, part_only=True), self.stack)
        except (UnknownMessageId, NoPatches) as error:
            raise _Unusable("missing", str(error)) from error
        except ArchiveUnreachable as error:
            raise _Unusable("missing", f"could not be looked up: {error}") from error
        self._threads[value] = thread
        return thread

    def _look_up(self, patch_ids: list[str]) -> None:
        self._offer(self._search([f"patchid:{value}" for value in patch_ids if value not in self._candidates]))
        for value in patch_ids:
            self._candidates.setdefault(value, {})

    def _offer(self, mails: list[Mail]) -> None:
        """Candidates count under the patch-id that git computes, whatever the archive's index says."""
        patches = [mail for mail in mails if mail.is_patch]
        ids = identify(patches)
        for mail in patches:
            self._candidates.setdefault(ids[mail.id], {})[mail.id] = mail

    def _search(self, terms: list[str]) -> list[Mail]:
        if self.archive is None:
            return []
        mails: dict[str, Mail] = {}
        for query in combined(terms):
            try:
                bag = self.archive.search(query, fresh=self.fresh)
            except ArchiveUnreachable as error:
                raise _Unusable("missing", f"could not be looked up: {error}") from error
            mails |= {mail.id: mail for mail in map(parse_mail, bag.mails) if mail is not None}
        return list(mails.values())

    def _nowhere(self, what: str) -> str:
        return f"{what} in {self.archive.url}" if self.archive else f"{what}; no archive was searched"

    def _fits(self, mail: Mail, component: str) -> bool:
        """Whether no path is another component's alone."""
        return all(not (claims := components_of(path, self.stack)) or component in claims for path in mail.paths)

    def _elsewhere(self, mail: Mail) -> str:
        names = dict.fromkeys(name for path in mail.paths for name in sorted(components_of(path, self.stack)))
        return f"is for {', '.join(names)}"


_Found = tuple[tuple[str, tuple[Declared, ...], tuple[Mail, ...]], ...]
"""Series to apply: Message-ID of the head, what it stands on, its patches."""
