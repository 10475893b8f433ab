# SPDX-License-Identifier: GPL-2.0-or-later
"""A feature is gone on head: does the posting say that it takes it away? Texts in, a sentence out. Pure."""

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pydantic import Field

from reviewbot.config import load_yaml
from reviewbot.model.base import Model
from reviewbot.model.words import one_line

_FEATURE = "FEATURE"
_PREFIX = re.compile(r"^(?:\[[^\]]*\]\s*)*(?:[\w./-]+:\s+)*")
"""`[PATCH v2 1/3] fuse2fs: `, before what a subject says."""
_END = re.compile(r"(?<=[.!?])\s+|\n\s*\n|\n(?=\s*[-*] )")
_TRAILER = re.compile(r"^[A-Z][\w-]+: ?\S")
_IT = re.compile(r"\b(?:it|this|that|them|these|they)\b", re.IGNORECASE)
"""What stands for the feature that the sentence before it names."""
_LONGEST = 400
"""Characters of a sentence that are looked at."""


class Feature(Model):
    """Something that a filesystem can do."""

    checks: tuple[str, ...] = ()
    """Checks of smoke that are NOTRUN without it."""
    notrun: str = ""
    """In the reason of a test of fstests that is; empty: none."""
    made: tuple[str, ...] = ()
    """Features of the superblock that it is."""
    words: str
    """What people call it."""


class Rules(Model):
    """`withdrawn.yaml`."""

    says: tuple[str, ...] = Field(min_length=1)
    says_of_made: tuple[str, ...] = ()
    """More of them, of features that new filesystems have by default."""
    features: tuple[Feature, ...]


@functools.cache
def load_rules(path: Path | None = None) -> Rules:
    """Raises ConfigError."""
    return load_yaml(path or Path(__file__).with_name("withdrawn.yaml"), Rules)


def announced(suite: str, test: str, reason: str, texts: Iterable[str]) -> str:
    """The first sentence that says that what the test needs is taken away; empty: none does.

    reason: of its NOTRUN. texts: commit messages and cover letters, subject first, as they may be blamed for it.
    """
    rules = load_rules()
    features = [one.words for one in rules.features if _needs(one, suite, test, reason)]
    return _said(features, rules.says, texts)


def announced_default(feature: str, texts: Iterable[str]) -> str:
    """The first sentence that says that new filesystems, or kernel and server, have it no longer; empty: none does.

    feature: of the superblock, as dumpe2fs has it, or of FUSE_INIT (`server.max_write-65536`). texts: as above.
    """
    rules = load_rules()
    words = [one.words for one in rules.features if feature in one.made]
    plain = re.sub(r"^(?:kernel|server)\.|-\d+$", "", feature)
    name = re.sub(r"[-_]", "[-_ ]", re.escape(plain).replace(r"\-", "-"))
    return _said([rf"(?:FUSE_(?:CAP_)?)?{name}", *words], (*rules.says, *rules.says_of_made), texts)


def _said(features: Sequence[str], patterns: Sequence[str], texts: Iterable[str]) -> str:
    """features: patterns of what it is called."""
    if not features:
        return ""
    feature = rf"\b(?:{'|'.join(features)})(?!\w)"
    says = [re.compile(one.replace(_FEATURE, feature), re.IGNORECASE) for one in patterns]
    named = re.compile(feature, re.IGNORECASE)
    for text in texts:
        before = ""
        for sentence in _sentences(text):
            about = f"{before} {sentence}" if _IT.search(sentence) else sentence
            if named.search(about) and any(one.search(sentence) for one in says):
                return one_line(sentence, 200)
            before = sentence
    return ""


def _needs(feature: Feature, suite: str, test: str, reason: str) -> bool:
    if suite == "smoke":
        return test in feature.checks
    return bool(feature.notrun and re.search(feature.notrun, reason, re.IGNORECASE))


def _sentences(text: str) -> Iterator[str]:
    """Each in one line, without the prefixes of a subject; no trailers."""
    subject, _, body = text.partition("\n")
    yield _PREFIX.sub("", subject[: 2 * _LONGEST])[:_LONGEST]
    lines = (line for line in body.split("\n") if not _TRAILER.match(line))
    for sentence in _END.split("\n".join(lines)):
        if words := " ".join(sentence.split()):
            yield words[:_LONGEST]
