# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands that do a run, or the part of it that failed, again on a reader's machine."""

import itertools
from collections.abc import Sequence
from pathlib import Path

from reviewbot.model.verdict import FindingKind, VerdictKind
from reviewbot.report.record import Record
from reviewbot.report.text import shell

_EXTRA = ("--compat", "--prefixes", "--deep")
_FLAGS = ("--try-bases", "--rfc", "--part-only", "--no-review", "--no-build", "--no-compare", *_EXTRA)
"""Options without a value."""
_NOT_OF_PLAN = ("--blame", "--no-review", "--no-build", "--no-compare", *_EXTRA)
"""Options of a run that `reviewbot plan` does not take."""
_CHOICE = ("--legs", "--suites", "--tests", "--rows", "--budget")
_MANY = 12
"""New failures from which on the command is that of the whole run."""


def reproducer(record: Record) -> list[str]:
    """At most two commands, folded for a mail: how to install this very version where that is known, and the run again;
    when something is new on head, only the legs and tests of it.
    """
    install = [command(["pip", "install", shell(record.install)])] if record.install else []
    findings = record.verdict.findings if record.verdict else ()
    refused = any(one.kind is FindingKind.APPLY for one in findings)
    words = named(record, _choice(record))
    blocked = record.verdict is not None and record.verdict.kind is VerdictKind.BLOCKED
    if refused or blocked:
        words = ["reviewbot", "plan", *(["--try-bases"] if refused else []), *_without(_NOT_OF_PLAN, words[2:])]
    return [*install, command(words)]


def _choice(record: Record) -> list[str] | None:
    """Options that choose what is new on head; None: everything that the run did."""
    findings = record.verdict.findings if record.verdict else ()
    new = [one for one in findings if one.is_new]
    tests = sorted({one.test for one in new if one.kind is FindingKind.TEST and one.suite == "fstests"})
    if not new or len(tests) > _MANY:
        return None
    legs = ",".join(dict.fromkeys(one.leg for one in new))
    rows = sorted({one.change.test for one in new if one.change and one.kind is FindingKind.SLOWER})
    smoke = ["smoke"] if any(one.kind is not FindingKind.SLOWER for one in new) else []
    suites = ",".join([*smoke, *(["fstests"] if tests else []), *(["bench"] if rows else [])])
    words = ["--legs", legs, *(["--tests", " ".join(tests)] if tests else [])]
    words += ["--suites", suites] if rows or not tests else []
    words += ["--rows", ",".join(rows)] if rows else []
    variants = {one.variant for one in new}
    words += ["--variant", *variants] if len(variants) == 1 and "" not in variants else []
    mixed = any(one.kind is FindingKind.COMPAT for one in new)
    return [*words, *(word for word in (record.plan.arguments if record.plan else ()) if word == "--compat" and mixed)]


def _without(options: Sequence[str], given: Sequence[str]) -> list[str]:
    """Words of a command line without these options and their values."""
    kept, words = list[str](), iter(given)
    for word in words:
        if word not in options:
            kept.append(word)
        elif word not in _FLAGS:
            next(words, None)
    return kept


def named(record: Record, only: Sequence[str] | None = None) -> list[str]:
    """The words of the command line that does the same again: its options, and the names of the posting.

    A base that was not named and comes from git is named by its commit, since a branch moves on. only: options that
    choose tests, instead of the run's own.
    """
    posting = record.posting
    kinds = {problem.kind for problem in posting.problems}
    words = ["reviewbot", record.command]
    words += ["--rfc"] if record.plan and record.plan.rfc and any(part.rfc for part in posting.parts) else []
    given = record.plan.arguments if record.plan else ()
    words += map(shell, given if only is None else [*only, *_without((*_CHOICE, *_EXTRA), given)])
    based = {word.partition("=")[0] for option, word in itertools.pairwise(given) if option == "--base"}
    for tree in record.trees.trees if record.trees else ():
        if tree.patches and tree.provider == "git" and tree.component not in based:
            words += ["--base", f"{shell(tree.component)}={tree.base_commit[:16]}"]
    if posting.manifest:
        return [*words, "--manifest", shell(Path(posting.manifest).name)]
    if not posting.sent:
        files = posting.files or (posting.source,)
        words += [word for file in files for word in ("--mbox", shell(Path(file).name))]
    if "part-only" in kinds:
        return [*words, "--part-only", *map(shell, posting.asked or (posting.top,))]
    return [*words, *map(shell, (posting.top, *posting.asked) if posting.sent else ())]


def command(words: Sequence[str], width: int = 72) -> str:
    """Words of a shell command, folded so that it can be pasted from a mail; an option stays with its value where both
    fit, and a word that is wider than a line is cut where the shell puts it together again.
    """
    lines = [f"  {words[0]}"]
    for number, word in enumerate(words[1:], 1):
        after = words[number + 1] if word.startswith("--") and word not in _FLAGS and number + 1 < len(words) else ""
        pair = f"{word} {after}" if after and not after.startswith("--") else word
        needs = pair if len(pair) <= width - 8 else word
        if len(lines[-1]) + 1 + len(needs) > width - 2:
            lines[-1] += " \\"
            lines.append("     ")
        lines += _broken(lines.pop() + f" {word}", width)
    return "\n".join(lines)


def _broken(line: str, width: int) -> list[str]:
    """A line whose last word is too wide, as several: a backslash at the end of a line joins them again; quotes are
    closed before it and opened behind.
    """
    quoted = line.endswith("'") and " '" in line
    closing, opening = ("'\\", "'") if quoted else ("\\", "")
    found = []
    while len(line) > width:
        at = width - len(closing)
        found.append(line[:at] + closing)
        line = opening + line[at:]
    return [*found, line]
