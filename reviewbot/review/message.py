# SPDX-License-Identifier: GPL-2.0-or-later
"""What a commit message says of itself, checked; which rules hold where is data (`messages.yaml`).

Only text is looked at here; what `Fixes:` names is `fixes.py`.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from pydantic import Field

from reviewbot.config import load_yaml
from reviewbot.model.base import Model
from reviewbot.model.review import ReviewFinding, Severity
from reviewbot.review.commits import Commit, Person, Trailer
from reviewbot.review.text import one_line, some_lines

RULES = Path(__file__).with_name("messages.yaml")
SUBJECT = 75
"""Characters of a subject, without `[PATCH …]`."""
Level = Literal["error", "warning", "note", "off"]
Remark = tuple[str, str, str]
"""Rule, message, evidence."""
_SIGNED = "signed-off-by"
_WITH_PERSON = re.compile(r"^[a-z-]+-by$")
_STABLE = re.compile(r"^<?(stable(?:\+\w+)?@(?:vger\.)?kernel\.org)>?(.*)$")
_ARCHIVES = re.compile(r"^https?://(?:lore\.kernel\.org|lkml\.kernel\.org|patch\.msgid\.link)(/.*)?$")


class Rule(Model):
    """One rule and how bad it is to break it."""

    rule: str
    severity: Level
    components: dict[str, Level] = {}
    why: str = Field(min_length=10)

    def level(self, component: str) -> Level:
        for pattern, level in self.components.items():
            if fnmatchcase(component, pattern):
                return level
        return self.severity


class Rules(Model):
    """`messages.yaml`."""

    rules: tuple[Rule, ...]

    def level(self, rule: str, component: str) -> Level:
        found = next((entry for entry in self.rules if entry.rule == rule), None)
        return found.level(component) if found else "off"


def load_rules(path: Path = RULES) -> Rules:
    """Raises ConfigError that names file, line and key."""
    return load_yaml(path, Rules)


def check_message(commit: Commit, sender: str, component: str, rules: Rules) -> list[ReviewFinding]:
    """Remarks on the message. sender: From: of the mail, or empty."""
    return judged((remark for check in _CHECKS for remark in check(commit, sender)), component, rules)


def judged(remarks: Iterator[Remark] | Sequence[Remark], component: str, rules: Rules) -> list[ReviewFinding]:
    """Remarks with the severity that their rule has for this component."""
    return [
        ReviewFinding(
            tool="message",
            severity=Severity(level),
            message=one_line(message),
            detail=some_lines(evidence) if evidence else "",
        )
        for rule, message, evidence in remarks
        if (level := rules.level(rule, component)) != "off"
    ]


def _subject(commit: Commit, _sender: str) -> Iterator[Remark]:
    if len(commit.subject) > SUBJECT and not commit.subject.startswith('Revert "'):
        yield "subject-length", f"the subject has {len(commit.subject)} characters, more than {SUBJECT}", commit.subject
    if match := re.match(r"(fixup|squash|amend)! ", commit.subject):
        yield "subject-fixup", f"the commit is a {match[1]}! of another", commit.subject


def _body(commit: Commit, _sender: str) -> Iterator[Remark]:
    trailers = {trailer.number for trailer in commit.trailers}
    if not any(line.strip() for number, line in enumerate(commit.body) if number not in trailers):
        yield "body-missing", "the message has a subject but no text that explains the change", ""


def _signatures(commit: Commit, sender: str) -> Iterator[Remark]:
    signed = [(trailer, Person.of(trailer.value)) for trailer in commit.trailers if trailer.kind == _SIGNED]
    if not signed:
        yield "signed-off-by-missing", "there is no Signed-off-by", ""
        return
    author = commit.author
    if not any(_same(person, author) for _, person in signed):
        near = next((t for t, person in signed if _alike(person, author)), None)
        if near:
            message = f"the author is {author}, the Signed-off-by says {Person.of(near.value)}"
            yield "signed-off-by-address", message, str(near)
        else:
            yield "signed-off-by-author", f"no Signed-off-by of the author, {author}", _shown(signed)
    who = Person.of(sender)
    relayed = not sender or " via " in who.name or who.address.startswith("devnull+")
    last = signed[-1][1]
    if not relayed and not _alike(who, author) and not _alike(last, who):
        message = f"sent by {who}, but the last Signed-off-by is of {last}"
        yield "signed-off-by-sender", message, _shown(signed)


def _forms(commit: Commit, _sender: str) -> Iterator[Remark]:
    for trailer in commit.trailers:
        if not _WITH_PERSON.match(trailer.kind) or trailer.kind == "assisted-by":
            continue
        if trailer.kind != _SIGNED and re.fullmatch(r"signed?-?of+-?by|signed-of-by", trailer.kind):
            yield "signed-off-by-form", f"“{trailer.key}:” is not Signed-off-by", str(trailer)
        elif trailer.kind == _SIGNED and trailer.key != "Signed-off-by":
            yield "signed-off-by-form", f"“{trailer.key}:” should be written Signed-off-by", str(trailer)
        elif trailer.kind in (_SIGNED, "co-developed-by") and not re.search(
            r"\S\s*<[^<>@\s]+@[^<>\s]+>", trailer.value
        ):
            yield "signed-off-by-form", f"“{trailer.key}:” without a name and an address in <>", str(trailer)


def _links(commit: Commit, _sender: str) -> Iterator[Remark]:
    for trailer in commit.trailers:
        if trailer.kind not in ("link", "closes"):
            continue
        # Footnote marks and comments may follow the URL: `Link: https://… [1]`, `# v2`.
        url = re.sub(r"\s+(\[\w+\]|#.*)$", "", trailer.value)
        if not re.match(r"https?://[^/\s]+\.[^/\s]+", url):
            yield "link-form", f"{trailer.key}: is not followed by a http(s) URL", str(trailer)
        elif re.search(r"[\s<>]", url):
            yield "link-form", f"{trailer.key}: has blanks or <> in its URL", str(trailer)
        elif (match := _ARCHIVES.match(url)) and not re.search(r"/[^/]*(@|%40)[^/]*", match[1] or ""):
            yield "link-form", f"{trailer.key}: names an archive but no Message-ID", str(trailer)


def _reports(commit: Commit, _sender: str) -> Iterator[Remark]:
    trailers = commit.trailers
    for number, trailer in enumerate(trailers):
        if trailer.kind != "reported-by":
            continue
        following = next((t.kind for t in trailers[number + 1 :] if t.kind not in ("reported-by", "tested-by")), "")
        if following not in ("closes", "link"):
            yield "closes-missing", "Reported-by is not followed by a Closes: or Link: with the report", str(trailer)


def _stable(commit: Commit, _sender: str) -> Iterator[Remark]:
    for trailer in commit.trailers:
        if trailer.kind != "cc" or not re.search(r"\bstable\b[^@]*@", trailer.value):
            continue
        bare = re.sub(r"^[^<]*(<.*)$", r"\1", trailer.value)
        match = _STABLE.match(bare)
        if not match:
            yield "stable-form", "Cc: of stable, but not to stable@vger.kernel.org", str(trailer)
        elif match[2].strip() and not re.match(r"\s*#", match[2]):
            yield "stable-form", "Cc: of stable, with a comment that does not start with #", str(trailer)


def _co_developers(commit: Commit, _sender: str) -> Iterator[Remark]:
    lines = {trailer.number: trailer for trailer in commit.trailers}
    for number, trailer in lines.items():
        if trailer.kind != "co-developed-by":
            continue
        person, next_one = Person.of(trailer.value), lines.get(number + 1)
        if _same(person, commit.author):
            yield "co-developed-by", "Co-developed-by names the author", str(trailer)
        if next_one is None or next_one.kind != _SIGNED or not _same(Person.of(next_one.value), person):
            evidence = f"{trailer}\n{next_one or ''}"
            yield "co-developed-by", "Co-developed-by is not followed by that person's Signed-off-by", evidence


def _twice(commit: Commit, _sender: str) -> Iterator[Remark]:
    seen: set[tuple[str, str]] = set()
    for trailer in commit.trailers:
        if not (_WITH_PERSON.match(trailer.kind) or trailer.kind in ("cc", "fixes", "link", "closes")):
            continue
        key = (trailer.kind, " ".join(trailer.value.lower().split()))
        if key in seen:
            yield "trailer-twice", f"{trailer.key}: appears twice", str(trailer)
        seen.add(key)


def _same(one: Person, other: Person) -> bool:
    return bool(one.address) and _address(one) == _address(other)


def _alike(one: Person, other: Person) -> bool:
    """The same address, or the same name (people have several addresses)."""
    names = [" ".join(sorted(re.findall(r"\w+", person.name.lower()))) for person in (one, other)]
    return _same(one, other) or (bool(names[0]) and names[0] == names[1])


def _address(person: Person) -> str:
    """In lower case and without a `+tag`."""
    local, at, domain = person.address.lower().rpartition("@")
    return f"{local.partition('+')[0]}{at}{domain}"


def _shown(signed: Sequence[tuple[Trailer, Person]]) -> str:
    return "\n".join(str(trailer) for trailer, _ in signed)


_CHECKS: tuple[Callable[[Commit, str], Iterator[Remark]], ...] = (
    _subject, _body, _signatures, _forms, _links, _reports, _stable, _co_developers, _twice,
)  # fmt: skip
