# SPDX-License-Identifier: GPL-2.0-or-later
"""The template engine, the same for all text reports."""

import functools
from typing import TYPE_CHECKING

from reviewbot.model.words import counted, one_line
from reviewbot.report.text import code_block, code_span, html_text, markdown, quoted, wrapped

if TYPE_CHECKING:
    import jinja2


@functools.cache
def environment() -> "jinja2.Environment":
    """Templates of this package. Nothing is escaped by itself: each template uses the filter of its format."""
    import jinja2  # only a finished run needs it, and it costs every command 30 ms

    engine = jinja2.Environment(
        loader=jinja2.PackageLoader("reviewbot.report"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    engine.filters |= {
        "md": markdown,
        "code": code_block,
        "span": code_span,
        "counted": counted,
        "html": html_text,
        "quote": quoted,
        "wrap": wrapped,
        "line": one_line,
    }
    return engine
