# SPDX-License-Identifier: GPL-2.0-or-later
"""Stop what one run does, or everything: processes are ended, waiting ends, and no more is started.

A run's work carries its token, in threads too (`carried`). Ctrl-C cancels ALL, which every run obeys.
"""

import contextlib
import contextvars
import threading
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Stopping(KeyboardInterrupt):
    """Work was ended, or not begun, because somebody wants it to stop."""


class Cancel:
    """One token per run; a process that serves several can cancel one of them."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._ends: set[Callable[[], None]] = set()

    @property
    def cancelled(self) -> bool:
        return self._event.is_set() or (self is not ALL and ALL.cancelled)

    def cancel(self) -> None:
        """Ask all that works for it to end. Does not wait, so a signal handler may call it."""
        self._event.set()
        for end in tuple(self._ends):
            end()

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """What is started in the block works for this token."""
        before = _current.set(self)
        try:
            yield
        finally:
            _current.reset(before)

    @contextlib.contextmanager
    def ending(self, end: Callable[[], None]) -> Iterator[None]:
        """`end` is called on `cancel` as long as the block lasts. It must not wait."""
        tokens = {self, ALL}
        for token in tokens:
            token._ends.add(end)
        try:
            yield
        finally:
            for token in tokens:
                token._ends.discard(end)


ALL = Cancel()
_current: contextvars.ContextVar[Cancel] = contextvars.ContextVar("cancel", default=ALL)


def current() -> Cancel:
    """The token that this thread works for."""
    return _current.get()


def check() -> None:
    """Raises Stopping when this thread's work was cancelled."""
    if current().cancelled:
        raise Stopping


class _Aftermath(Cancel):
    """Nobody stops it: what it does takes seconds, and is about the end of everything else."""

    @property
    def cancelled(self) -> bool:
        return False


@contextlib.contextmanager
def aftermath() -> Iterator[None]:
    """What is started in the block is what has to be done although all was cancelled: to call work off elsewhere."""
    with _Aftermath().working():
        yield


def carried(work: Callable[P, T]) -> Callable[P, T]:
    """The same for another thread, which then works for this thread's token."""
    token = current()

    def in_thread(*words: P.args, **named: P.kwargs) -> T:
        with token.working():
            return work(*words, **named)

    return in_thread
