# SPDX-License-Identifier: GPL-2.0-or-later
"""From objects' notes (.gcno, kept with an artifact) and counters (.gcda, from guests) to counts: gcov in the sandbox.

The compiler of the build root wrote the notes, so its own gcov reads them. Both files are made by code under test:
nothing here follows a link or believes a name.
"""

import os
import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from posixpath import basename

from reviewbot.coverage.counts import Counts, parse
from reviewbot.host.files import read_regular_bytes
from reviewbot.host.sandbox import Bind, Sandbox
from reviewbot.model.artifacts import Artifact

NOTES = "gcno"
"""Folder of an artifact with the notes of its objects, at their places below /obj."""
FOLDER = "coverage/gcov"
"""Where a machine's log folder has its counters."""
_LIMIT = 900.0
_LARGEST = 64 << 20
"""Bytes of one .gcno or .gcda."""
_SAID = 1 << 30
"""Bytes of JSON that gcov may print for one component of one machine."""
_LOG = 1 << 20
"""Bytes of what it complains of."""
# One process per object: one that is broken says so and takes no other with it.
_GCOV = "find . -name '*.gcno' -print0 | sort -z | xargs -0 -r -n 1 gcov --json-format --stdout"


@dataclass(frozen=True, slots=True)
class Object:
    """What was compiled at once."""

    stem: str
    """Path below /obj without `.gcno`: `fs/fuse/dir`."""
    notes: bytes

    @property
    def counters(self) -> str:
        """The file that counts for it in a guest. GCC makes one name of the object's whole path."""
        return f"/obj/{self.stem}.gcda".replace("/", "#")


def notes_folder(artifact: Artifact) -> Path | None:
    """Where the notes of an artifact are; None: it was built without counters."""
    found = (Path(artifact.path) / NOTES, Path(artifact.path) / "root" / NOTES)
    return next((folder for folder in found if folder.is_dir()), None)


def objects(folder: Path, files: Collection[str]) -> tuple[Object, ...]:
    """Those that may have code of one of the files: their notes hold its name. Sorted."""
    names = {basename(path).encode() for path in files}
    found = []
    for path in _below(folder, ".gcno"):
        notes = read_regular_bytes(path, _LARGEST)
        if any(name in notes for name in names):
            found.append(Object(path.relative_to(folder).as_posix().removesuffix(".gcno"), notes))
    return tuple(sorted(found, key=lambda one: one.stem))


def sets_of_counters(logs: Path) -> tuple[Path, ...]:
    """Below a leg's log folder: one folder per machine that was asked for its counters in the end."""
    above = FOLDER.split("/")[0]
    return tuple(sorted(path for path in logs.rglob(Path(FOLDER).name) if path.parent.name == above and path.is_dir()))


def count(
    box: Sandbox, known: Sequence[Object], files: Collection[str], log: Path, counters: Path | None = None
) -> Counts:
    """What ran of the files, in one machine; without counters: 0 for every line with code.

    Objects that a machine has no counters of are left out. Raises CommandTimeout, ToolMissing, DiskFull.
    """
    with tempfile.TemporaryDirectory(prefix="reviewbot-gcov-") as name:
        work, said = Path(name) / "work", Path(name) / "said.json"
        work.mkdir()
        if not _lay_out(work, known, counters):
            return {}
        box.run(
            ["bash", "-eu", "-o", "pipefail", "-c", _GCOV], binds={"/obj": Bind(work)}, log=log,
            cwd="/obj", stdout=said, timeout=_LIMIT, check=False, file_size=_SAID,
            log_limit=_LOG,
        )  # fmt: skip
        with said.open(errors="replace") as lines:
            return parse(lines, files)


def _lay_out(work: Path, known: Sequence[Object], counters: Path | None) -> int:
    """Put each object's counters beside its notes; how many objects there are to look at."""
    laid = 0
    there = {path.name: path for path in _below(counters, ".gcda")} if counters else {}
    for one in known:
        if counters and one.counters not in there:
            continue
        target = work / f"{one.stem}.gcno"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(one.notes)
        if counters:
            target.with_suffix(".gcda").write_bytes(read_regular_bytes(there[one.counters], _LARGEST))
        laid += 1
    return laid


def _below(folder: Path, ending: str) -> Iterator[Path]:
    """Plain files with this ending."""
    for place, _, names in os.walk(folder):
        for path in (Path(place, name) for name in names if name.endswith(ending)):
            if path.is_file() and not path.is_symlink():
                yield path
