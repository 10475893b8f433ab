# SPDX-License-Identifier: GPL-2.0-or-later
"""What is told of a wait for another run."""

from collections.abc import Callable

from reviewbot.model.progress import Event, Progress

Waits = Callable[[str, str], None]
"""Told of what is waited for (`kernel`), and of who holds it (`run 20261129-0512, which builds kernel`, or empty)."""


def unheard(what: str, holder: str) -> None:
    """A Waits that nobody hears."""


def saying(progress: Progress) -> Waits:
    """One line of progress for each wait: `kernel waits for run 20261129-0512, which builds kernel`."""
    return lambda what, holder: progress(
        Event("build", what, "say", f"{what} is waiting for {holder or 'another run'}")
    )
