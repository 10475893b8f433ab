# SPDX-License-Identifier: GPL-2.0-or-later
"""NOTRUN without running: what earlier runs found, while all that the reason depends on is the same.

A patch may add just the feature that a test lacked. So each reason is kept with a digest of what it depends on
(`notruns.yaml`), code of the tested kernel and servers among it; it is used only where the digest is the same, and
every tenth use is a real run instead. One that turns out wrong is forgotten, with all others that give the same reason.

A patched stack may say anything. Until an unpatched one has said the same, its reason depends on everything: it holds
for the very same kernel, servers and machine, and for no other posting.
"""

import datetime
import functools
import hashlib
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from reviewbot.config import load_yaml
from reviewbot.model.base import Model
from reviewbot.model.results import Outcome, TestResult
from reviewbot.model.splats import Pattern
from reviewbot.store.notruns import Known, NotRun

Part = Literal["guest", "disks", "machine", "config", "kernel", "stack"]
ALWAYS = ("leg", "fstests", "ours")
"""What every reason depends on; `ours`: our programs in the guest, and how we start its machine."""
RULES = Path(__file__).with_name("notruns.yaml")
EVERY = 10
"""Of so many uses one is a real run."""
DAYS = 30
"""Days after which it is run again in any case; up to ten more, so that not all are due at once."""
KEPT = 4
"""Digests that one test of a leg is remembered for: base, head, and their like of another posting."""
LONGEST = 300
"""Characters of a reason."""


class ReasonRule(Model):
    """What some reasons depend on."""

    says: Pattern
    """Searched for in the reason."""
    depends: tuple[Part, ...] = ()
    never: bool = False
    why: str = Field(min_length=10)

    @model_validator(mode="after")
    def _one(self) -> "ReasonRule":
        if self.never and self.depends:
            raise ValueError("a reason that is never learned cannot have dependencies")
        return self


class ReasonRules(Model):
    """The file of them."""

    reasons: tuple[ReasonRule, ...]


@functools.cache
def load_rules(path: Path = RULES) -> tuple[ReasonRule, ...]:
    """Raises ConfigError that names file, line and key."""
    return load_yaml(path, ReasonRules).reasons


def digest(reason: str, parts: Mapping[str, str], *, confirmed: bool = True) -> str:
    """Of all that the reason depends on. parts: name -> key of what is under test; one that is absent is unlike any.

    confirmed: an unpatched stack said it.
    """
    rule = _rule(reason) if confirmed else None
    names = sorted({*ALWAYS, *rule.depends}) if rule else sorted(parts)
    return hashlib.sha256(repr([(name, parts.get(name, "")) for name in names]).encode()).hexdigest()[:24]


def usable(known: Known, leg: str, parts: Mapping[str, str], today: datetime.date) -> dict[str, NotRun]:
    """Test -> what is known of it, for those that need not be run now."""
    found = {}
    for test, entries in known.get(leg, {}).items():
        entry = next((e for e in entries if _holds(e, parts)), None)
        if entry and _trusted(entry) and not _due(test, entry, today):
            found[test] = entry
    return found


def said(entry: NotRun) -> str:
    """The answer of a test that is not run: the reason with its day; below it, the proof."""
    again = f", found {entry.seen} times, the last on {entry.last}" if entry.seen > 1 else ""
    return (
        f"{entry.reason} (learned {entry.learned})\nnot run again: learned on {entry.learned} in run {entry.run}{again}"
    )


def learn(
    known: Known,
    leg: str,
    results: Iterable[TestResult],
    parts: Mapping[str, str],
    run: str,
    today: datetime.date,
    *,
    confirmed: bool = True,
) -> Known:
    """What is known after the results of a leg. confirmed: nothing in its stack was patched.

    A test that did run where it should not have takes its entry with it, and all that give the same reason.
    """
    mine = {test: list(entries) for test, entries in known.get(leg, {}).items()}
    wrong: set[str] = set()
    for result in results:
        entries = mine.get(result.test, [])
        entry = next((e for e in entries if _holds(e, parts)), None)
        if result.learned:
            new = replace(entry, uses=entry.uses + 1) if entry else None
        elif result.outcome is Outcome.NOTRUN and not result.reason.startswith("excluded: "):
            new = _found(entry, result.reason, parts, run, today, confirmed)
        elif result.outcome in (Outcome.INFRA, Outcome.MISS, Outcome.NOTRUN):
            continue
        else:
            wrong |= {entry.reason} if entry else set()
            new = None
        mine[result.test] = _kept([*([new] if new else []), *(e for e in entries if e is not entry)])
    whole = {**known, leg: {test: tuple(entries) for test, entries in mine.items()}}
    return {name: _without(tests, wrong) for name, tests in whole.items()}


def _found(
    entry: NotRun | None, reason: str, parts: Mapping[str, str], run: str, today: datetime.date, confirmed: bool
) -> NotRun | None:
    """A real run said NOTRUN."""
    rule = _rule(reason)
    if (rule and rule.never) or len(reason) > LONGEST:
        return None
    if entry and entry.reason == reason and (entry.confirmed or not confirmed):
        return replace(entry, seen=entry.seen + 1, uses=entry.uses + 1, last=today)
    key = digest(reason, parts, confirmed=confirmed)
    return NotRun(reason=reason, digest=key, learned=today, last=today, run=run, confirmed=confirmed)


def _kept(entries: Sequence[NotRun]) -> list[NotRun]:
    """As many as are remembered of those that are confirmed, and of the others: these must not push out the former."""
    return [e for e in entries if e.confirmed][:KEPT] + [e for e in entries if not e.confirmed][:KEPT]


def _without(tests: Mapping[str, tuple[NotRun, ...]], wrong: set[str]) -> dict[str, tuple[NotRun, ...]]:
    left = {test: tuple(e for e in entries if e.reason not in wrong) for test, entries in tests.items()}
    return {test: entries for test, entries in left.items() if entries}


def _rule(reason: str) -> ReasonRule | None:
    return next((rule for rule in load_rules() if re.search(rule.says, reason)), None)


def _holds(entry: NotRun, parts: Mapping[str, str]) -> bool:
    return entry.digest == digest(entry.reason, parts, confirmed=entry.confirmed)


def _trusted(entry: NotRun) -> bool:
    rule = _rule(entry.reason)
    return not rule.never if rule else entry.seen > 1


def _due(test: str, entry: NotRun, today: datetime.date) -> bool:
    """Whether it is this one's turn to be really run."""
    place = zlib.crc32(test.encode())
    return (entry.uses + place) % EVERY == 0 or (today - entry.last).days > DAYS + place % EVERY
