# SPDX-License-Identifier: GPL-2.0-or-later
"""Small words that several steps say."""

import re

_PREFIXES = re.compile(r"^(?:\[[^]]*\]\s*)+")


def counted(number: int, noun: str) -> str:
    """`1 patch`, `3 patches`, `0 parts`."""
    ending = "es" if noun.endswith(("s", "sh", "ch", "x")) else "s"
    return f"{number} {noun}" if number == 1 else f"{number} {noun}{ending}"


def untagged(subject: str) -> str:
    """A subject without its bracketed prefixes, unless there is nothing else."""
    return _PREFIXES.sub("", subject) or subject
