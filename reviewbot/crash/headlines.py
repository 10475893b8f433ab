# SPDX-License-Identifier: GPL-2.0-or-later
"""Which messages begin a splat."""

import functools
import re

from reviewbot.config import load_splats
from reviewbot.model.splats import SplatPattern

SPEAKER = re.compile(
    r"(?:rcu|(?:NMI )?watchdog|kmemleak): "
    # Before 5.5 KASAN says this without an end of line.
    r"|kasan: GPF could be caused by [\w -]+?(?=general protection fault)"
)
"""Who says it, before what is said."""
CUT_HERE = re.compile(r"-{6,}\[ cut here \]-{6,}")
UNKNOWN = SplatPattern.model_validate({"pattern": "cut here", "class": "warn", "why": "what follows is not known yet"})


def headline_of(text: str) -> SplatPattern | None:
    """The entry that a message matches. Raises ConfigError."""
    text = unspoken(text)
    if not _any_headline().match(text):
        return None
    if CUT_HERE.match(text):
        return UNKNOWN
    return next((entry for pattern, entry in _headlines() if pattern.match(text)), None)


def unspoken(text: str) -> str:
    """A message without `rcu: ` and the like before it."""
    return SPEAKER.sub("", text, count=1) if SPEAKER.match(text) else text


@functools.cache
def _headlines() -> tuple[tuple[re.Pattern[str], SplatPattern], ...]:
    return tuple((re.compile(entry.pattern), entry) for entry in load_splats().splats)


@functools.cache
def _any_headline() -> re.Pattern[str]:
    known = "|".join(f"(?:{re.sub(r'[(][?]P<[a-z]+>', '(?:', entry.pattern)})" for entry in load_splats().splats)
    return re.compile(f"{CUT_HERE.pattern}|{known}")
