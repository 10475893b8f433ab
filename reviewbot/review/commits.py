# SPDX-License-Identifier: GPL-2.0-or-later
"""The commits under review, as git has them."""

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path

from reviewbot.host.git import git
from reviewbot.host.objects import objects
from reviewbot.model.errors import InfraError
from reviewbot.model.posting import Posting
from reviewbot.model.trees import AppliedPatch, Tree

_LONGEST = 256 << 10
"""Bytes that are read of a message."""
_LINES, _WIDEST = 5000, 500
"""Lines of a body that are looked at, and characters of a trailer's value."""
_PERSON = re.compile(rb"^(.*?) ?<(.*)> \d+ [+-]\d{4}$")
_TRAILER = re.compile(r"^([A-Za-z][A-Za-z0-9-]*)\s*:\s*(.*)$")


@dataclass(frozen=True, slots=True)
class Person:
    """A name and an address, either possibly empty."""

    name: str
    address: str

    @classmethod
    def of(cls, text: str) -> "Person":
        """`Name <address>`; a name without quotes may hold commas and colons."""
        text = text.strip()[:_WIDEST]
        match = re.match(r"^(.*?)\s*<([^<>]*)>", text)
        if match:
            return cls(match[1].strip('"'), match[2].strip())
        return cls(*parseaddr(text)) if "," not in text else cls("", text.strip())

    def __str__(self) -> str:
        return f"{self.name} <{self.address}>".strip()


@dataclass(frozen=True, slots=True)
class Trailer:
    """A line `Key: value` of a commit message."""

    key: str
    """As written."""
    value: str
    number: int
    """Index of the line in the message, from 0."""

    @property
    def kind(self) -> str:
        return self.key.lower()

    def __str__(self) -> str:
        return f"{self.key}: {self.value}"


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit's message and author, decoded."""

    id: str
    author: Person
    message: str
    parents: int = 1

    @property
    def subject(self) -> str:
        """First paragraph as one line, as git shows it."""
        return " ".join(self.message.strip("\n").split("\n\n", 1)[0].split())

    @property
    def body(self) -> tuple[str, ...]:
        """Lines below the first paragraph."""
        parts = self.message.strip("\n").split("\n\n", 1)
        return tuple(parts[1].split("\n")) if len(parts) > 1 else ()

    @property
    def trailers(self) -> tuple[Trailer, ...]:
        """All lines of the body that look like trailers, wherever they stand; the caller knows the keys it wants."""
        return tuple(
            Trailer(match[1], match[2].strip()[:_WIDEST], number)
            for number, line in enumerate(self.body[:_LINES])
            if (match := _TRAILER.match(line))
        )


@dataclass(frozen=True, slots=True)
class Item:
    """One patch under review: the commit, the patch that it came from, and its place in the posting."""

    tree: Tree
    commit: Commit
    message_id: str
    subject: str
    sender: str
    """From: of the mail; empty if the patch did not come by mail."""
    part: str
    number: int
    total: int


def parse_commit(name: str, raw: bytes) -> Commit:
    """A commit object; whatever its bytes are, this gives some text."""
    head, _, body = raw.partition(b"\n\n")
    headers = dict(line.partition(b" ")[::2] for line in reversed(head.split(b"\n")) if not line.startswith(b" "))
    charset = headers.get(b"encoding", b"utf-8").decode("ascii", "replace").strip() or "utf-8"

    def decoded(data: bytes) -> str:
        for attempt in (charset, "utf-8"):
            try:
                return data.decode(attempt)
            except (LookupError, ValueError):
                continue
        return data.decode("latin-1")

    match = _PERSON.match(headers.get(b"author", b""))
    author = Person(decoded(match[1]), decoded(match[2])) if match else Person("", "")
    return Commit(
        name,
        author,
        decoded(body[:_LONGEST].replace(b"\r\n", b"\n").replace(b"\0", b"?")),
        sum(line.startswith(b"parent ") for line in head.split(b"\n")),
    )


def read_commits(repository: Path, names: Sequence[str]) -> dict[str, Commit]:
    """Commits by their full ids. Raises InfraError when one is not there."""
    found: dict[str, Commit] = {}
    with objects(repository) as there:
        for name in names:
            kind, raw = there.read(name) or ("", b"")
            if kind != "commit":
                raise InfraError(f"commit {name} is not in {repository}")
            found[name] = parse_commit(name, raw)
    return found


def git_bytes(repository: Path, *arguments: str, scratch: Path) -> bytes:
    """What git prints, undecoded. Raises CommandFailed."""
    with tempfile.NamedTemporaryFile(dir=scratch, prefix="git-") as file:
        git(repository, *arguments, stdout=Path(file.name))
        return Path(file.name).read_bytes()


def patches_under_review(posting: Posting, tree: Tree) -> tuple[Item, ...]:
    """The posting's own patches of one tree in order; neither prerequisites nor what base has already."""
    applied = [patch for patch in tree.patches if not (patch.merged or patch.prerequisite)]
    commits = read_commits(Path(tree.repository), [patch.commit for patch in applied])
    places = {
        patch.message_id: (part.counter, patch.number, max(len(part.patches), patch.number), patch.author)
        for part in posting.component_parts(tree.component)
        for patch in part.patches
    }
    pulled = [patch for patch in applied if patch.message_id not in places]
    counter = next((part.counter for part in posting.component_parts(tree.component) if part.pull), "1/1")

    def item(patch: AppliedPatch) -> Item:
        if patch.message_id in places:
            part, number, total, sender = places[patch.message_id]
        else:
            part, number, total, sender = counter, pulled.index(patch) + 1, len(pulled), ""
        commit = commits[patch.commit]
        return Item(tree, commit, patch.message_id, patch.subject or commit.subject, sender, part, number, total)

    return tuple(item(patch) for patch in applied)
