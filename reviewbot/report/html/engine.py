# SPDX-License-Identifier: GPL-2.0-or-later
"""Templates of pages: whatever a template prints is escaped, and without control characters."""

import base64
import functools
import hashlib
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from reviewbot.model.words import about, counted, one_line, plain

if TYPE_CHECKING:
    import jinja2

_TEMPLATES = "reviewbot.report.html"


@functools.cache
def asset(name: str) -> str:
    """A style sheet or script of this package."""
    return resources.files(_TEMPLATES).joinpath("templates", name).read_text("utf-8")


@functools.cache
def environment() -> "jinja2.Environment":
    """The engine of all pages."""
    import jinja2  # only a finished run needs it, and it costs every command 30 ms

    engine = jinja2.Environment(
        loader=jinja2.PackageLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
        finalize=_shown,
    )
    engine.filters |= {"counted": counted, "line": one_line, "about": about, "path": link_path}
    return engine


def _shown(value: Any) -> Any:
    """Strings of strangers without what steers a terminal or turns the direction of writing."""
    return plain(value) if type(value) is str else value  # Markup is made by this package only


EARLY = 'document.documentElement.classList.add("js")'
"""Runs before the page is laid out: rows that the page begins without are never laid out."""


def link_path(path: str) -> str:
    """A file's name for a link below the page's own folder: never a scheme, a host, or a path from the root."""
    return quote(plain(path)).lstrip("/")


def policy(script: str, connect: str = "'none'") -> str:
    """The page's Content-Security-Policy: its own script by hash and nothing else that runs or loads.

    connect: what the script may fetch. Styles are inline, since SVG needs them in attributes.
    """
    hashes = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (EARLY, script))
    sources = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src {sources}; style-src 'unsafe-inline'; img-src data:; "
        f"connect-src {connect}; base-uri 'none'; form-action 'none'"
    )
