# SPDX-License-Identifier: GPL-2.0-or-later
"""A patch as `git apply -p1` reads it: which lines count, which files they touch, and where git would give up.

The grammar is that of git's apply.c; tests hold it against git itself.
"""

import base64
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from reviewbot.intake.gitnames import NULL, both_sides, git_name, plain_name

HUNK = re.compile(r"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@")
_STAT = re.compile(
    r"^ (\d{1,9}) files? changed(?:, (\d{1,9}) insertions?\(\+\))?(?:, (\d{1,9}) deletions?\(-\))?\s*$", re.MULTILINE
)
_INDEX = re.compile(r"([0-9a-f]+)\.\.([0-9a-f]+)(?: [0-7]+)?\s*$")
_LITERAL = re.compile(r"(literal|delta) (\d{1,10})$")
_MORE = re.compile(r"\+(?!\+\+ )|-(?!-)| \S")
_EMPTY_BLOB = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
MAX_BINARY = 64 << 20
"""Bytes that one binary patch may unpack to."""


@dataclass(frozen=True, slots=True)
class PatchText:
    """What git takes of a mail."""

    paths: tuple[str, ...] = ()
    """In the order of the diff, relative to the tree's root."""
    text: str = ""
    """The lines that count: headers and hunks, nothing between them. Bytes that are no UTF-8 are surrogates."""
    trouble: str = ""
    """Why git would refuse it, or why it is not what was written; one line."""
    cut: bool = False
    """The trouble is that something of it is missing."""


class _Refused(Exception):
    def __init__(self, why: str, *, cut: bool = False) -> None:
        super().__init__(why)
        self.why, self.cut = why, cut


def read_patch(text: str) -> PatchText:
    """text: the mail from where its diff starts, decoded with `surrogateescape`. Never raises."""
    reader = _Reader(text)
    trouble, cut = "", False
    try:
        reader.read()
    except _Refused as refused:
        trouble, cut = refused.why, refused.cut
    paths = tuple(dict.fromkeys(_printable(path) for path in reader.paths))
    return PatchText(paths, "".join(line + "\n" for line in reader.kept), trouble, cut)


