# SPDX-License-Identifier: GPL-2.0-or-later
"""Small words that several steps say."""


def counted(number: int, noun: str) -> str:
    """`1 patch`, `3 patches`, `0 parts`."""
    ending = "es" if noun.endswith(("s", "sh", "ch", "x")) else "s"
    return f"{number} {noun}" if number == 1 else f"{number} {noun}{ending}"
