# SPDX-License-Identifier: GPL-2.0-or-later
"""What goes out, on every channel: each thing at most once, also when this process is killed at any point.

A thing is noted as `sending` before its first byte leaves. Who finds it so later does not know whether it arrived, and
does not send it again by itself.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from reviewbot.host.locks import locked
from reviewbot.model.errors import InfraError, UsageError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS items (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, channel TEXT NOT NULL, run TEXT NOT NULL, topic TEXT NOT NULL,
    about TEXT NOT NULL, goes_to TEXT NOT NULL, payload BLOB NOT NULL, state TEXT NOT NULL, why TEXT NOT NULL,
    not_before TEXT NOT NULL, tries INTEGER NOT NULL, changed TEXT NOT NULL
)
"""
_WAIT = 30.0
"""Seconds for another process that writes."""
_PAUSES = (300, 1800, 7200, 28800)
"""Seconds after each failed try until the next one; the last holds for all that follow."""
_TRIES = 8


class State(StrEnum):
    """Where a thing is."""

    HELD = "held"
    """Until somebody releases it."""
    PENDING = "pending"
    SENDING = "sending"
    """A process sends it now; or it was killed while it did, and the thing may have arrived."""
    SENT = "sent"
    REFUSED = "refused"
    """Whoever should take it does not; it did not arrive."""
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Item:
    """One thing of the outbox."""

    id: int
    key: str
    """What it is; nothing else has the same."""
    channel: str
    """`mail`, `patchwork`, …"""
    run: str
    topic: str
    """Message-ID of the posting."""
    about: str
    """One line for a list: a subject."""
    goes_to: str
    """One line: recipients, a URL."""
    payload: bytes
    state: State
    why: str = ""
    """Why it is held, or was refused."""
    not_before: datetime | None = None
    tries: int = 0
    changed: datetime | None = None
    """When it came into its state (UTC)."""


class NotTaken(Exception):
    """It certainly did not arrive. again: the cause may be gone in a while."""

    def __init__(self, why: str, *, again: bool) -> None:
        super().__init__(why)
        self.again = again


