# SPDX-License-Identifier: GPL-2.0-or-later
"""What every command needs that builds or boots something: a display, a clean start, temporary files of its own."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from reviewbot.cli.progress import display
from reviewbot.host.paths import cache_dir, data_dir
from reviewbot.host.tempdirs import own_temp
from reviewbot.model.progress import Event, Progress
from reviewbot.model.words import sized
from reviewbot.store import Runs
from reviewbot.store.cleaning import sweep, using

_TOLD = 1 << 20
"""Bytes of leftovers from which on their removal is worth a line."""


@contextmanager
def at_work(*, quiet: bool = False, verbose: bool = False) -> Iterator[Progress]:
    """A Progress that is shown on stderr, see `display`.

    What killed processes left is removed first, and `reviewbot gc` removes nothing meanwhile.
    """
    cache = cache_dir()
    with ExitStack() as stack:
        with suppress(OSError):  # where nothing can be written, the command itself says so
            stack.enter_context(own_temp())
        progress = stack.enter_context(display(quiet=quiet, verbose=verbose))

        def waiting(holder: str) -> None:
            progress(Event("cleanup", "cache", "say", f"waiting for {holder or 'another process'}"))

        with suppress(OSError):
            stack.enter_context(using(cache, waiting=waiting))
            if (freed := sweep(cache, Runs(data_dir() / "runs"))) >= _TOLD:
                progress(Event("cleanup", "cache", "say", f"removed {sized(freed)} left by a killed process"))
        yield progress
