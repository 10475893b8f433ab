# SPDX-License-Identifier: GPL-2.0-or-later
"""What a step tells while it works. Steps call the function they were given; only the CLI shows anything."""

from collections.abc import Callable
from dataclasses import dataclass, replace

STORED = "from the store"
"""Text of what had not to be built."""


@dataclass(frozen=True, slots=True)
class Event:
    """One word of progress."""

    step: str
    """`intake`, `trees`, `build`, `lab`, …"""
    what: str
    """`kernel`, `fuse2fs smoke/rename`; names the line of the display that this updates."""
    state: str
    """`start`, `note`, `done`, `failed`; `say`: a line of its own that ends nothing; `bad`: the same, of a failure."""
    text: str = ""
    expected: float | None = None
    """Seconds it should take, if known."""
    done: int = 0
    total: int = 0
    log: str = ""
    """File or folder where more is said, or will be."""


Progress = Callable[[Event], None]


def on_side(progress: Progress, side: str) -> Progress:
    """The same, with the side (`base`, `kernel-0123456789ab`) in the name of each line: `fuse2fs smoke on base`."""
    suffix = f" on {side}"
    return lambda event: progress(replace(event, what=event.what.removesuffix(suffix) + suffix))


def silent(event: Event) -> None:
    """A Progress that nobody hears."""
