# SPDX-License-Identifier: GPL-2.0-or-later
"""Whom a reply may reach, and when: the operator's rules per list and author, and what always holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Literal

from pydantic import Field

from reviewbot.config import load_yaml
from reviewbot.host.paths import config_dir
from reviewbot.model.base import Model
from reviewbot.model.errors import ConfigError
from reviewbot.model.mails import addresses as named
from reviewbot.model.posting import Posting
from reviewbot.model.verdict import VerdictKind
from reviewbot.model.words import counted

_LEVELS = ("none", "findings", "all")
_TOPICAL = (VerdictKind.PASS, VerdictKind.REVIEWED)


class Rule(Model):
    """What one list or author wants. What is not said is as the defaults say."""

    to: Literal["author", "list", "all"] | None = None
    """author: nobody else; list: the list, too; all: everybody who has the mail that is answered."""
    level: Literal["all", "findings", "none"] | None = None
    """all: also a clean result, which goes to the author only; none: nothing."""
    embargo_hours: float | None = Field(default=None, ge=0)
    """A reply waits so long, for somebody to look at it."""
    mute: bool = False
    """Nothing is sent where this list or author takes part."""
    private: bool = False
    """The author only, whatever lists say."""
    cc: tuple[str, ...] = ()


class Defaults(Model):
    """What holds where no rule says otherwise."""

    to: Literal["author", "list", "all"] = "author"
    level: Literal["all", "findings", "none"] = "findings"
    embargo_hours: float = Field(default=0, ge=0)
    cc: tuple[str, ...] = ()
    per_day: int = Field(default=50, ge=0)
    """Mails within 24 hours, of all postings together."""
    posting_hours: float = Field(default=24, ge=0)
    """After a mail about a posting the next one about it waits so long."""


class Policy(Model):
    """`posting.yaml`."""

    defaults: Defaults = Defaults()
    lists: dict[str, Rule] = {}
    """By address."""
    authors: dict[str, Rule] = {}
    """By address."""

    def rules(self, answered: EmailMessage, author: str) -> dict[str, Rule]:
        """Those that concern the reply: address -> rule."""
        there = {*addresses(answered), author.lower()}
        lists = {address: rule for address, rule in self.lists.items() if address.lower() in there}
        return lists | {address: rule for address, rule in self.authors.items() if address.lower() == author.lower()}


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a reply."""

    held: str = ""
    """Why it is not sent unless somebody releases it; empty: it may go."""
    until: datetime | None = None
    """It waits so long."""
    why: str = ""
    """What it waits for."""
    cc: tuple[str, ...] = ()


def load_policy(path: Path | None = None) -> Policy:
    """The operator's file, or the defaults when there is none. path: it must exist. Raises ConfigError."""
    chosen = path or config_dir() / "posting.yaml"
    if not chosen.exists():
        if path is not None:
            raise ConfigError(str(path), 0, "", "no such file", hint="--policy names it")
        return Policy()
    return load_yaml(chosen, Policy)


def addresses(mail: EmailMessage) -> frozenset[str]:
    """Who has it, in lower case."""
    fields = [str(value) for name in ("To", "Cc") for value in mail.get_all(name, [])]
    return frozenset(address.lower() for _, address in named(*fields) if "@" in address)


def decide(
    policy: Policy,
    kind: VerdictKind,
    author: str,
    answered: EmailMessage,
    posting: Posting | None,
    sent: Mapping[str, tuple[datetime, ...]],
) -> Decision:
    """author: address. answered: the mail, or an empty one. sent: when mails went out in the last day: `all`; and when
    those about the same posting went out, or will: `posting`.
    """
    if silent := _silent(answered, posting):
        return Decision(held=silent)
    rules = policy.rules(answered, author)
    if muted := [address for address, rule in rules.items() if rule.mute]:
        return Decision(held=f"{muted[0]} is muted")
    level = min([policy.defaults.level, *(r.level for r in rules.values() if r.level)], key=_LEVELS.index)
    if level == "none" or (level == "findings" and kind in _TOPICAL):
        return Decision(held="mails are disabled" if level == "none" else "a clean result is sent at level `all` only")
    cc = () if kind in _TOPICAL else _copies(policy, rules, answered, author)
    until, why = _wait(policy, rules, sent)
    return Decision(until=until, why=why, cc=cc)


def _silent(answered: EmailMessage, posting: Posting | None) -> str:
    """Why nobody wants an answer; empty: somebody may."""
    automatic = str(answered.get("Auto-Submitted", "no")).partition(";")[0].strip().lower() != "no"
    bulk = str(answered.get("Precedence", "")).strip().lower() in ("bulk", "junk") and "List-Id" not in answered
    if automatic or bulk or "X-Reviewbot-Run" in answered:
        return "the mail it replies to is itself automatic"
    if posting and posting.parts and all(part.rfc for part in posting.parts):
        return "the posting is an RFC"
    if posting and (newer := [version for version in posting.versions if version.newer]):
        return f"there is a newer version: {newer[-1].subject}"
    return ""


def _copies(policy: Policy, rules: Mapping[str, Rule], answered: EmailMessage, author: str) -> tuple[str, ...]:
    if any(rule.private for rule in rules.values()):
        return ()
    there = addresses(answered)
    found = [*policy.defaults.cc, *(address for rule in rules.values() for address in rule.cc)]
    listed = {address.lower() for address in policy.lists}
    for address, to in (("", policy.defaults.to), *((address, rule.to) for address, rule in rules.items())):
        if to == "all":
            found += sorted(there)
        elif to == "list":
            found += [address] if address in policy.lists else sorted(there & listed)
    without = {author.lower(), *(address.lower() for address, rule in policy.lists.items() if rule.to == "author")}
    return tuple(one for one in dict.fromkeys(found) if one.lower() not in without)


def rate(policy: Policy, sent: Sequence[datetime]) -> tuple[datetime, str] | None:
    """Until when no mail may go, and why; None: one may. sent: when some went out, in the last day."""
    most, times = policy.defaults.per_day, sorted(sent)
    if len(times) < most:
        return None
    first = times[-most] if most else datetime.now(UTC)
    return first + timedelta(days=1), f"{counted(len(times), 'mail')} in 24 hours: limit reached"


def _wait(
    policy: Policy, rules: Mapping[str, Rule], sent: Mapping[str, tuple[datetime, ...]]
) -> tuple[datetime | None, str]:
    """Until when, and for what; the longest wait."""
    now, defaults = datetime.now(UTC), policy.defaults
    hours = max([defaults.embargo_hours, *(rule.embargo_hours or 0 for rule in rules.values())])
    waits = [(now + timedelta(hours=hours), f"embargo of {hours:g} h")] if hours else []
    about = sorted(sent.get("posting", ()))
    if full := rate(policy, sent.get("all", ())):
        waits.append(full)
    if about and about[-1] + timedelta(hours=defaults.posting_hours) > now:
        waits.append((about[-1] + timedelta(hours=defaults.posting_hours), "the posting already got a mail"))
    return max(waits, default=(None, ""), key=lambda wait: wait[0] or now)
