# SPDX-License-Identifier: GPL-2.0-or-later
"""Small files of /proc, /sys and our own: a machine under test may have lost any of them."""


def read(path: str) -> str:
    """Empty when it cannot be read."""
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except (OSError, ValueError):
        return ""


def write(path: str, text: str, mode: str = "w") -> bool:
    """Whether it could be written."""
    try:
        with open(path, mode) as file:
            file.write(text)
    except OSError:
        return False
    return True