class Outbox:
    """A SQLite file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def put(
        self,
        key: str,
        channel: str,
        *,
        run: str,
        topic: str,
        about: str,
        goes_to: str,
        payload: bytes,
        held: str = "",
        not_before: datetime | None = None,
    ) -> Item:
        """Put something in, or find it: what is there stays as it is, unless it was refused before.

        held: why it waits for somebody to release it; empty: it may go.
        """
        row = {
            "key": key, "channel": channel, "run": run, "topic": topic, "about": about, "goes_to": goes_to,
            "payload": payload, "state": State.HELD if held else State.PENDING, "why": held,
            "not_before": _text(not_before), "tries": 0, "changed": _text(_now()),
        }  # fmt: skip
        names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
        again = ", ".join(f"{name} = excluded.{name}" for name in row)
        with self._open() as database:
            database.execute(
                f"INSERT INTO items ({names}) VALUES ({marks}) ON CONFLICT (key) DO UPDATE SET {again} "
                f"WHERE items.state = '{State.REFUSED}'",
                row,
            )
            return _item(database.execute("SELECT * FROM items WHERE key = ?", (key,)).fetchone())

    def all(self, *states: State) -> tuple[Item, ...]:
        """In the order in which they came; of these states, or of every one."""
        with self._open() as database:
            found = (_item(row) for row in database.execute("SELECT * FROM items ORDER BY id"))
            return tuple(item for item in found if not states or item.state in states)

    def get(self, number: int) -> Item:
        """Raises UsageError."""
        with self._open() as database:
            row = database.execute("SELECT * FROM items WHERE id = ?", (number,)).fetchone()
        if row is None:
            raise UsageError(f"the outbox has no {number}", hint="`reviewbot outbox` lists what it has")
        return _item(row)

    def hold(self, number: int) -> Item:
        """Let it wait. Raises UsageError when it went out, or may have."""
        return self._move(number, State.HELD, "held manually", (State.PENDING, State.HELD, State.REFUSED))

    def release(self, number: int) -> Item:
        """Let it go at once, also what may have arrived before. Raises UsageError when it was sent, or dropped."""
        return self._move(number, State.PENDING, "", (State.HELD, State.PENDING, State.REFUSED, State.SENDING))

    def drop(self, number: int) -> Item:
        """Never send it. Raises UsageError when it was sent."""
        return self._move(number, State.DROPPED, "dropped manually", tuple(s for s in State if s is not State.SENT))

    def _move(self, number: int, to: State, why: str, allowed: Sequence[State]) -> Item:
        with self._sending():
            item = self.get(number)
            if item.state not in allowed:
                raise UsageError(f"{number} is {item.state}: it cannot be {to} any more")
            self._set(number, to, why)
            return self.get(number)

    def send(self, number: int, carry: Callable[[Item], str]) -> Item:
        """Send one thing if it is due. carry: brings it there; returns a remark, raises NotTaken.

        Any other exception of `carry` leaves it as one that may have arrived, and is passed on.
        """
        with self._sending():
            item = self.get(number)
            if item.state is not State.PENDING or (item.not_before and item.not_before > _now()):
                return item
            self._set(number, State.SENDING, "")
            try:
                remark = carry(item)
            except NotTaken as error:
                tries = item.tries + 1
                later = error.again and tries < _TRIES
                pause = timedelta(seconds=_PAUSES[min(tries, len(_PAUSES)) - 1])
                self._set(
                    number,
                    State.PENDING if later else State.REFUSED,
                    str(error),
                    tries=tries,
                    not_before=_now() + pause if later else None,
                )
            else:
                self._set(number, State.SENT, remark)
            return self.get(number)

    def put_off(self, number: int, until: datetime, why: str) -> Item:
        """Let what may go wait, if it still may, and does not wait longer by itself."""
        with self._sending():
            item = self.get(number)
            if item.state is State.PENDING and (item.not_before is None or item.not_before < until):
                self._set(number, State.PENDING, why, not_before=until)
            return self.get(number)

    def due(self) -> tuple[Item, ...]:
        """What may go now."""
        return tuple(item for item in self.all(State.PENDING) if not item.not_before or item.not_before <= _now())

    def _set(
        self, number: int, state: State, why: str, *, tries: int | None = None, not_before: datetime | None = None
    ) -> None:
        with self._open() as database:
            database.execute(
                "UPDATE items SET state = ?, why = ?, not_before = ?, changed = ?, tries = coalesce(?, tries) "
                "WHERE id = ?",
                (state, why, _text(not_before), _text(_now()), tries, number),
            )

    def _sending(self) -> contextlib.AbstractContextManager[object]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return locked(self._path.with_suffix(".lock"))

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A transaction, on disk when the block is left. Raises InfraError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with contextlib.closing(sqlite3.connect(self._path, timeout=_WAIT)) as database, database:
                database.row_factory = sqlite3.Row
                database.execute("PRAGMA synchronous = FULL")
                database.execute(_SCHEMA)
                yield database
        except sqlite3.Error as error:
            raise InfraError(f"the outbox ({self._path}) cannot be used: {error}", hint="nothing was sent") from error


def outbox_file(data: Path) -> Path:
    """Where a user's outbox is. data: folder of what cannot be made again."""
    return data / "outbox.sqlite"


def _now() -> datetime:
    return datetime.now(UTC)


def _text(when: datetime | None) -> str:
    return when.isoformat(timespec="seconds") if when else ""


def _time(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _item(row: sqlite3.Row) -> Item:
    found = {name: row[name] for name in ("id", "key", "channel", "run", "topic", "about", "goes_to", "why", "tries")}
    return Item(
        **found,
        payload=bytes(row["payload"]),
        state=State(row["state"]),
        not_before=_time(row["not_before"]),
        changed=_time(row["changed"]),
    )
