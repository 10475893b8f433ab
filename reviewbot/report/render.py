# SPDX-License-Identifier: GPL-2.0-or-later
"""The template engine, the same for all text reports."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reviewbot.model.words import counted, one_line
from reviewbot.report.record import Record
from reviewbot.report.text import code_block, code_span, html_text, markdown, quoted, shell, wrapped

if TYPE_CHECKING:
    import jinja2


_FLAGS = ("--rfc", "--part-only", "--no-review", "--no-build")
"""Options without a value."""


def named(record: Record) -> list[str]:
    """The words of the command line that does the same again: its options, and the names of the posting.

    A base that was not named and comes from git is named by its commit, since a branch moves on.
    """
    posting = record.posting
    kinds = {problem.kind for problem in posting.problems}
    words = ["reviewbot", record.command]
    words += ["--rfc"] if record.plan and record.plan.rfc and any(part.rfc for part in posting.parts) else []
    given = record.plan.arguments if record.plan else ()
    words += map(shell, given)
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
    """Words of a shell command, folded so that it can be pasted from a mail; an option stays with its value."""
    pieces: list[str] = []
    for word in words:
        after_option = pieces and pieces[-1].startswith("--") and " " not in pieces[-1] and not word.startswith("-")
        if after_option and pieces[-1] not in _FLAGS:
            pieces[-1] += f" {word}"
        else:
            pieces.append(word)
    lines = [f"  {pieces[0]}"]
    for piece in pieces[1:]:
        if len(lines[-1]) + 1 + len(piece) > width - 2:
            lines[-1] += " \\"
            lines.append("     ")
        lines[-1] += f" {piece}"
    return "\n".join(lines)


def environment() -> "jinja2.Environment":
    """Templates of this package. Nothing is escaped by itself: each template uses the filter of its format."""
    import jinja2  # only a finished run needs it, and it costs every command 30 ms

    engine = jinja2.Environment(
        loader=jinja2.PackageLoader("reviewbot.report"), undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True, autoescape=False,
    )  # fmt: skip
    engine.filters |= {"md": markdown, "code": code_block, "span": code_span, "counted": counted, "html": html_text,
                       "quote": quoted, "shell": shell, "wrap": wrapped, "line": one_line,
                       "command": command}  # fmt: skip
    return engine
