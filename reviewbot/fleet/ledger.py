# SPDX-License-Identifier: GPL-2.0-or-later
"""What was handed out and what came back, on disk: a coordinator that is killed and started again goes on with it.

A folder per suite of a leg, named by what its outcome depends on: `course.json` (the shards, once and for all),
`log.jsonl` (what happened), `batches/NAME/` (what an engine was given) and `results/` (what was believed).
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from reviewbot.fleet.engine import Batch, Place
from reviewbot.host.files import write_atomic
from reviewbot.model.base import Model
from reviewbot.model.shard import Shard, ShardResult, Word
from reviewbot.runner.shard_files import copy_logs, logs_of
from reviewbot.store import read_if_whole


class Course(Model):
    """How a suite of a leg was cut."""

    nonce: str
    shards: tuple[Shard, ...]


class Entry(Model):
    """A line of the log."""

    event: Literal["out", "over"]
    """`over`: this attempt brought a result, or will bring none."""
    number: int
    """Place of the shard in the course."""
    batch: Word
    index: int
    """Place in the batch."""
    host: str = ""
    why: str = ""
    """Of an attempt that failed."""


class Ledger:
    """The folder of one suite of a leg."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def course(self) -> Course | None:
        """None: nothing was begun, or what is there is damaged."""
        return read_if_whole(self.folder / "course.json", Course)

    def begin(self, course: Course) -> None:
        """Raises OSError."""
        write_atomic(self.folder / "course.json", course.model_dump_json())

    def entries(self) -> Iterator[Entry]:
        """All that happened; a line that a crash cut short is left out."""
        with contextlib.suppress(FileNotFoundError):
            for line in (self.folder / "log.jsonl").read_text(errors="replace").splitlines():
                with contextlib.suppress(ValueError):
                    yield Entry.model_validate_json(line)

    def note(self, *entries: Entry) -> None:
        """Raises OSError."""
        with (self.folder / "log.jsonl").open("a") as file:
            file.write("".join(f"\n{entry.model_dump_json()}" for entry in entries))

    def place(self, batch: Batch, shards: Mapping[int, Shard]) -> Place:
        """A new batch's folder, with its shards. Raises OSError."""
        place = Place(batch, self.folder / "batches" / batch.name)
        for index, shard in shards.items():
            write_atomic(place.shard(index), shard.model_dump_json())
        write_atomic(place.folder / "batch.json", batch.model_dump_json())
        return place

    def places(self) -> dict[str, Place]:
        """Name -> batch, of all that were handed out."""
        found = {}
        for path in sorted((self.folder / "batches").glob("*/batch.json")):
            with contextlib.suppress(OSError, ValueError):
                batch = Batch.model_validate_json(path.read_bytes())
                found[batch.name] = Place(batch, path.parent)
        return found

    def keep(self, number: int, shard: Shard, result: ShardResult, source: Path) -> Path:
        """Put a result that is believed where no worker writes; its file. source: its file, with its logs beside it."""
        path = self.folder / "results" / f"{number}.json"
        copy_logs(shard, logs_of(source), logs_of(path), apart=False)
        write_atomic(path, result.model_dump_json())
        return path

    def kept(self) -> dict[int, tuple[ShardResult, Path]]:
        """Place in the course -> the result that was kept, and its file."""
        found = {}
        for path in sorted((self.folder / "results").glob("*.json")):
            with contextlib.suppress(OSError, ValueError):
                found[int(path.stem)] = ShardResult.model_validate_json(path.read_bytes()), path
        return found
