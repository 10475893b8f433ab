# SPDX-License-Identifier: GPL-2.0-or-later
"""The template engine, the same for all text reports."""

from typing import TYPE_CHECKING

from reviewbot.model.words import counted
from reviewbot.report.record import Record
from reviewbot.report.text import code_block, code_span, html_text, markdown, quoted, shell, wrapped

if TYPE_CHECKING:
    import jinja2


def named(record: Record) -> str:
    """The words of a command line that name the record's posting again."""
    posting = record.posting
    kinds = {problem.kind for problem in posting.problems}
    words = ["--rfc"] if record.plan and record.plan.rfc and any(part.rfc for part in posting.parts) else []
    words += ["--variant", shell(record.variant)] if record.variant else []
    if posting.manifest:
        return " ".join([*words, "--manifest", shell(posting.manifest)])
    if not posting.sent:
        words += [word for file in posting.files or (posting.source,) for word in ("--mbox", shell(file))]
    if "part-only" in kinds:
        return " ".join([*words, "--part-only", *map(shell, posting.asked or (posting.top,))])
    return " ".join([*words, *map(shell, (posting.top, *posting.asked) if posting.sent else ())])


def environment() -> "jinja2.Environment":
    """Templates of this package. Nothing is escaped by itself: each template uses the filter of its format."""
    import jinja2  # only a finished run needs it, and it costs every command 30 ms

    engine = jinja2.Environment(
        loader=jinja2.PackageLoader("reviewbot.report"), undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True, autoescape=False,
    )  # fmt: skip
    engine.filters |= {"md": markdown, "code": code_block, "span": code_span, "counted": counted, "html": html_text,
                       "quote": quoted, "shell": shell, "wrap": wrapped, "named": named}  # fmt: skip
    return engine
