# SPDX-License-Identifier: GPL-2.0-or-later
"""What is in a folder that a box wrote, as the build root's own tools tell it: no file of it is opened by us."""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reviewbot.host.sandbox import Bind, Sandbox

_LIST = r"""
export LC_ALL=C
find . -mindepth 1 \( -type d -printf '%P\td %m\0' -o -type l -printf '%P\tl %l\0' -o -printf '%P\t%y %m %s %T@\0' \) |
	sort -z
printf '\0'
find . -type f -newermt "@$SINCE" -print0 | sort -z | xargs -0 -r sha256sum -z --
"""
_CMD = r"""
find . -mindepth 2 -type f -name '.*.o.cmd' -size -4096k -not -path './scripts/*' -not -path './tools/*' -print0 |
	tar --create --file=- --format=gnu --no-recursion --null --files-from=-
"""
_LIMIT = 900.0
_LARGEST = 256 << 20
"""Bytes of a list: some hundred thousand names."""


@dataclass(frozen=True, slots=True)
class Contents:
    """Names, types, modes, sizes and times of all files, and hashes of those that are newer than `since`."""

    raw: bytes

    @property
    def newest(self) -> float:
        """When the last file was changed, seconds since the epoch; 0 if there is none."""
        entries = self.raw.partition(b"\0\0")[0].split(b"\0")
        said = (entry.rpartition(b"\t")[2].split() for entry in entries)
        return max((float(words[3]) for words in said if words[:1] == [b"f"]), default=0.0)

    def difference(self, other: "Contents") -> str:
        """The first name that is not in both, or not the same in both; empty if there is no difference."""
        if self.raw == other.raw:
            return ""
        entries = set(self.raw.split(b"\0")) ^ set(other.raw.split(b"\0"))
        names = sorted(_name(entry) for entry in entries if entry)
        return names[0].decode(errors="replace") if names else "the order of its files"


def _name(entry: bytes) -> bytes:
    return entry.rpartition(b"\t")[0] or entry.partition(b"  ./")[2]


def read_contents(sandbox: Sandbox, folder: Path, work: Path, since: float = 0.0) -> Contents:
    """work: a folder of ours for what is said. since: files that are not newer are not read, only looked at.

    Raises CommandFailed, LimitExceeded.
    """
    said = work / "contents"
    sandbox.run(
        ["bash", "-eu", "-o", "pipefail", "-c", _LIST], binds={"/obj": Bind(folder)}, cwd="/obj",
        env={"SINCE": f"{since:.9f}"}, log=work / "contents.log", log_limit=1 << 20, stdout=said, timeout=_LIMIT,
        file_size=_LARGEST,
    )  # fmt: skip
    return Contents(said.read_bytes())


def kbuild_records(sandbox: Sandbox, folder: Path, work: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of each `.cmd` file of kbuild. Raises CommandFailed, LimitExceeded."""
    said = work / "records"
    sandbox.run(
        ["bash", "-eu", "-o", "pipefail", "-c", _CMD], binds={"/obj": Bind(folder)}, cwd="/obj",
        log=work / "records.log", log_limit=1 << 20, stdout=said, timeout=_LIMIT, file_size=1 << 30,
    )  # fmt: skip
    with tarfile.open(said, "r|") as archive:
        for entry in archive:
            if entry.isreg() and (file := archive.extractfile(entry)):
                yield entry.name.removeprefix("./"), file.read()