class _Reader:
    """Goes through the lines once."""

    def __init__(self, text: str) -> None:
        self.lines = text.split("\n")
        self.ended = self.lines[-1] == ""
        if self.ended:
            self.lines.pop()
        self.at = 0
        self.paths: list[str] = []
        self.kept: list[str] = []
        self.files = self.added = self.removed = self.context = 0
        self.strip: int | None = None
        """Folders to take off the names of traditional diffs; git decides once per patch."""

    def line(self, ahead: int = 0) -> str:
        place = self.at + ahead
        return self.lines[place] if place < len(self.lines) else ""

    def take(self) -> str:
        text = self.lines[self.at]
        self.kept.append(text)
        self.at += 1
        return text

    def read(self) -> None:
        promise: tuple[int, int, int] | None = None
        signed = False
        while self.at < len(self.lines):
            line = self.line()
            if line.startswith("diff --git "):
                self._git_file()
            elif line.startswith("--- ") and self.line(1).startswith("+++ "):
                self._plain_file()
            elif HUNK.match(line):
                raise _Refused(f"a hunk without a file: “{line[:60]}”")
            else:
                if not self.files and (stat := _STAT.match(line)):
                    promise = (int(stat[1]), int(stat[2] or 0), int(stat[3] or 0))
                signed = signed or line == "-- "
                self.at += 1
                continue
            signed = False
        if promise:
            self._compare(promise, signed=signed)

    def _compare(self, promise: tuple[int, int, int], *, signed: bool) -> None:
        """A mail that was cut between two hunks or files still says how much there should be.

        Lines alone prove nothing when the end has come: people mend patches by hand and leave the diffstat.
        """
        files, added, removed = promise
        if self.files and self.files < files:
            raise _Refused(f"its diffstat lists {files} files, its diff has {self.files}", cut=True)
        if self.files and not signed and (self.added < added or self.removed < removed):
            raise _Refused(
                f"its diffstat says +{added} -{removed} lines, its diff has +{self.added} -{self.removed}", cut=True
            )

    def _git_file(self) -> None:
        names = self.take()[11:]
        header = _Header(names)
        start = self.at
        while self.at < len(self.lines) and header.read(self.line()):
            self.take()
        if self.at == start:
            raise _Refused(f"nothing follows “diff --git {names[:80]}”", cut=True)
        self.files += 1
        self.paths += header.paths()
        if self.at >= len(self.lines) and not self.ended:
            raise _Refused(f"the mail ends inside the header of {header.paths()[-1]}", cut=True)
        if self._hunks(header.is_new, header.is_deleted):
            return
        if self.line() == "GIT binary patch":
            self._binary()
        elif self.line().startswith(("Binary files ", "Files ")) and self.line().endswith(" differ"):
            raise _Refused(f"the binary file {header.paths()[-1]} came without its content")
        elif not header.complete_without_content():
            raise _Refused(f"nothing follows the header of {(header.paths() or [names])[-1]}", cut=True)

    def _plain_file(self) -> None:
        old, new = self.take()[4:], self.take()[4:]
        if self.strip is None:
            self.strip = 0 if "/" not in plain_name(old, 0) and "/" not in plain_name(new, 0) else None
        strip = 1 if self.strip is None else self.strip
        before, after = plain_name(old, strip), plain_name(new, strip)
        # git takes the shorter name when the other one only adds an ending, as `file.c.orig` does.
        path = after if before == NULL else before if after == NULL or after.startswith(before) else after
        if not path:
            raise _Refused(f"no file name in “{new[:60]}”")
        self.files += 1
        self.paths.append(path)
        if not self._hunks(before == NULL, after == NULL):
            raise _Refused(f"no hunk follows the header of {path}", cut=True)

    def _hunks(self, is_new: bool, is_deleted: bool) -> int:
        count = 0
        added, removed, context = self.added, self.removed, self.context
        while self.at < len(self.lines) and self.line().startswith("@@ -"):
            match = HUNK.match(self.line())
            if match is None:
                raise _Refused(f"broken line “{self.line()[:60]}”")
            self.take()
            self._hunk(match)
            count += 1
        if is_new and (self.removed > removed or self.context > context):
            raise _Refused(f"the new file {self.paths[-1]} has old content")
        if is_deleted and (self.added > added or self.context > context):
            raise _Refused(f"the deleted file {self.paths[-1]} keeps content")
        return count

    def _hunk(self, match: re.Match[str]) -> None:
        old, new = int(match[2] or 1), int(match[4] or 1)
        said, changed = match[0], self.added + self.removed
        while old > 0 or new > 0:
            if self.at >= len(self.lines) or (self.at == len(self.lines) - 1 and not self.ended):
                raise _Refused(f"the mail ends inside the hunk {said}", cut=True)
            kind = self.line()[:1] or " "
            if kind not in " +-\\" or (kind == "\\" and len(self.line()) < 11):
                raise _Refused(f"the hunk {said} is broken at “{self.line()[:60]}”", cut=True)
            self.take()
            old -= kind in " -"
            new -= kind in " +"
            self.context += kind == " "
            self.added += kind == "+"
            self.removed += kind == "-"
        # git passes over what follows; the numbers were wrong, or a line too many crept in.
        if old or new or _MORE.match(self.line()):
            raise _Refused(f"the hunk {said} has more lines than its header says", cut=True)
        if self.added + self.removed == changed:
            raise _Refused(f"the hunk {said} changes nothing", cut=True)
        if self.line().startswith("\\ ") and len(self.line()) > 11:
            self.take()

    def _binary(self) -> None:
        self.take()
        self._binary_half()
        if self.line().startswith(("literal ", "delta ")):
            self._binary_half()

    def _binary_half(self) -> None:
        size = _LITERAL.match(self.line())
        if size is None:
            raise _Refused("a binary patch without its size", cut=True)
        self.take()
        packed = []
        while self.line():
            packed.append(_base85(self.take()))
        if self.at >= len(self.lines):
            raise _Refused("the mail ends inside a binary patch", cut=True)
        self.take()
        wanted = int(size[2])
        if wanted > MAX_BINARY:
            raise _Refused(f"a binary patch of {wanted >> 20} MiB")
        unpacking = zlib.decompressobj()
        try:
            found = len(unpacking.decompress(b"".join(packed), wanted + 1))
        except zlib.error:
            found = -1
        if found != wanted or not unpacking.eof:
            raise _Refused("a binary patch that does not unpack to its stated size", cut=True)


