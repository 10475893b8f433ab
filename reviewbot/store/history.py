# SPDX-License-Identifier: GPL-2.0-or-later
"""Every outcome of every test, in a database: what the same inputs gave before, and how often a test fails."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    DateTime,
    Engine,
    Float,
    Index,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    create_engine,
    event,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from reviewbot.host.locks import locked
from reviewbot.model.errors import InfraError

_STEPS = {
    2: ("ALTER TABLE outcomes ADD COLUMN stack VARCHAR(500) DEFAULT '' NOT NULL",),
}
"""Version of the tables -> what makes it of the one before, in SQL that SQLite and PostgreSQL understand."""
VERSION = max(_STEPS)
_metadata = MetaData()
_version = Table("schema_version", _metadata, Column("version", Integer, nullable=False))
_outcomes = Table(
    "outcomes",
    _metadata,
    Column("id", Integer, primary_key=True),
    Column("when", DateTime, nullable=False),
    Column("run", String(64), nullable=False),
    Column("host", String(255), nullable=False),
    Column("accelerator", String(16), nullable=False),
    Column("side", String(8), nullable=False),
    Column("number", Integer, nullable=False),
    Column("leg", String(100), nullable=False),
    Column("suite", String(32), nullable=False),
    Column("test", String(200), nullable=False),
    Column("inputs", String(64), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("reason", String(500), nullable=False),
    Column("fingerprint", String(500), nullable=False),
    Column("seconds", Float, nullable=False),
    Column("stack", String(500), nullable=False, server_default=""),
    Index("by_inputs", "inputs"),
    Index("by_test", "test", "leg"),
    Index("once", "run", "side", "number", "leg", "suite", "test", unique=True),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One outcome of one test."""

    run: str
    host: str
    accelerator: str
    side: str
    """`head` or `base`."""
    number: int
    """0: the run itself; 1, 2, …: a rerun of it."""
    leg: str
    suite: str
    test: str
    inputs: str
    """Hex digest of all that the outcome depends on: artifacts of the leg, machine, the test's steps."""
    outcome: str
    reason: str = ""
    fingerprint: str = ""
    seconds: float = 0.0
    stack: str = ""
    """Trees of the leg's components, `kernel 669947ac55ec, libfuse 6147b47a9f5b`."""
    when: datetime | None = None
    """UTC; None: now."""


