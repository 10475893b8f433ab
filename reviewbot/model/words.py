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


def about(seconds: float) -> str:
    """`40 s`, `48 min`, `2 h 10 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