class _Header:
    """The lines between `diff --git` and the first hunk."""

    def __init__(self, names: str) -> None:
        self.names = names
        self.default = both_sides(names)
        self.old = self.new = ""
        self.moved: tuple[str, str] | None = None
        self.copied: tuple[str, str] | None = None
        self.is_new = self.is_deleted = self.mode = False
        self.similarity = 100
        self.blobs: tuple[str, str] | None = None
        self.fields: dict[str, Callable[[str], None]] = {
            "--- ": self._old, "+++ ": self._new, "old mode ": self._mode, "new mode ": self._mode,
            "deleted file mode ": self._gone, "new file mode ": self._fresh, "copy from ": self._copy_from,
            "copy to ": self._copy_to, "rename old ": self._move_from, "rename new ": self._move_to,
            "rename from ": self._move_from, "rename to ": self._move_to, "similarity index ": self._similar,
            "dissimilarity index ": self._nothing, "index ": self._index,
        }  # fmt: skip

    def read(self, line: str) -> bool:
        """Whether the line belongs to the header."""
        for key, field in self.fields.items():
            if line.startswith(key):
                field(line[len(key) :])
                return True
        return False

    def paths(self) -> list[str]:
        """Old, then new. Raises _Refused where git finds no name, or two that contradict each other."""
        moved = bool(self.moved or self.copied)
        wrong = (
            (self.is_new or self.is_deleted) and (moved or self.is_new == self.is_deleted),
            bool(self.old) != bool(self.new),
            self.old and (self.old == NULL) != self.is_new,
            self.new and (self.new == NULL) != self.is_deleted,
        )
        if any(wrong):
            raise _Refused(f"contradicting lines below “diff --git {self.names[:80]}”")
        if moved:
            return self._two_names()
        seen = [name for name in (self.old, self.new) if name and name != NULL]
        found = list(dict.fromkeys(seen or ([self.default] if self.default else [])))
        if not found:
            raise _Refused(f"no file name in “diff --git {self.names[:80]}”")
        if len(found) > 1 or (self.default and found != [self.default]):
            raise _Refused(f"two names for one file in “diff --git {self.names[:80]}”")
        first, _, second = self.names.partition(" ")
        if first == second and len(first.partition("/")[0]) > 1:
            raise _Refused(f"its paths lack the prefixes a/ and b/: git am would look for {found[0]}")
        return found

    def _two_names(self) -> list[str]:
        before, after = self.moved or self.copied or ("", "")
        seen = (self.old or before, self.new or after)
        if (self.moved and self.copied) or not before or not after or seen != (before, after):
            raise _Refused(f"contradicting names in “diff --git {self.names[:80]}”")
        return [before, after] if self.moved else [after]

    def complete_without_content(self) -> bool:
        """Whether a file without hunks makes sense: empty files, modes, renames of equal content."""
        if self.blobs and self.blobs[0] != self.blobs[1]:
            old, new = self.blobs
            empty = new if self.is_new else old if self.is_deleted else ""
            return bool(empty) and _EMPTY_BLOB.startswith(empty)
        return (
            self.mode or self.is_new or self.is_deleted or bool(self.moved or self.copied)
        ) and self.similarity == 100

    def _old(self, rest: str) -> None:
        self.old = self._once(self.old, git_name(rest, 1))

    def _new(self, rest: str) -> None:
        self.new = self._once(self.new, git_name(rest, 1))

    def _once(self, before: str, name: str) -> str:
        if not name or (before and before != name):
            raise _Refused(f"contradicting names in “diff --git {self.names[:80]}”")
        return name

    def _move_from(self, rest: str) -> None:
        self.moved = (git_name(rest, 0), self.moved[1] if self.moved else "")

    def _move_to(self, rest: str) -> None:
        self.moved = (self.moved[0] if self.moved else "", git_name(rest, 0))

    def _copy_from(self, rest: str) -> None:
        self.copied = (git_name(rest, 0), self.copied[1] if self.copied else "")

    def _copy_to(self, rest: str) -> None:
        self.copied = (self.copied[0] if self.copied else "", git_name(rest, 0))

    def _mode(self, rest: str) -> None:
        if not re.match(r"[0-7]+(\s|$)", rest):
            raise _Refused(f"broken file mode “{rest[:60]}”")
        self.mode = True

    def _fresh(self, rest: str) -> None:
        self._mode(rest)
        self.is_new = True

    def _gone(self, rest: str) -> None:
        self._mode(rest)
        self.is_deleted = True

    def _similar(self, rest: str) -> None:
        self.similarity = int(rest[:-1]) if rest[:-1].isdecimal() and len(rest) < 5 else 0

    def _index(self, rest: str) -> None:
        match = _INDEX.match(rest)
        if match is None:
            raise _Refused(f"broken line “index {rest[:60]}”")
        self.blobs = (match[1], match[2])

    def _nothing(self, _: str) -> None:
        return


def _base85(line: str) -> bytes:
    """One line of a binary patch: a letter that tells its length, then groups of five."""
    first = line[:1]
    size = ord(first) - 64 if "A" <= first <= "Z" else ord(first) - 70 if "a" <= first <= "z" else 0
    if not size or len(line) - 1 != (size + 3) // 4 * 5:
        raise _Refused(f"a broken line in a binary patch: “{line[:60]}”", cut=True)
    try:
        return base64.b85decode(line[1:])[:size]
    except ValueError:
        raise _Refused(f"a broken line in a binary patch: “{line[:60]}”", cut=True) from None


def _printable(path: str) -> str:
    return path.encode(errors="surrogateescape").decode(errors="replace")