class History:
    """SQLite in a file by default; any database that SQLAlchemy has a driver for by its URL."""

    @classmethod
    def at(cls, url: str, data: Path, *, on_broken: "Callable[[HistoryBroken], None] | None" = None) -> "History":
        """The site's database; without a URL this user's file. data: folder of what cannot be made again."""
        return cls(url or data / "history.sqlite", on_broken=on_broken)

    def __init__(self, where: Path | str, *, on_broken: "Callable[[HistoryBroken], None] | None" = None) -> None:
        """where: a file, or a URL like `postgresql+psycopg://host/reviewbot`. Nothing is opened before it is used.

        on_broken: is called once when the database cannot be used; from then on nothing is known and nothing is kept.
        None: HistoryBroken is raised.
        """
        self._url = f"sqlite:///{where}" if isinstance(where, Path) else where
        self._file = where if isinstance(where, Path) else None
        self._engine: Engine | None = None
        self._on_broken = on_broken
        self._lost = False

    @property
    def _said(self) -> str:
        """Without a password."""
        return str(self._file) if self._file else make_url(self._url).render_as_string(hide_password=True)

    def add(self, entries: Iterable[Entry]) -> None:
        """Record outcomes; one that is recorded already stays as it is. Raises HistoryBroken."""
        rows = [
            {
                **asdict(entry),
                "when": entry.when or datetime.now(UTC).replace(tzinfo=None),
                "reason": entry.reason[:500],
                "fingerprint": entry.fingerprint[:500],
                "stack": entry.stack[:500],
            }
            for entry in entries
        ]
        if not rows or self._lost:
            return
        with self._usable(), self._open() as engine, engine.begin() as connection:
            known = connection.execute(select(*_NAME).where(_outcomes.c.run.in_({row["run"] for row in rows})))
            there = {tuple(name) for name in known}
            fresh = [row for row in rows if tuple(row[column.name] for column in _NAME) not in there]
            if fresh:
                connection.execute(insert(_outcomes), fresh)

    def of_inputs(self, inputs: str) -> tuple[Entry, ...]:
        """All outcomes of the same inputs, oldest first. Raises HistoryBroken."""
        return self._entries(select(_outcomes).where(_outcomes.c.inputs == inputs).order_by(_outcomes.c.id))

    def of_test(self, test: str, *, leg: str = "", most: int = 100) -> tuple[Entry, ...]:
        """The last outcomes of a test, newest first; of all legs when none is named. Raises HistoryBroken."""
        query = select(_outcomes).where(_outcomes.c.test == test)
        query = query.where(_outcomes.c.leg == leg) if leg else query
        return self._entries(query.order_by(_outcomes.c.when.desc(), _outcomes.c.id.desc()).limit(most))

    def others(self, leg: str, suite: str, test: str, run: str, *, most: int = 200) -> tuple[Entry, ...]:
        """The last outcomes of a test in all runs but one, oldest first. Raises HistoryBroken."""
        columns = _outcomes.c
        query = select(_outcomes).where(columns.test == test, columns.leg == leg, columns.suite == suite)
        query = query.where(columns.run != run).order_by(columns.when.desc(), columns.id.desc()).limit(most)
        return self._entries(query)[::-1]

    def _entries(self, query: Select[Any]) -> tuple[Entry, ...]:
        names = [field.name for field in fields(Entry)]
        found: tuple[Entry, ...] = ()
        if not self._lost:
            with self._usable(), self._open() as engine, engine.connect() as connection:
                rows = connection.execute(query).mappings()
                found = tuple(Entry(**{name: row[name] for name in names}) for row in rows)
        return found

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except HistoryBroken as error:
            if self._on_broken is None:
                raise
            self._lost = True
            self._on_broken(error)

    @contextmanager
    def _open(self) -> Iterator[Engine]:
        try:
            if self._engine is None:
                if self._file:
                    self._file.parent.mkdir(parents=True, exist_ok=True)
                engine = create_engine(self._url)
                if engine.dialect.name == "sqlite":
                    event.listen(engine, "connect", _wait_for_others)
                with locked(self._file.with_suffix(".lock")) if self._file else nullcontext():
                    _migrate(engine, self._said)
                self._engine = engine
            yield self._engine
        except ModuleNotFoundError as error:
            raise HistoryBroken(self._said, f"its driver {error.name} is not installed") from error
        except (SQLAlchemyError, OSError) as error:
            raise HistoryBroken(self._said, str(error.__cause__ or error).splitlines()[0]) from error


class HistoryBroken(InfraError):
    """The database of outcomes cannot be read or written."""

    def __init__(self, where: str, why: str) -> None:
        hint = "`history:` of the site file names it" if "://" in where else "move it away to start anew"
        super().__init__(f"the history of outcomes ({where}) cannot be used: {why}", hint=hint)
        self.where, self.why = where, why


_NAME = (_outcomes.c.run, _outcomes.c.side, _outcomes.c.number, _outcomes.c.leg, _outcomes.c.suite, _outcomes.c.test)
"""No two outcomes have the same."""


def _wait_for_others(connection: sqlite3.Connection, _record: object) -> None:
    """Several runs write to one file: readers must not block, and a writer waits for its turn (milliseconds)."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA busy_timeout=30000")
    cursor.close()


def _migrate(engine: Engine, where: str) -> None:
    """Make the tables, or bring older ones up to date. Raises HistoryBroken for those of a later reviewbot.

    where: what is said of the database.
    """
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":  # several hosts may begin at once; a file has its lock
            connection.execute(text("SELECT pg_advisory_xact_lock(7305)"))
        if not inspect(connection).has_table("schema_version"):
            _metadata.create_all(connection)
            connection.execute(insert(_version), {"version": VERSION})
            return
        found = connection.execute(select(_version.c.version)).scalar_one()
        if found > VERSION:
            raise HistoryBroken(where, f"its tables are of version {found}, this reviewbot knows {VERSION}")
        for version in range(found + 1, VERSION + 1):
            for step in _STEPS[version]:
                connection.execute(text(step))
        if found < VERSION:
            connection.execute(update(_version), {"version": VERSION})
