# SPDX-License-Identifier: GPL-2.0-or-later
"""A record as others may see it: without folders of the machine that made it."""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from reviewbot.model.verdict import FindingKind
from reviewbot.report.record import Record, load
from reviewbot.report.tables import public_words

_TAIL = r"""[^\s,()"'`<>|“”]*"""
_SOURCE = re.compile(r"(?:^|\s|file://)(~?/[^\s,()]+)")
_EVERYWHERE = frozenset({"/", "/dev", "/etc", "/lib", "/mnt", "/proc", "/sys", "/tmp", "/usr", "/var"})
"""Guests have these, too: who names one of them tells nothing of this machine."""


def without_folders(record: Record, folders: Iterable[str] = (), run: str = "") -> Record:
    """The same record; of a path below one of `folders`, or below one that the record's own sources, repositories and
    mailboxes name, only the last name is left: `…/linux.git`. What kept a run from going on is told by this machine,
    so no path in it is left whole, wherever it leads. Paths in the run's folder become relative to it.

    folders, run: absolute paths.
    """
    named = {os.path.normpath(one) for one in (*folders, *_own(record)) if one.startswith("/")} - _EVERYWHERE
    return _stops(_masked(record, named, os.path.normpath(run) if run else ""))


def load_for_others(run: Path, folders: Iterable[str]) -> Record:
    """The record of a judged run as others may see it. run: its folder. Raises UsageError."""
    return without_folders(load(run), folders, str(run.absolute()))


def _masked(record: Record, folders: Iterable[str], run: str) -> Record:
    text = record.model_dump_json()
    there = sorted((one for one in {*folders, run} if one and json.dumps(one)[1:-1] in text), key=len, reverse=True)
    if not there:
        return record
    # A folder's name may go on (`/srv/git-old`), and then it is another one.
    pattern = re.compile(rf"({'|'.join(map(re.escape, there))})(?![\w-])(?:(/)({_TAIL}))?")

    def shown(found: re.Match[str]) -> str:
        folder, slash, tail = found.groups("")
        if folder == run and slash:
            return tail or "./"
        name = tail.rstrip("/").rpartition("/")[2]
        return f"…/{name}" if name else f"…{slash}"

    return Record.model_validate(_mapped(record.model_dump(), lambda text: pattern.sub(shown, text)))


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """A value of plain parts with every text in it changed."""
    if isinstance(value, str):
        return change(value) if "/" in value else value
    if isinstance(value, dict):
        return {key: _mapped(one, change) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(_mapped(one, change) for one in value)
    return value


def _own(record: Record) -> Iterator[str]:
    """Folders that the record's facts name."""
    posting = record.posting
    for file in (*posting.files, posting.source, posting.manifest):
        yield str(Path(file).parent)
    sources = [one.source for one in record.plan.sources] if record.plan else []
    for tree in record.trees.trees if record.trees else ():
        yield str(Path(tree.repository).parent)
        sources.append(tree.source)
    for source in sources:
        yield from (str(Path(path).parent) for path in _SOURCE.findall(source))


def _stops(record: Record) -> Record:
    """The words of this machine itself: an error, its log, what to do about it."""
    verdict = record.verdict
    if verdict is None:
        return record
    findings = tuple(
        one.model_copy(update={name: public_words(getattr(one, name)) for name in ("said", "detail", "log")})
        if one.kind is FindingKind.STOP
        else one
        for one in verdict.findings
    )
    lacks = {what: public_words(why) for what, why in verdict.lacks.items()}
    told = {"findings": findings, "hint": public_words(verdict.hint), "lacks": lacks}
    return record.model_copy(update={"verdict": verdict.model_copy(update=told)})
